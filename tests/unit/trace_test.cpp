#include <algorithm>

#include <doctest/doctest.h>

#include "sip/ladder.hpp"
#include "sip/trace.hpp"

using namespace offhook;
using namespace offhook::sip;

namespace {

Flow flow() {
    return {TransportKind::udp, Address::parse("192.0.2.1", 5060).value(),
            Address::parse("192.0.2.2", 5070).value(), 0};
}

bool contains(const std::string &text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::size_t columns(std::string_view text) {
    std::size_t widest = 0, width = 0;
    for (const char c : text) {
        width = c == '\n' ? 0 : width + ((static_cast<unsigned char>(c) & 0xc0U) != 0x80U ? 1 : 0);
        widest = std::max(widest, width);
    }
    return widest;
}

LadderEntry entry(int ms, const char *from, const char *to, const char *label) {
    return {std::chrono::system_clock::time_point(std::chrono::milliseconds(ms)), from, to, label};
}

} // namespace

TEST_SUITE("trace") {

    TEST_CASE("a trace says when, how and where, and hides what a password could be guessed from") {
        const std::string message = "REGISTER sip:example.com SIP/2.0\r\n"
                                    "authorization : Digest username=\"alice\", realm=\"r\",\r\n"
                                    " response=\"0123456789abcdef0123456789abcdef\", nonce=\"n\"\r\n"
                                    "Proxy-Authorization: Basic c2VjcmV0\r\n"
                                    "X-Odd: a\x1b[31mred\r\n\r\n";
        const std::string text = format_trace(flow(), true, message, {});
        CHECK(text.starts_with("--- 1970-01-01T00:00:00.000Z sent udp:192.0.2.1:5060 -> 192.0.2.2:5070, "));
        CHECK(contains(text, "REGISTER sip:example.com SIP/2.0\n"));
        CHECK(contains(text, "username=\"alice\""));
        CHECK(contains(text, "nonce=\"n\""));
        CHECK(contains(text, "response=\"…hidden…\""));
        CHECK_FALSE(contains(text, "0123456789abcdef"));
        CHECK_FALSE(contains(text, "c2VjcmV0"));
        CHECK(contains(text, "a\\x1b[31mred"));
        CHECK_FALSE(contains(text, "\r"));
    }

    TEST_CASE("a ladder shows who sent what to whom") {
        const std::string text = format_ladder({entry(0, "alice", "pbx", "INVITE sip:bob@example.com (SDP)"),
                                                entry(20, "pbx", "bob", "INVITE sip:bob@192.0.2.2 (SDP)"),
                                                entry(1520, "bob", "pbx", "180 Ringing"),
                                                entry(1530, "pbx", "alice", "180 Ringing")});
        CHECK(columns(text) <= 80);
        CHECK(contains(text, "alice"));
        CHECK(contains(text, "  0.000 "));
        CHECK(contains(text, "  1.520 "));
        CHECK(contains(text, "- 180 Ringing -"));
        CHECK(contains(text, ">|"));
        CHECK(contains(text, "|<"));
        CHECK(std::ranges::count(text, '\n') == 5);
        CHECK(format_ladder({}).empty());
    }

    TEST_CASE("a ladder never exceeds its width") {
        std::vector<LadderEntry> entries;
        for (const char *to : {"a", "b", "c", "d", "e", "f", "g", "h"})
            entries.push_back(
                entry(0, "somebody-with-a-very-long-name.example.com", to,
                      "INVITE sip:a-very-long-user-name\x1b[31m@example.com;transport=tcp;with=more"));
        entries.push_back(entry(0, "g", "h", "beyond the last column"));
        entries.push_back(entry(0, "h", "h", "to itself"));
        for (const std::size_t width : {80U, 60U, 120U}) {
            const std::string text = format_ladder(entries, width);
            CHECK(columns(text) <= width);
            CHECK_FALSE(contains(text, "\x1b"));
        }
    }

    TEST_CASE("a recorder labels messages and gives addresses names") {
        LadderRecorder recorder;
        recorder.name(flow().local, "alice");
        recorder.tap(flow(), true, "INVITE sip:bob@example.com SIP/2.0\r\nCall-ID: 1\r\n\r\nv=0\r\n");
        recorder.tap(flow(), false, "SIP/2.0 180 Ringing\r\n\r\n");
        REQUIRE(recorder.entries().size() == 2);
        CHECK(recorder.entries()[0].from == "alice");
        CHECK(recorder.entries()[0].to == "192.0.2.2:5070");
        CHECK(recorder.entries()[0].label == "INVITE sip:bob@example.com (SDP)");
        CHECK(recorder.entries()[1].to == "alice");
        CHECK(recorder.entries()[1].label == "180 Ringing");
    }

} // TEST_SUITE
