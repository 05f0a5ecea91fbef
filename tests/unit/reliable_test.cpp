// RFC 3262 row by row.
#include <doctest/doctest.h>

#include "sip/reliable.hpp"

using namespace offhook;
using namespace offhook::sip;
using Verdict = ReliableReceiver::Verdict;

TEST_SUITE("sip reliable provisionals") {
    TEST_CASE("RAck and RSeq") {
        CHECK(RAck::parse("776656 1 INVITE").value() == RAck{776656, 1, "INVITE"});
        CHECK(RAck::parse(" 1\t2  INVITE ").value() == RAck{1, 2, "INVITE"});
        CHECK(RAck{7, 8, "INVITE"}.encode() == "7 8 INVITE");
        for (const char *bad : {"", "1", "1 2", "0 1 INVITE", "x 1 INVITE", "1 x INVITE",
                                "4294967296 1 INVITE", "1 2147483648 INVITE", "-1 1 INVITE"})
            CHECK_FALSE(RAck::parse(bad).has_value());
        CHECK(parse_rseq("4294967295") == 4294967295U);
        CHECK_FALSE(parse_rseq("0"));
        CHECK_FALSE(parse_rseq("4294967296"));
    }

    TEST_CASE("a caller acknowledges in order, once") {
        struct Row {
            std::uint32_t rseq;
            Verdict verdict;
        };
        ReliableReceiver receiver;
        for (const Row &row :
             {Row{100, Verdict::acknowledge}, Row{100, Verdict::repeated}, Row{102, Verdict::out_of_order},
              Row{101, Verdict::acknowledge}, Row{102, Verdict::acknowledge}, Row{7, Verdict::repeated}}) {
            CAPTURE(row.rseq);
            CHECK(receiver.receive(row.rseq) == row.verdict);
        }
    }

    TEST_CASE("a callee repeats at T1, 2*T1 … and gives up after 64*T1") {
        const Duration t1{500};
        ReliableSender sender(5);
        CHECK_FALSE(sender.busy());
        CHECK(sender.send(true, t1) == 5);
        CHECK(sender.busy());
        CHECK(sender.holds_back_success());
        Duration all{0};
        std::vector<Duration> waits;
        while (const auto wait = sender.next_wait(t1)) {
            waits.push_back(*wait);
            all += *wait;
        }
        CHECK(all == 64 * t1);
        CHECK(waits[0] == t1);
        CHECK(waits[1] == 2 * t1);
        CHECK(waits[2] == 4 * t1);
        CHECK(waits.size() == 7);
    }

    TEST_CASE("only the right PRACK acknowledges") {
        ReliableSender sender(5);
        CHECK_FALSE(sender.acknowledge({5, 1, "INVITE"}, 1)); // nothing sent
        (void)sender.send(false, Duration{500});
        CHECK_FALSE(sender.holds_back_success()); // no session description in it
        CHECK_FALSE(sender.acknowledge({6, 1, "INVITE"}, 1));
        CHECK_FALSE(sender.acknowledge({5, 2, "INVITE"}, 1));
        CHECK_FALSE(sender.acknowledge({5, 1, "UPDATE"}, 1));
        CHECK(sender.busy());
        CHECK(sender.acknowledge({5, 1, "INVITE"}, 1));
        CHECK_FALSE(sender.busy());
        CHECK_FALSE(sender.acknowledge({5, 1, "INVITE"}, 1)); // a second time
        CHECK(sender.send(true, Duration{500}) == 6);
    }
}
