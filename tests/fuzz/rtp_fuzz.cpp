// A stream of datagrams, each after some milliseconds: parsed as RTP and RTCP, received, played. Input: (2
// bytes length with 5 bits of pause in front, then that many bytes)...
#include <algorithm>

#include "media/receiver.hpp"
#include "tests/fuzz/body.hpp"

using namespace offhook;
using namespace offhook::fuzz;
using namespace offhook::media;

namespace {

Negotiated agreed() {
    Negotiated call;
    call.codec = find_codec("pcmu");
    call.receivable = {
        {0, find_codec("pcmu")}, {8, find_codec("pcma")}, {96, find_codec("opus")}, {11, find_codec("l16")}};
    call.receive_events = {{101, 8000}, {102, 48000}};
    call.receive_noise_payload_type = 13;
    return call;
}

void rtcp(Bytes datagram) {
    const auto report = parse_rtcp(datagram);
    if (!report) return;
    RtcpReport copy = *report;
    copy.blocks.resize(std::min<std::size_t>(copy.blocks.size(), 31));
    const auto written = build_rtcp(copy, "a@b", false);
    const auto again = parse_rtcp(written);
    require(again && again->sender_ssrc == copy.sender_ssrc && again->blocks.size() == copy.blocks.size());
}

} // namespace

FUZZ_BODY(rtp) {
    Pieces pieces(input);
    Receiver receiver(20);
    receiver.configure(agreed());
    TimePoint now{};
    std::vector<std::int16_t> frame(receiver.pcm_rate() / 50);
    int pressed = 0;
    const auto told = [&](const std::vector<DtmfEvent> &events) {
        for (const auto &event : events) {
            pressed += event.kind == DtmfEvent::Kind::down ? 1 : -1;
            require(pressed >= 0 && pressed <= 2); // a straggler's down and up may lie within another digit
        }
    };
    for (int packets = 0; !pieces.empty() && packets < 400; ++packets) {
        const std::uint32_t head = pieces.number(2);
        const Bytes datagram = pieces.take(head & 0x7ff);
        for (unsigned pause = head >> 11; pause > 0; --pause) {
            now += Duration{20};
            told(receiver.poll(now));
            receiver.read(frame, now);
        }
        (void)looks_like_rtcp(datagram);
        rtcp(datagram);
        if (const auto packet = parse_rtp(datagram)) {
            require(packet->payload.size() + rtp_header_size <= datagram.size());
            told(receiver.packet(*packet, now));
        }
        require(receiver.buffered() <= Duration{1000});
    }
    told(receiver.poll(now + Duration{10'000}));
    require(pressed == 0);
}
