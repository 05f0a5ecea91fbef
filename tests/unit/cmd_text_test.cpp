#include <doctest/doctest.h>

#include "base/text.hpp"
#include "cmd/nagios.hpp"
#include "cmd/narrate.hpp"
#include "cmd/record_name.hpp"
#include "cmd/status_line.hpp"

using namespace offhook;
using namespace offhook::cmd;

TEST_SUITE("cmd") {
    TEST_CASE("a peer's name cannot lead a recording out of its directory") {
        const auto when = std::chrono::system_clock::time_point{};
        CHECK(expand_record_name("{peer}.wav", "sip:bob@example.com;x=y", when) == "bob@example.com.wav");
        CHECK(expand_record_name("{peer}.wav", "sip:../../etc/x@h", when) == "_.._.._etc_x@h.wav");
        CHECK(expand_record_name("{peer}", "sip:{peer}@h", when) == "_peer_@h");
        CHECK(expand_record_name("{peer}", "sip:", when) == "_");
        CHECK(expand_record_name("r/{date}-{time}.wav", "x", when).size() == 23);
    }

    TEST_CASE("the status line fits its terminal") {
        StatusFacts facts;
        facts.since_start = Duration{65'000};
        CHECK(format_status(facts, 80) == "calling 1:05  (? help)");
        facts.call.state = sip::DialogState::confirmed;
        facts.call.talk = Duration{42'000};
        facts.call.codec = "opus/48000";
        facts.call.muted = true;
        facts.received_dbfs = -30;
        facts.stats.emplace();
        facts.stats->received.packets = 99;
        facts.stats->received.lost = 1;
        facts.stats->received.mos = 4.31;
        CHECK(format_status(facts, 100) ==
              "in call 0:42  opus/48000  [#####-----]  muted  loss 1.0 %  MOS 4.3  (? help)");
        for (std::size_t width = 0; width < 80; ++width)
            CHECK(display_width(format_status(facts, width)) <= width);
        CHECK(level_bar(-96) == "[----------]");
        CHECK(level_bar(3) == "[##########]");
    }

    TEST_CASE("Nagios gets one of four codes, one line, and figures") {
        CHECK(nagios_code(0) == 0);
        CHECK(nagios_code(10) == 1);
        CHECK(nagios_code(20) == 2);
        CHECK(nagios_code(40) == 2);
        CHECK(nagios_code(124) == 2);
        CHECK(nagios_code(2) == 3);
        CHECK(nagios_code(130) == 3);
        event::CallEnded ended;
        ended.answered = true;
        ended.pdd_ms = 12;
        ended.setup_ms = 120;
        ended.talk_ms = 2000;
        ended.stats.received.packets = 99;
        ended.stats.received.lost = 1;
        ended.stats.received.mos = 4.4;
        CHECK(nagios_line(0, "answered | opus", ended) ==
              "SIP OK - answered / opus | pdd=0.012s;;;0 setup=0.120s;;;0 talk=2.000s;;;0 loss=1.00%;;;0;100 "
              "jitter=0.0ms;;;0 mos=4.40;;;1;4.5");
        CHECK(nagios_line(20, "no route", std::nullopt) == "SIP CRITICAL - no route");
    }

    TEST_CASE("events are told in words a person understands") {
        event::CallEnded busy;
        busy.code = 486;
        busy.reason = "Busy Here";
        CHECK(narrate(busy, false).starts_with("failed    486 Busy Here"));
        event::CallAnswered answered;
        answered.setup_ms = 4'240;
        answered.call.codec = "opus/48000";
        CHECK(narrate(answered, false) == "answered after 4.2 s, opus/48000");
        event::CallIncoming incoming;
        incoming.call.remote = "sip:x@y";
        incoming.call.remote_name = "\x1b[31mBob";
        CHECK(narrate(incoming, false) == "call from \"\uFFFD[31mBob\" sip:x@y");
        CHECK(narrate(event::CallTrying{}, false).empty());
    }
}
