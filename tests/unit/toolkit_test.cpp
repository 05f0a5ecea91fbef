#include <doctest/doctest.h>

#include "base/text.hpp"
#include "cmd/cli_values.hpp"
#include "cmd/nagios.hpp"
#include "cmd/ping_stats.hpp"
#include "cmd/trace_calls.hpp"

using namespace offhook;
using namespace offhook::cmd;

namespace {

sip::CapturedMessage captured(std::string bytes, const char *from, const char *to, int ms) {
    return {std::chrono::system_clock::time_point(std::chrono::milliseconds(ms)), sip::TransportKind::udp,
            *Address::parse(from, 5060), *Address::parse(to, 5060), std::move(bytes)};
}

std::string message(const std::string &start, const std::string &call, const std::string &cseq,
                    const std::string &body = "") {
    return start +
           "\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:alice@a>;tag=1\r\nTo: "
           "<sip:bob@b>\r\nCall-ID: " +
           call + "\r\nCSeq: " + cseq + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
           body;
}

std::string rtp(std::uint16_t sequence, std::uint32_t timestamp) {
    std::string packet("\x80\x00", 2);
    packet += static_cast<char>(sequence >> 8U);
    packet += static_cast<char>(sequence & 0xffU);
    for (const unsigned shift : {24U, 16U, 8U, 0U})
        packet += static_cast<char>(timestamp >> shift & 0xffU);
    return packet + "SSRC" + std::string(160, '\x55');
}

} // namespace

TEST_SUITE("toolkit") {
    TEST_CASE("ping's figures are those of ping(8)") {
        PingStats stats;
        CHECK(stats.counts() == "0 requests, 0 answered, 0 % lost");
        CHECK(stats.times().empty());
        for (const double ms : {1.0, 2.0, 3.0}) {
            stats.sent();
            stats.answered(ms);
        }
        stats.sent();
        CHECK(stats.counts() == "4 requests, 3 answered, 25 % lost");
        CHECK(stats.times() == "round trip min/avg/max/mdev = 1.000/2.000/3.000/0.816 ms");
        Json facts = Json::object();
        stats.add_to(facts);
        CHECK(facts.dump() == R"({"sent":4,"answered":3,"loss_percent":25.0,)"
                              R"("rtt_ms":{"min":1.0,"avg":2.0,"max":3.0,"mdev":0.816}})");
    }

    TEST_CASE("texts of messages are shown with what could harm a terminal written out") {
        CHECK(escape_controls("a\tb\nc") == "a\tb\nc");
        CHECK(escape_controls(std::string_view("\0\x1b[2J\x7f\r", 7)) == "\\x00\\x1b[2J\\x7f\\x0d");
        CHECK(escape_controls("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
        CHECK(escape_controls("\xc2\x9b"
                              "31m") == "\\x9b31m"); // C1 CSI
        CHECK(escape_controls("\xe2\x80\xae"
                              "abc") == "\\u202eabc");      // right-to-left override
        CHECK(escape_controls("\xff\xc3") == "\\xff\\xc3"); // no UTF-8
        CHECK(is_utf8("gr\xc3\xbc\xc3\x9f"));
        CHECK_FALSE(is_utf8("gr\xfc\xdf"));
        CHECK_FALSE(is_utf8("\xed\xa0\x80"));
    }

    TEST_CASE("--expect takes statuses and classes") {
        CHECK(parse_expect("2xx"));
        CHECK(parse_expect("401,407,4x4"));
        CHECK(parse_expect("none"));
        for (const char *bad : {"", "200 OK", "1xx", "20", "2xxx", "xxx", "2xx,", "none,200"})
            CHECK_FALSE_MESSAGE(parse_expect(bad), bad);
        CHECK(status_matches(204, "2xx"));
        CHECK(status_matches(407, "401,407"));
        CHECK(status_matches(414, "4x4"));
        CHECK_FALSE(status_matches(200, "4xx,5xx"));
        CHECK_FALSE(status_matches(200, "none"));
    }

    TEST_CASE("send's headers and methods") {
        CHECK(parse_any_header("Contact: <sip:x@y>"));
        CHECK(parse_any_header("From: <sip:x@y>;tag=1"));
        for (const char *bad :
             {"Via: x", "v: x", "CSeq: 1 INVITE", "Content-Length: 3", "L: 3", "X", "X: a\rb", "X Y: z"})
            CHECK_FALSE_MESSAGE(parse_any_header(bad), bad);
        CHECK(parse_method_token("PUBLISH"));
        CHECK(parse_method_token("X-MY.method"));
        for (const char *bad : {"", "ACK", "CANCEL", "IN VITE", "INVITE\r\n"})
            CHECK_FALSE_MESSAGE(parse_method_token(bad), bad);
    }

    TEST_CASE("a line for Nagios has one bar at most") {
        CHECK(nagios_state_line(1, "a|b\n", " pl=0%") == "SIP WARNING - a/b\xEF\xBF\xBD | pl=0%");
        CHECK(nagios_state_line(0, "200 OK", "") == "SIP OK - 200 OK");
    }

    TEST_CASE("messages are sorted into calls, with retransmissions and RTP") {
        CallSorter sorter;
        const std::string sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n"
                                "m=audio 4000 RTP/AVP 0\r\n";
        const char *const a = "192.0.2.1", *const b = "192.0.2.2";
        const auto invite = message("INVITE sip:bob@b SIP/2.0", "one", "1 INVITE");
        sorter.add(captured(invite, a, b, 0));
        sorter.add(captured(invite, a, b, 500));
        sorter.add(captured(message("OPTIONS sip:b SIP/2.0", "two", "1 OPTIONS"), b, a, 600));
        sorter.add(captured(message("SIP/2.0 180 Ringing", "one", "1 INVITE"), b, a, 700));
        sorter.add(captured(message("SIP/2.0 200 OK", "one", "1 INVITE", sdp), b, a, 900));
        sorter.add(captured(message("BYE sip:b SIP/2.0", "one", "2 BYE"), a, b, 2000));
        sorter.add(captured(message("SIP/2.0 481 Gone", "one", "2 BYE"), b, a, 2100));
        REQUIRE(sorter.calls().size() == 2);
        const auto &call = sorter.calls()[0];
        CHECK(call.from == "sip:alice@a");
        CHECK(call.method == "INVITE");
        CHECK(call.status == 200);
        CHECK(call.seconds() == doctest::Approx(2.1));
        REQUIRE(call.messages.size() == 6);
        CHECK(call.messages[1].repeated);
        CHECK_FALSE(call.messages[0].repeated);
        CHECK(call.messages[3].entry.label == "200 OK (SDP)");
        CHECK(sorter.calls()[1].status == 0);

        const auto from = *Address::parse(a, 7000), to = *Address::parse(b, 4000);
        for (std::uint16_t i = 0; i < 50; ++i) {
            if (i == 10) continue; // lost
            const auto time = std::chrono::system_clock::time_point(std::chrono::milliseconds(1000 + i * 20));
            sorter.add_datagram(time, from, to, rtp(i, i * 160U));
            sorter.add_datagram(time, from, from, rtp(i, i * 160U)); // nobody announced that place
        }
        const auto streams = sorter.streams();
        REQUIRE(streams.size() == 1);
        CHECK(streams[0].codec == "PCMU");
        CHECK(streams[0].stats.packets() == 49);
        CHECK(streams[0].stats.lost() == 1);
        CHECK(streams[0].stats.jitter_ms() == doctest::Approx(0));
    }
}
