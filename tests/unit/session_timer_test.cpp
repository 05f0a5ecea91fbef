// RFC 4028 row by row, and 90 s sessions under a clock that the test turns.
#include <algorithm>

#include <doctest/doctest.h>

#include "sip/session_timer.hpp"

using namespace offhook;
using namespace offhook::sip;
using Refresher = SessionTimer::Refresher;

namespace {

constexpr const char *common =
    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:a@example.com>;tag=1\r\n"
    "To: <sip:b@example.com>;tag=2\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n";

Message request(const std::string &headers) {
    return Message::parse("INVITE sip:b@example.com SIP/2.0\r\n" + (common + headers) + "\r\n").value();
}
Message response(unsigned status, const std::string &headers) {
    return Message::parse("SIP/2.0 " + std::to_string(status) + " X\r\n" + (common + headers) + "\r\n")
        .value();
}
std::string asked_for(const SessionTimer &timer) {
    Draft draft = Draft::request("INVITE", "sip:b@example.com");
    timer.ask(draft);
    return std::string(draft.get("Session-Expires")) + "|" + std::string(draft.get("Min-SE"));
}
std::string replied(const SessionTimer &timer) {
    Draft draft = Draft::response(request(""), 200);
    timer.reply(draft);
    return std::string(draft.get("Session-Expires")) + "|" + std::string(draft.get("Require"));
}

} // namespace

TEST_SUITE("sip session timer") {
    TEST_CASE("Session-Expires is read") {
        CHECK(SessionTimer::Expires::parse("90")->seconds == 90);
        CHECK(SessionTimer::Expires::parse("1800;refresher=uac")->uac);
        CHECK(SessionTimer::Expires::parse("1800 ; refresher=UAS;x=y")->uas);
        for (const char *bad : {"", "0", "x", "90;;", "-1"})
            CHECK_FALSE(SessionTimer::Expires::parse(bad).has_value());
    }

    TEST_CASE("a callee: what it agrees to (RFC 4028 §9, table 2)") {
        struct Row {
            const char *headers;
            Refresher refresher;
            std::uint32_t interval;
            const char *reply;
        };
        for (const Row &row : {
                 Row{"Supported: timer\r\nSession-Expires: 600\r\n", Refresher::peer, 600,
                     "600;refresher=uac|timer"},
                 Row{"Supported: timer\r\nSession-Expires: 600;refresher=uac\r\n", Refresher::peer, 600,
                     "600;refresher=uac|timer"},
                 Row{"Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n", Refresher::us, 600,
                     "600;refresher=uas|timer"},
                 Row{"Supported: timer\r\n", Refresher::us, 1800, "1800;refresher=uas|timer"},
                 Row{"Supported: timer\r\nMin-SE: 3600\r\n", Refresher::us, 3600, "3600;refresher=uas|timer"},
                 // A proxy asks, the caller does not know what for: we refresh, and require nothing.
                 Row{"Session-Expires: 600\r\n", Refresher::us, 600, "600;refresher=uas|"},
                 Row{"", Refresher::none, 0, "|"},
             }) {
            CAPTURE(row.headers);
            SessionTimer timer({});
            timer.asked(request(row.headers));
            CHECK(timer.refresher() == row.refresher);
            CHECK(timer.interval() == row.interval);
            CHECK(replied(timer) == row.reply);
        }
        SessionTimer indifferent({.interval = 0});
        indifferent.asked(request("Supported: timer\r\n"));
        CHECK(indifferent.refresher() == Refresher::none);
    }

    TEST_CASE("a callee: 422 for who understands it, nobody else") {
        const SessionTimer timer({});
        CHECK(timer.too_small(request("Supported: timer\r\nSession-Expires: 89\r\n")) == 90U);
        CHECK_FALSE(timer.too_small(request("Supported: timer\r\nSession-Expires: 90\r\n")));
        CHECK_FALSE(timer.too_small(request("Session-Expires: 10\r\n")));
        CHECK_FALSE(timer.too_small(request("Supported: timer\r\n")));
    }

    TEST_CASE("a caller: what it asks for and makes of the answer (§7.2)") {
        struct Row {
            const char *headers;
            Refresher refresher;
            std::uint32_t interval;
            const char *next; // what the next request asks for
        };
        for (const Row &row : {
                 Row{"Session-Expires: 1800;refresher=uac\r\n", Refresher::us, 1800, "1800;refresher=uac|"},
                 Row{"Session-Expires: 900;refresher=uas\r\n", Refresher::peer, 900, "900;refresher=uas|"},
                 Row{"Session-Expires: 900\r\n", Refresher::us, 900, "900;refresher=uac|"},
                 Row{"", Refresher::none, 0, "1800|"},
                 Row{"Session-Expires: soon\r\n", Refresher::none, 0, "1800|"},
                 Row{"Session-Expires: 1;refresher=uac\r\n", Refresher::us, 2, "2;refresher=uac|"},
             }) {
            CAPTURE(row.headers);
            SessionTimer timer({});
            CHECK(asked_for(timer) == "1800|");
            timer.answered(response(200, row.headers));
            CHECK(timer.refresher() == row.refresher);
            CHECK(timer.interval() == row.interval);
            CHECK(asked_for(timer) == row.next);
        }
    }

    TEST_CASE("a caller: 422 raises what is asked for, once for each Min-SE (§7.3)") {
        SessionTimer timer({.interval = 120});
        CHECK_FALSE(timer.raise(response(422, "")));
        CHECK_FALSE(timer.raise(response(422, "Min-SE: 100\r\n"))); // that was asked for
        CHECK(timer.raise(response(422, "Min-SE: 300\r\n")));
        CHECK(asked_for(timer) == "300|300");
        CHECK_FALSE(timer.raise(response(422, "Min-SE: 300\r\n")));
        CHECK(timer.raise(response(422, "Min-SE: 600\r\n")));
        CHECK(asked_for(timer) == "600|600");
    }

    TEST_CASE("when to refresh and when it is over (§10)") {
        SessionTimer timer({});
        CHECK_FALSE(timer.refresh_after());
        CHECK_FALSE(timer.expires_after());
        timer.answered(response(200, "Session-Expires: 90;refresher=uac\r\n"));
        CHECK(timer.refresh_after() == Duration{45'000});
        CHECK(timer.expires_after() == Duration{60'000}); // 90 - min(32, 30)
        timer.answered(response(200, "Session-Expires: 1800;refresher=uas\r\n"));
        CHECK_FALSE(timer.refresh_after());
        CHECK(timer.expires_after() == Duration{1'768'000});
    }

    TEST_CASE("sessions of 90 s for an hour: refreshed by one side in time, over when it falls silent") {
        for (const bool caller_refreshes : {true, false}) {
            CAPTURE(caller_refreshes);
            SessionTimer caller({.interval = 90}), callee({.interval = 90});
            // One exchange, with the caller or the callee as the client of it.
            const auto exchange = [](SessionTimer &client, SessionTimer &server,
                                     const std::string &refresher) {
                Draft ask = Draft::request("INVITE", "sip:b@example.com");
                client.ask(ask);
                std::string wish(ask.get("Session-Expires"));
                if (wish.find("refresher") == std::string::npos) wish += refresher;
                server.asked(request("Supported: timer\r\nSession-Expires: " + wish + "\r\n"));
                Draft reply = Draft::response(request(""), 200);
                server.reply(reply);
                client.answered(
                    response(200, "Session-Expires: " + std::string(reply.get("Session-Expires")) + "\r\n"));
            };
            exchange(caller, callee, caller_refreshes ? ";refresher=uac" : ";refresher=uas");
            SessionTimer &active = caller_refreshes ? caller : callee;
            SessionTimer &waiting = caller_refreshes ? callee : caller;
            REQUIRE(active.refresher() == Refresher::us);
            REQUIRE(waiting.refresher() == Refresher::peer);
            Duration now{0}, last{0};
            int refreshes = 0;
            while (now < std::chrono::hours(1)) {
                const Duration due = last + *active.refresh_after();
                CHECK(due < last + *waiting.expires_after()); // in time for the other side
                now = last = due;
                ++refreshes;
                exchange(active, waiting, "");
                CHECK(active.refresher() == Refresher::us); // who refreshes stays the same
                CHECK(waiting.refresher() == Refresher::peer);
            }
            CHECK(refreshes == 80);
            CHECK(*waiting.expires_after() == Duration{60'000}); // and then BYE
        }
    }
}
