// The part of a Relay that changes what is inside the packets.
#include <algorithm>
#include <array>

#include "base/log.hpp"
#include "bridge/relay.hpp"
#include "bridge/relay_parts.hpp"
#include "media/wire.hpp"

namespace offhook::bridge {

namespace {

constexpr unsigned most_packets = 250; // a second and direction: nobody sends less than 5 ms of sound
constexpr std::size_t largest_payload = 1400;
constexpr Duration event_gap{150};   // between two packets of one event, at most
constexpr Duration whole_digit{120}; // what phones and door stations hear as one
constexpr Duration gap{80};
constexpr Duration most_digits{10'000}; // that wait to be sent, whoever sends them and how

} // namespace

void scale_event(std::span<std::uint8_t> payload, std::uint32_t from, std::uint32_t to) {
    if (from == to || payload.size() < 4) return;
    const std::uint32_t duration = media::read_u16(payload, 2) * (to / 1000) / (from / 1000);
    media::write_u16(payload, 2, static_cast<std::uint16_t>(std::min<std::uint32_t>(duration, 0xffff)));
}

void Relay::transcode(const EndPoint &from, EndPoint &to, std::size_t line, const media::RtpPacket &packet,
                      const Way &way, TimePoint now) {
    Out &out = to.out[line];
    if (now - out.counted_since >= Duration{1'000}) {
        out.counted_since = now;
        out.counted = 0;
    }
    if (++out.counted > most_packets) return;
    const std::uint8_t type = packet.header.payload_type;
    const Way::Number &number = way.of[type];
    const bool event = number.event_clock != 0;
    if (!event && number.codec < 0) return;
    // An event before any sound: it is in the time of the first codec.
    const auto &codecs = way.codecs[event ? 0 : static_cast<std::size_t>(number.codec)];
    if (!out.transcoder || (!event && !out.transcoder->is(codecs.from, codecs.to))) {
        auto opened = Transcoder::open(codecs.from, codecs.to);
        if (!opened) return fail_end(to, opened.error().what);
        out.transcoder = std::move(*opened);
    }
    const unsigned clock = codecs.to.info->clock_rate;
    if (!event)
        return out.transcoder->audio(packet, [&](media::RtpHeader header, auto payload) {
            header.payload_type = codecs.number;
            pass(to, line, from.id, clock, header, payload, now);
        });
    if (number.out == no_number) return;
    out.transcoder->event(packet, [&](media::RtpHeader header, auto payload) {
        std::array<std::uint8_t, 4> scaled{};
        std::ranges::copy(payload.first(scaled.size()), scaled.begin());
        scale_event(scaled, number.event_clock, way.event_clock);
        header.payload_type = number.out;
        pass(to, line, from.id, clock, header, scaled, now);
    });
}

// One digit after the other: an event that begins while one of ours is sent is renewed after it, and ours
// wait for the end of one that goes through.
bool Relay::may_pass(Out &out, const media::RtpPacket &event, TimePoint now) {
    const std::uint32_t time = event.header.timestamp;
    if (out.renewed == time) return false;
    if (out.sending) {
        if (out.passing == time) out.renewed = time; // its end again
        return false;
    }
    const bool ends = event.payload.size() > 1 && (event.payload[1] & 0x80) != 0;
    out.passing = time;
    out.passing_until = ends ? now : now + event_gap;
    return true;
}

// The first packet says which digit it is; the other end gets one of our own.
void Relay::renew_event(EndPoint &to, std::size_t line, const media::RtpPacket &packet, const Way &way) {
    Out &out = to.out[line];
    if (way.codecs.empty()) out.stream->skip(packet.header); // a transcoder numbers its packets itself
    if (packet.payload.empty() || out.renewed == packet.header.timestamp) return;
    out.renewed = packet.header.timestamp;
    const auto digit = media::dtmf_digit(packet.payload.front());
    if (digit && out.event_number != no_number) queue_digit(out, *digit, whole_digit);
}

void Relay::queue_digit(Out &out, char digit, Duration length) {
    const auto now = std::chrono::steady_clock::now();
    const Duration tone = std::clamp(length, Duration{80}, Duration{2'000});
    out.digits_end = std::max(out.digits_end, now);
    if (out.digits_end - now > most_digits) return;
    out.digits_end += tone + gap;
    if (!out.digits || !out.digits->busy()) {
        media::DtmfSender::Options options;
        options.clock_rate = out.event_clock;
        options.tone = tone;
        options.gap = gap;
        out.digits.emplace(options);
    }
    static_cast<void>(out.digits->send(std::string(1, digit)));
    worker_.hurry(digit_tick);
}

void Relay::pass(EndPoint &to, std::size_t line, unsigned source, unsigned clock, media::RtpHeader header,
                 std::span<const std::uint8_t> payload, TimePoint now) {
    Out &out = to.out[line];
    if (out.sending) return out.stream->skip(header);
    const auto rewritten = out.stream->rewrite(header, source, clock, now);
    std::array<std::uint8_t, media::rtp_header_size + largest_payload + media::srtp_room> packet{};
    if (!rewritten || payload.size() > largest_payload) return;
    out.clock = clock;
    media::write_rtp_header(*rewritten, std::span(packet).first<media::rtp_header_size>());
    std::ranges::copy(payload, packet.begin() + media::rtp_header_size);
    ++out.packets;
    out.octets += payload.size();
    deliver(to, line, packet, media::rtp_header_size + payload.size());
}

} // namespace offhook::bridge
