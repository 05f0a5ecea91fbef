// RTCP of a Relay: reports, requests for key frames; and the digits that it sends itself.
#include <algorithm>
#include <array>

#include "bridge/relay.hpp"
#include "bridge/relay_parts.hpp"
#include "media/wire.hpp"

namespace offhook::bridge {

void Relay::deliver_rtcp(EndPoint &to, std::size_t line, std::span<const std::uint8_t> packet) {
    std::array<std::uint8_t, 1500> buffer{};
    if (packet.size() + media::srtp_room > buffer.size()) return;
    std::ranges::copy(packet, buffer.begin());
    const std::span whole(buffer.data(), packet.size() + media::srtp_room);
    if (to.web) {
        if (!to.keyed || to.path == nullptr) return;
        note(to.local, *to.ice->selected(), packet);
        if (const auto sealed = to.channel.seal_rtcp(whole, packet.size())) to_web(to, *sealed);
        return;
    }
    if (line >= to.lines.size()) return;
    Plain &plain = to.lines[line];
    note(plain.mux ? plain.local : beside(plain.local), plain.mux ? plain.remote : plain.remote_rtcp, packet);
    if (const auto sealed = plain.channel.seal_rtcp(whole, packet.size()))
        worker_.send(plain.mux ? plain.rtp.get() : plain.rtcp.get(),
                     plain.mux ? plain.remote : plain.remote_rtcp, *sealed);
}

// Reports end here; each side gets reports about the stream it really has (report()). Requests for a key
// frame go across (RFC 4585 §6.3.1, RFC 5104 §4.3.1).
void Relay::rtcp(EndPoint &from, std::size_t line, std::span<const std::uint8_t> packet, TimePoint now) {
    constexpr std::uint8_t intra_frame = 192, payload_feedback = 206, pli = 1, fir = 4;
    EndPoint &source = from.id == 0 ? end(active_ + 1) : end(0);
    std::size_t at = 0;
    while (at + 8 <= packet.size()) {
        const std::size_t size = (std::size_t{media::read_u16(packet, at + 2)} + 1) * 4;
        const std::uint8_t format = packet[at] & 31;
        if (packet[at + 1] == intra_frame) { // RFC 2032 §5.2.1, which older phones send
            ask_key_frame(source, line, now);
        } else if (packet[at + 1] == payload_feedback && (format == pli || format == fir) &&
                   at + 12 <= packet.size()) {
            const std::uint32_t ssrc = media::read_u32(
                packet, format == fir && size >= 20 && at + 16 <= packet.size() ? at + 12 : at + 8);
            std::size_t wanted = line;
            for (std::size_t i = 0; i < from.out.size(); ++i) // a browser's lines share one port
                if (from.web && from.out[i].stream && from.out[i].stream->ssrc() == ssrc) wanted = i;
            ask_key_frame(source, wanted, now);
        }
        at += size;
    }
}

void Relay::ask_key_frame(EndPoint &of, std::size_t line, TimePoint now) {
    if (!of.present || line >= of.out.size() || active_ >= branches_.size()) return;
    const auto &plan = branches_[active_].plan;
    if (line >= plan.size() || !plan[line].video) return;
    Out &out = of.out[line];
    if (!out.stream || (of.web && !of.keyed)) return; // it begins with one
    out.key_frame_due = now - out.last_key_frame < key_frame_every;
    if (out.key_frame_due) return; // later, by tick()
    out.last_key_frame = now;
    // RR without blocks (RFC 3550 §6.1: a compound packet starts with a report), then the PLI.
    std::array<std::uint8_t, 20> packet{};
    packet[0] = 0x80;
    packet[1] = 201;
    packet[3] = 1;
    media::write_u32(packet, 4, out.stream->ssrc());
    packet[8] = 0x81;
    packet[9] = 206;
    packet[11] = 2;
    media::write_u32(packet, 12, out.stream->ssrc());
    media::write_u32(packet, 16, out.heard_ssrc);
    deliver_rtcp(of, line, packet);
    const bool understood = of.id == 0 ? plan[line].caller_feedback : plan[line].callee_feedback;
    if (!of.web && !understood) events_.key_frame(side(of));
}

void Relay::request_key_frame(End to) {
    EndPoint &of = to == End::caller ? end(0) : end(active_ + 1);
    for (std::size_t line = 0; line < of.out.size(); ++line)
        ask_key_frame(of, line, std::chrono::steady_clock::now());
}

void Relay::send_digit(End to, char digit, Duration length) {
    EndPoint &of = to == End::caller ? end(0) : end(active_ + 1);
    for (auto &out : of.out) {
        if (out.event_number == no_number || !out.stream) continue;
        queue_digit(out, digit, length);
        return;
    }
}

void Relay::digits(EndPoint &to, std::size_t line, TimePoint now) {
    Out &out = to.out[line];
    if (!out.digits || !out.digits->busy() || now < out.digits_until) return;
    worker_.hurry(digit_tick);
    if (!out.sending && now < out.passing_until) return;
    out.digits_until = now + digit_tick - Duration{2}; // a tick may come a little early
    const auto payload = out.digits->poll(out.stream->clock(out.event_clock, now));
    out.sending = out.digits->busy();
    if (!payload) return;
    const auto header = out.stream->insert(out.event_number, payload->timestamp, payload->marker, now);
    std::array<std::uint8_t, media::rtp_header_size + 4 + media::srtp_room> packet{};
    media::write_rtp_header(header, std::span(packet).first<media::rtp_header_size>());
    std::ranges::copy(payload->bytes, packet.begin() + media::rtp_header_size);
    ++out.packets;
    deliver(to, line, packet, media::rtp_header_size + payload->bytes.size());
}

void Relay::report(EndPoint &to, std::size_t line, TimePoint now) {
    Out &out = to.out[line];
    if (!out.stream || (out.packets == 0 && out.heard.packets() == 0)) return;
    media::RtcpReport report;
    report.sender_ssrc = out.stream->ssrc();
    if (out.packets > 0)
        report.sender = media::SenderInfo{media::ntp_now(), out.stream->clock(out.clock, now),
                                          static_cast<std::uint32_t>(out.packets),
                                          static_cast<std::uint32_t>(out.octets)};
    if (out.heard.packets() > 0) {
        media::ReportBlock block;
        block.ssrc = out.heard_ssrc;
        block.fraction_lost = out.heard.fraction_lost_since_last();
        block.cumulative_lost = static_cast<std::int32_t>(out.heard.lost());
        block.extended_sequence = out.heard.extended_sequence();
        block.jitter = out.heard.jitter_units();
        report.blocks.push_back(block);
    }
    deliver_rtcp(to, line, media::build_rtcp(report, "offhook", false));
}

} // namespace offhook::bridge
