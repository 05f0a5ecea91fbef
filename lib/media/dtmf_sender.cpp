#include "media/dtmf.hpp"
#include "media/wire.hpp"

namespace offhook::media {

namespace {

constexpr std::uint8_t volume = 10; // -10 dBm0 (RFC 4733 §2.3.3)
constexpr int end_packets = 3;      // RFC 4733 §2.5.1.4

bool is_pause(char c) {
    return c == ',' || c == 'w' || c == 'W';
}

} // namespace

Result<> DtmfSender::send(std::string_view digits) {
    for (std::size_t at = 0; at < digits.size(); ++at)
        if (!is_pause(digits[at]) && !dtmf_event_code(digits[at]))
            return fail(Errc::invalid_argument, "\"" + std::string(digits) + "\": character " +
                                                    std::to_string(at + 1) +
                                                    " is not one of 0-9 * # A-D , w");
    for (char c : digits)
        if (c != ' ') queue_.push_back(c);
    return {};
}

void DtmfSender::next(std::uint32_t timestamp) {
    if (queue_.empty()) {
        state_ = State::idle;
        return;
    }
    const char c = queue_.front();
    queue_.pop_front();
    if (is_pause(c)) {
        state_ = State::gap;
        wait_until_ =
            timestamp + static_cast<std::uint32_t>(options_.pause.count()) * (options_.clock_rate / 1000);
        return;
    }
    state_ = State::tone;
    code_ = *dtmf_event_code(c);
    start_ = timestamp;
    first_ = true;
    ends_left_ = end_packets;
    started_ = *dtmf_digit(code_);
}

std::optional<DtmfSender::Payload> DtmfSender::poll(std::uint32_t timestamp) {
    const std::uint32_t per_ms = options_.clock_rate / 1000;
    if (state_ == State::gap && static_cast<std::int32_t>(timestamp - wait_until_) >= 0) next(timestamp);
    if (state_ == State::idle && !queue_.empty()) next(timestamp);
    if (state_ != State::tone && state_ != State::end) return std::nullopt;

    const std::uint32_t full = static_cast<std::uint32_t>(options_.tone.count()) * per_ms;
    std::uint32_t duration = timestamp - start_ + options_.ptime_ms * per_ms;
    if (duration >= full) {
        duration = full;
        state_ = State::end;
    }
    const bool ending = state_ == State::end;
    Payload payload{
        {code_, static_cast<std::uint8_t>(ending ? 0x80 | volume : volume), 0, 0}, start_, first_};
    write_u16(payload.bytes, 2, static_cast<std::uint16_t>(std::min<std::uint32_t>(duration, 0xFFFF)));
    first_ = false;
    if (ending && --ends_left_ == 0) {
        state_ = State::gap;
        wait_until_ = timestamp + static_cast<std::uint32_t>(options_.gap.count()) * per_ms;
    }
    return payload;
}

} // namespace offhook::media
