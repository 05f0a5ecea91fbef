// Telephone-events in any order, INFO bodies, and digits to send.
#include <string>

#include "media/dtmf.hpp"
#include "media/inband_dtmf.hpp"
#include "tests/fuzz/body.hpp"

using namespace offhook;
using namespace offhook::fuzz;
using namespace offhook::media;

namespace {

// (2 bits of SSRC, 6 of pause; timestamp; event, flags, duration)...
void receive(Pieces pieces) {
    DtmfReceiver receiver;
    TimePoint now{};
    int down = 0;
    const auto told = [&](const std::vector<DtmfEvent> &events) {
        for (const auto &event : events) {
            down += event.kind == DtmfEvent::Kind::down ? 1 : -1;
            require(down >= 0 && down <= 2); // a straggler's down and up may lie within another digit
            require(dtmf_event_code(event.digit).has_value());
        }
    };
    for (std::uint16_t sequence = 0; !pieces.empty(); ++sequence) {
        const std::uint8_t head = pieces.byte();
        const std::uint32_t timestamp = pieces.number(2) * 80;
        const Bytes payload = pieces.take(head % 7 == 0 ? 3 : 4);
        now += Duration{head >> 2};
        told(receiver.poll(now));
        told(receiver.received({{false, 101, sequence, timestamp, head & 3U}, payload}, now));
        require(receiver.active() == (down == 1));
    }
    told(receiver.poll(now + Duration{1000}));
    require(down == 0 && !receiver.active());
}

void send(std::string_view digits) {
    DtmfSender sender({});
    if (!sender.send(digits)) return;
    std::uint32_t timestamp = 0;
    std::size_t ticks = 0;
    for (; sender.busy(); ++ticks, timestamp += 160) {
        (void)sender.poll(timestamp);
        require(ticks < 40 * (digits.size() + 1));
    }
}

} // namespace

FUZZ_BODY(dtmf) {
    receive(Pieces(input));
    const auto text = text_of(input);
    for (const auto *type : {"application/dtmf-relay", "application/dtmf", "audio/telephone-event"})
        if (const auto event = parse_dtmf_info(type, text)) {
            require(dtmf_event_code(event->digit).has_value());
            const auto again =
                parse_dtmf_info("application/dtmf-relay", dtmf_relay_body(event->digit, event->length));
            require(again && again->digit == event->digit);
        }
    const auto line = text.find('\n');
    (void)parse_dtmf_info(text.substr(0, line), line == text.npos ? text : text.substr(line + 1));
    send(text.substr(0, 64));
    InbandDtmf tones;
    tones.send(text.substr(0, 16));
    std::vector<std::int16_t> frame(160);
    for (int i = 0; tones.busy(); ++i) {
        tones.fill(frame, 8000);
        require(i < 16 * 30);
    }
}
