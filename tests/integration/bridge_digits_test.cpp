// Digits that the bridge sends (for an INFO) and telephone-events of the browser at the same moment.
#include <string>

#include <doctest/doctest.h>

#include "bridge/anchor.hpp"
#include "tests/support/bridge_ends.hpp"

using namespace offhook;
using namespace offhook::bridge;
using namespace offhook::test;

namespace {

const std::string pcma_page = "a=rtpmap:8 PCMA/8000\r\na=rtpmap:126 telephone-event/8000\r\n";

// The packets of one digit as a browser sends them, 20 ms each; the last one three times.
struct Event {
    Event(std::uint8_t digit_, std::uint32_t time_, std::uint16_t sequence_)
        : digit(digit_), time(time_), sequence(sequence_) {}
    Packet next(bool ends = false) {
        units += ends ? 0 : 160;
        const auto flags = static_cast<std::uint8_t>(ends ? 0x8a : 0x0a);
        return {{units == 160 && !ends, 126, sequence++, time, 9},
                {digit, flags, static_cast<std::uint8_t>(units >> 8), static_cast<std::uint8_t>(units)}};
    }
    std::uint8_t digit;
    std::uint32_t time;
    std::uint16_t sequence;
    unsigned units = 0;
};

struct Talk {
    Talk() : plane(AnchorPlane::open(settings).value()), call(*plane, true, false) {
        call.offer(End::caller, browser.sdp("8 126", pcma_page, "actpass")).value();
        const auto answer = call.answer(End::callee, phone.sdp("8 101", event_8k)).value();
        call.session->settle(0);
        REQUIRE(browser.connect(answer));
        // Until sound gets through: the worker knows everything.
        Voice voice(8);
        for (int i = 0; i < 50; ++i) {
            browser.send(voice.next());
            if (phone.receive(Duration{100})) return;
        }
        FAIL("no sound");
    }
    // What the phone takes for digits: one for each timestamp, and how often it was told of its end.
    struct Heard {
        int digit;
        std::uint32_t time;
        int ends;
    };
    void listen(Duration patience) {
        while (const auto packet = phone.receive(patience)) {
            if (packet->header.payload_type != 101) continue;
            if (heard.empty() || heard.back().time != packet->header.timestamp)
                heard.push_back({packet->payload[0], packet->header.timestamp, 0});
            heard.back().ends += (packet->payload[1] & 0x80) != 0 ? 1 : 0;
        }
    }
    [[nodiscard]] std::string digits() const {
        std::string out;
        for (const auto &one : heard)
            out += one.ends > 0 ? std::to_string(one.digit) : "?";
        return out;
    }

    Loop loop;
    Settings settings;
    std::unique_ptr<AnchorPlane> plane;
    BrowserEnd browser;
    PhoneEnd phone;
    MediaCall call;
    std::vector<Heard> heard;
};

constexpr Duration tick{20}, all_said{400};

} // namespace

TEST_SUITE("bridge digits") {
    TEST_CASE("events of the browser while digits of ours are sent: each is heard, once") {
        Talk talk;
        talk.call.session->send_digit(End::callee, '5', Duration{160});
        talk.call.session->send_digit(End::callee, '6', Duration{160});
        const auto first = talk.phone.receive(); // it has begun
        REQUIRE(first);
        Event seven(7, 90'000, 100), eight(8, 93'000, 120);
        for (Event *event : {&seven, &eight}) {
            for (int i = 0; i < 5; ++i) {
                talk.browser.send(event->next());
                talk.listen(tick);
            }
            for (int i = 0; i < 3; ++i)
                talk.browser.send(event->next(true));
        }
        talk.listen(all_said);
        CHECK(talk.digits() == "5678");
    }

    TEST_CASE("a digit of ours waits for the end of an event of the browser") {
        Talk talk;
        Event seven(7, 90'000, 100);
        talk.browser.send(seven.next());
        REQUIRE(talk.phone.receive());
        talk.call.session->send_digit(End::callee, '5', Duration{160});
        for (int i = 0; i < 10; ++i) { // pressed for long
            talk.browser.send(seven.next());
            talk.listen(tick);
        }
        for (int i = 0; i < 3; ++i)
            talk.browser.send(seven.next(true));
        talk.listen(all_said);
        CHECK(talk.digits() == "75");
    }

    TEST_CASE("an event whose end is lost holds ours up for a moment only") {
        Talk talk;
        Event seven(7, 90'000, 100);
        talk.browser.send(seven.next());
        REQUIRE(talk.phone.receive());
        talk.call.session->send_digit(End::callee, '5', Duration{160});
        talk.listen(all_said);
        REQUIRE(talk.heard.size() == 1);
        CHECK(talk.digits() == "5");
    }
}
