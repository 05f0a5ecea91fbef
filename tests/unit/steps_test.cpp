#include <doctest/doctest.h>

#include "phone/steps.hpp"

using namespace offhook;
using Kind = Step::Kind;

TEST_SUITE("phone steps") {
    TEST_CASE("every step of the language") {
        struct Row {
            const char *source;
            Kind kind;
            const char *text;
            int time_ms, limit_ms;
            std::vector<double> hz;
        };
        for (const auto &row : {
                 Row{"wait answer", Kind::wait_answer, "", 0, 60'000, {}},
                 Row{"wait answer 5s", Kind::wait_answer, "", 0, 5'000, {}},
                 Row{"wait ringing", Kind::wait_ringing, "", 0, 60'000, {}},
                 Row{"wait silence 3s", Kind::wait_silence, "", 3'000, 60'000, {}},
                 Row{"wait silence 500ms 10s", Kind::wait_silence, "", 500, 10'000, {}},
                 Row{"wait dtmf", Kind::wait_dtmf, "", 0, 60'000, {}},
                 Row{"wait dtmf 5#", Kind::wait_dtmf, "5#", 0, 60'000, {}},
                 Row{"wait dtmf 123", Kind::wait_dtmf, "123", 0, 60'000, {}}, // digits, not seconds
                 Row{"wait dtmf [0-9]{4}# 10s", Kind::wait_dtmf, "[0-9]{4}#", 0, 10'000, {}},
                 Row{"wait dtmf 10s", Kind::wait_dtmf, "", 0, 10'000, {}},
                 Row{"wait tone 440", Kind::wait_tone, "", 0, 60'000, {440}},
                 Row{"wait tone 440,480 2s", Kind::wait_tone, "", 0, 2'000, {440, 480}},
                 Row{"wait end", Kind::wait_end, "", 0, 60'000, {}},
                 Row{"wait 2s", Kind::wait_time, "", 2'000, 60'000, {}},
                 Row{"wait 2", Kind::wait_time, "", 2'000, 60'000, {}},
                 Row{"play my file.wav", Kind::play, "my file.wav", 0, 60'000, {}},
                 Row{"say \"one; two\"", Kind::say, "one; two", 0, 60'000, {}},
                 Row{"dtmf 12w3#", Kind::dtmf, "12w3#", 0, 60'000, {}},
                 Row{"record out.wav", Kind::record, "out.wav", 0, 60'000, {}},
                 Row{"hold", Kind::hold, "", 0, 60'000, {}},
                 Row{"resume", Kind::resume, "", 0, 60'000, {}},
                 Row{"mute", Kind::mute, "", 0, 60'000, {}},
                 Row{"unmute", Kind::unmute, "", 0, 60'000, {}},
                 Row{"expect dtmf 1 2s", Kind::expect_dtmf, "1", 0, 2'000, {}},
                 Row{"expect tone 440", Kind::expect_tone, "", 0, 10'000, {440}},
                 Row{"expect audio", Kind::expect_audio, "", 0, 10'000, {}},
                 Row{"hangup", Kind::hangup, "", 0, 60'000, {}},
             }) {
            CAPTURE(row.source);
            const auto steps = parse_steps(row.source);
            REQUIRE_MESSAGE(steps.has_value(), (steps ? std::string{} : steps.error().what));
            REQUIRE(steps->size() == 1);
            const auto &step = steps->front();
            CHECK(step.kind == row.kind);
            CHECK(step.text == row.text);
            CHECK(step.time.count() == row.time_ms);
            CHECK(step.limit.count() == row.limit_ms);
            CHECK(step.hz == row.hz);
            CHECK(step.source == row.source);
        }
    }

    TEST_CASE("steps end at semicolons and lines; empty ones are nothing") {
        const auto steps = parse_steps(" wait answer ;; play a.wav\n\nhangup;\n");
        REQUIRE(steps.has_value());
        REQUIRE(steps->size() == 3);
        CHECK((*steps)[1].source == "play a.wav");
        CHECK(parse_steps("")->empty());
    }

    TEST_CASE("a wrong step is named with its number and what was expected") {
        struct Row {
            const char *text, *says;
        };
        for (const auto &row : {
                 Row{"wait 1s; hold; wiat 2s",
                     "step 3 \"wiat 2s\": unknown step \"wiat\" (did you mean \"wait\"?)"},
                 Row{"wait answr", "expected answer, ringing, silence, dtmf, tone, end or a time such as 2s, "
                                   "not \"answr\""},
                 Row{"wait", "step 1 \"wait\": expected answer"},
                 Row{"expect silence", "expected dtmf, tone or audio"},
                 Row{"wait answer soon", "expected a time-out such as 10s, not \"soon\""},
                 Row{"wait 2s 3s", "takes one time"},
                 Row{"wait silence long", "expected how long it must be silent"},
                 Row{"wait tone", "expected one or two frequencies"},
                 Row{"wait tone 440,x", "expected one or two frequencies"},
                 Row{"wait tone 1,2,3", "expected one or two frequencies"},
                 Row{"wait dtmf [1", "is not a regular expression"},
                 Row{"dtmf 12z", "\"z\" is no DTMF digit"},
                 Row{"dtmf", "expected digits to send"},
                 Row{"play", "expected something after it"},
                 Row{"say", "expected a text to say"},
                 Row{"hold on", "takes nothing after it, not \"on\""},
             }) {
            CAPTURE(row.text);
            const auto steps = parse_steps(row.text);
            REQUIRE_FALSE(steps.has_value());
            CHECK(steps.error().code == Errc::invalid_argument);
            CHECK_MESSAGE(steps.error().what.find(row.says) != std::string::npos, steps.error().what);
        }
        CHECK(parse_steps("transfer sip:bob@example.com").has_value());
    }
}
