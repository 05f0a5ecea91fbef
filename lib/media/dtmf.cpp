// The receiver of telephone-events (RFC 4733). The sender is in dtmf_sender.cpp, INFO bodies in
// dtmf_info.cpp.
#include "media/dtmf.hpp"

#include <algorithm>

#include "media/wire.hpp"

namespace offhook::media {

namespace {

constexpr std::string_view digits = "0123456789*#ABCD";
constexpr std::size_t remembered = 64; // finished events whose late packets are still recognised
constexpr std::size_t payload_size = 4;
constexpr std::uint8_t end_bit = 0x80;
constexpr std::uint16_t longest = 0xFFFF; // RFC 4733 §2.5.1.3: the event goes on in a new segment

} // namespace

std::optional<std::uint8_t> dtmf_event_code(char digit) noexcept {
    if (digit >= 'a' && digit <= 'd') digit = static_cast<char>(digit - 'a' + 'A');
    const std::size_t at = digits.find(digit);
    if (at == std::string_view::npos || digit == '\0') return std::nullopt;
    return static_cast<std::uint8_t>(at);
}

std::optional<char> dtmf_digit(std::uint8_t code) noexcept {
    if (code >= digits.size()) return std::nullopt;
    return digits[code];
}

bool DtmfReceiver::active() const noexcept {
    return current_.has_value();
}

bool DtmfReceiver::known(std::uint32_t ssrc, std::uint32_t timestamp) const noexcept {
    return std::find(past_.begin(), past_.end(), std::pair(ssrc, timestamp)) != past_.end();
}

void DtmfReceiver::remember(std::uint32_t ssrc, std::uint32_t timestamp) {
    if (past_.size() >= remembered) past_.pop_front();
    past_.emplace_back(ssrc, timestamp);
}

DtmfEvent DtmfReceiver::finish() {
    const std::uint64_t units = std::uint64_t{current_->units} + current_->duration;
    const DtmfEvent up{DtmfEvent::Kind::up, *dtmf_digit(current_->code),
                       Duration{static_cast<std::int64_t>(units * 1000 / current_->clock_rate)}};
    remember(current_->ssrc, current_->last_timestamp);
    current_.reset();
    return up;
}

std::vector<DtmfEvent> DtmfReceiver::received(const RtpPacket &packet, TimePoint now, unsigned clock_rate) {
    std::vector<DtmfEvent> events;
    if (packet.payload.size() < payload_size || packet.payload[0] >= digits.size()) return events;
    const std::uint8_t code = packet.payload[0];
    const bool end = (packet.payload[1] & end_bit) != 0;
    const std::uint16_t duration = read_u16(packet.payload, 2);
    const RtpHeader &header = packet.header;
    const bool same =
        current_ && current_->ssrc == header.ssrc && current_->last_timestamp == header.timestamp;
    if (!same) {
        if (known(header.ssrc, header.timestamp)) return events; // late: its event was told and is over
        const bool continues = current_ && current_->ssrc == header.ssrc && current_->code == code &&
                               header.timestamp == current_->last_timestamp + longest;
        if (continues) {
            remember(header.ssrc, current_->last_timestamp);
            current_->units += longest;
            current_->last_timestamp = header.timestamp;
            current_->duration = 0;
        } else {
            // A packet older than the event under way is a straggler of one we never saw begin; RFC 4733
            // events do not overlap, so the newer one is not ended by it.
            if (current_ && current_->ssrc == header.ssrc &&
                static_cast<std::int32_t>(header.timestamp - current_->last_timestamp) < 0) {
                remember(header.ssrc, header.timestamp);
                events.push_back({DtmfEvent::Kind::down, *dtmf_digit(code)});
                events.push_back({DtmfEvent::Kind::up, *dtmf_digit(code),
                                  Duration{std::int64_t{duration} * 1000 / clock_rate}});
                return events;
            }
            if (current_) events.push_back(finish());
            current_ = Event{.ssrc = header.ssrc,
                             .first_timestamp = header.timestamp,
                             .last_timestamp = header.timestamp,
                             .code = code,
                             .clock_rate = clock_rate};
            events.push_back({DtmfEvent::Kind::down, *dtmf_digit(code)});
        }
    }
    current_->duration = std::max(current_->duration, duration);
    current_->last_seen = now;
    if (end) events.push_back(finish());
    return events;
}

std::vector<DtmfEvent> DtmfReceiver::poll(TimePoint now) {
    if (!current_ || now - current_->last_seen < patience_) return {};
    return {finish()};
}

} // namespace offhook::media
