#include <algorithm>
#include <ctime>
#include <string>

#include <doctest/doctest.h>

#include "sip/screen.hpp"

using namespace offhook::sip;

namespace {

struct Fields {
    std::string start = "INVITE sip:bob@example.com SIP/2.0";
    std::string via = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa";
    std::string cseq = "1 INVITE";
    std::string max_forwards = "70";
    std::string length = "0";
    std::string more = {}; // whole lines
    std::string body = {};
};

Screening judge(const Fields &f, bool stream = false) {
    const auto message = Message::parse(
        f.start + "\r\nVia: " + f.via +
        "\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: c\r\nCSeq: " + f.cseq +
        "\r\nMax-Forwards: " + f.max_forwards + "\r\n" + f.more +
        (f.length.empty() ? "" : "Content-Length: " + f.length + "\r\n") + "\r\n" + f.body);
    REQUIRE(message.has_value());
    return screen(*message, stream);
}

// What a datagram costs from its bytes to what everybody asks of it.
double milliseconds_of(const std::string &bytes) {
    const std::clock_t before = std::clock();
    if (const auto m = Message::parse(bytes)) {
        (void)screen(*m, false);
        (void)m->from();
        (void)m->addresses(HeaderId::contact);
        for (const auto element : m->list(HeaderId::via))
            (void)Via::parse(element);
        (void)AuthParams::parse(m->value(HeaderId::authorization));
        (void)m->find("Y");
    }
    return 1000.0 * static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
}

bool passes(const Fields &f) {
    return judge(f).verdict == Verdict::pass;
}

bool refused(const Fields &f, unsigned status = 400) {
    const auto s = judge(f);
    return s.verdict == Verdict::reject && s.status == status && !s.reason.empty();
}

// 2^8, 2^15, 2^16, 2^31, 2^32, 2^63, 2^64, each minus one, itself and plus one.
struct Boundary {
    const char *text;
    double value;
};
const Boundary boundaries[] = {{"0", 0},
                               {"1", 1},
                               {"127", 127},
                               {"128", 128},
                               {"254", 254},
                               {"255", 255},
                               {"256", 256},
                               {"257", 257},
                               {"32767", 32767},
                               {"32768", 32768},
                               {"65535", 65535},
                               {"65536", 65536},
                               {"65537", 65537},
                               {"2147483647", 2147483647.0},
                               {"2147483648", 2147483648.0},
                               {"4294967295", 4294967295.0},
                               {"4294967296", 4294967296.0},
                               {"4294967297", 4294967297.0},
                               {"9223372036854775807", 9.3e18},
                               {"9223372036854775808", 9.3e18},
                               {"18446744073709551615", 1.9e19},
                               {"18446744073709551616", 1.9e19},
                               {"18446744073709551617", 1.9e19},
                               {"36893488147419103232", 3.7e19}};
const char *const no_numbers[] = {"-1", "+1", "0x10", "1e3", "1.0", "a", "-999", "1 2", "\xd9\xa1"};

std::string at_boundary(const Boundary &b, std::string_view before, std::string_view after = "") {
    return std::string(before) + b.text + std::string(after);
}

} // namespace

TEST_SUITE("sip screen") {
    TEST_CASE("an ordinary request passes") {
        CHECK(passes({}));
    }

    TEST_CASE("numbers are judged at every power of two") {
        for (const auto &b : boundaries) {
            CAPTURE(std::string(b.text));
            CHECK(passes({.cseq = at_boundary(b, "", " INVITE")}) == (b.value < 2147483648.0));
            CHECK(passes({.max_forwards = b.text}) == (b.value <= 255));
            CHECK(passes({.length = b.text}) == (b.value == 0));
            CHECK(passes({.length = b.text, .body = std::string(256, 'x')}) == (b.value <= 256));
            CHECK(passes({.start = at_boundary(b, "INVITE sip:b@example.com:", " SIP/2.0")}) ==
                  (b.value >= 1 && b.value <= 65535));
            CHECK((judge({.via = at_boundary(b, "SIP/2.0/UDP a.example.com:")}).verdict == Verdict::pass) ==
                  (b.value >= 1 && b.value <= 65535));
            const auto seconds = parse_delta_seconds(b.text);
            REQUIRE(seconds.has_value());
            CHECK(*seconds == (b.value >= 4294967295.0 ? 4294967295U : static_cast<unsigned>(b.value)));
            const auto status = Message::parse(at_boundary(b, "SIP/2.0 ", " x\r\n\r\n"));
            CHECK(status.has_value() ==
                  (std::string(b.text).size() == 3 && b.value >= 100 && b.value <= 699));
        }
    }

    TEST_CASE("what is no number is refused") {
        for (const char *text : no_numbers) {
            CAPTURE(std::string(text));
            CHECK(refused({.cseq = std::string(text) + " INVITE"}));
            CHECK(refused({.max_forwards = text}));
            CHECK(refused({.length = text}));
            CHECK(refused({.start = std::string("INVITE sip:b@example.com:") + text + " SIP/2.0"}));
            CHECK_FALSE(parse_number(text).has_value());
        }
        CHECK(parse_number("18446744073709551615") == UINT64_MAX);
        CHECK_FALSE(parse_number(""));
    }

    TEST_CASE("faults and their answers") {
        struct Row {
            const char *what;
            Fields fields;
            Verdict verdict;
            unsigned status;
        };
        const std::string start = "SIP/2.0 200 OK";
        const Row rows[] = {
            {"other version", {.start = "INVITE sip:b@example.com SIP/3.0"}, Verdict::reject, 505},
            {"no version", {.start = "INVITE sip:b@example.com HTTP/1.1"}, Verdict::reject, 400},
            {"lower-case version", {.start = "INVITE sip:b@example.com sip/2.0"}, Verdict::pass, 0},
            {"tel", {.start = "INVITE tel:+4930123456 SIP/2.0"}, Verdict::pass, 0},
            {"foreign scheme", {.start = "INVITE mailto:b@example.com SIP/2.0"}, Verdict::reject, 416},
            {"headers in the URI",
             {.start = "INVITE sip:b@example.com?Subject=x SIP/2.0"},
             Verdict::reject,
             400},
            {"CSeq method", {.cseq = "1 BYE"}, Verdict::reject, 400},
            {"CSeq method in another case", {.cseq = "1 invite"}, Verdict::reject, 400},
            {"no Via", {.via = ""}, Verdict::drop, 0},
            {"second Via malformed",
             {.via = "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa, nonsense"},
             Verdict::pass,
             0},
            {"ACK", {.start = "ACK sip:b@example.com SIP/2.0", .cseq = "x ACK"}, Verdict::drop, 0},
            {"two From", {.more = "f: <sip:c@example.com>\r\n"}, Verdict::reject, 400},
            {"two Content-Length", {.more = "l: 0\r\n"}, Verdict::reject, 400},
            {"line without colon", {.more = "nonsense\r\n"}, Verdict::reject, 400},
            {"name that is no token", {.more = "a b: c\r\n"}, Verdict::reject, 400},
            {"bad Contact", {.more = "Contact: \"<sip:c@example.com>\r\n"}, Verdict::reject, 400},
            {"empty Contact", {.more = "Contact:\r\n"}, Verdict::reject, 400},
            {"bad Route", {.more = "Route: <sip:c@example.com\r\n"}, Verdict::reject, 400},
            {"response", {.start = start}, Verdict::pass, 0},
            {"a proxy's response, with two Vias",
             {.start = start, .more = "v: SIP/2.0/UDP b\r\n"},
             Verdict::pass,
             0},
            {"response of another version", {.start = "SIP/3.0 200 OK"}, Verdict::drop, 0},
            {"response, wrong length", {.start = start, .length = "9"}, Verdict::drop, 0},
        };
        for (const auto &row : rows) {
            CAPTURE(std::string(row.what));
            const auto s = judge(row.fields);
            CHECK(s.verdict == row.verdict);
            CHECK(s.status == row.status);
            CHECK(s.reason.empty() == (row.verdict == Verdict::pass));
        }
    }

    TEST_CASE("a stream is closed when its framing cannot be trusted") {
        CHECK(judge({}, true).verdict == Verdict::pass);
        for (const char *length : {"", "x", "5"}) {
            CAPTURE(std::string(length));
            const auto s = judge({.length = length}, true);
            CHECK(s.verdict == Verdict::close);
            CHECK(s.status == 400);
            const auto response = judge({.start = "SIP/2.0 200 OK", .length = length}, true);
            CHECK(response.verdict == Verdict::close);
            CHECK(response.status == 0);
        }
        CHECK(judge({.cseq = "x"}, true).verdict == Verdict::reject);
    }

    TEST_CASE("each mandatory header is missed") {
        for (const char *missing : {"Via", "From", "To", "Call-ID", "CSeq"}) {
            CAPTURE(std::string(missing));
            std::string bytes = "OPTIONS sip:b@example.com SIP/2.0\r\n";
            for (const auto &[name, value] :
                 {std::pair{"Via", "SIP/2.0/UDP a;branch=z9hG4bKa"},
                  std::pair{"From", "sip:a@example.com;tag=1"}, std::pair{"To", "sip:b@example.com"},
                  std::pair{"Call-ID", "c"}, std::pair{"CSeq", "1 OPTIONS"}})
                if (std::string(name) != missing) bytes += std::string(name) + ": " + value + "\r\n";
            const auto s = screen(*Message::parse(bytes + "\r\n"), false);
            CHECK(s.verdict == (std::string(missing) == "Via" ? Verdict::drop : Verdict::reject));
        }
    }

    // The goal is 5 ms for the worst datagram; here ten times that, for sanitizers.
    TEST_CASE("the worst 64 kB cost no more than linear time") {
        const std::string head = "INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n"
                                 "To: <sip:b@example.com>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n";
        const std::string names[] = {"From", "Contact", "Via", "Route", "Authorization", "X"};
        for (const std::string unit : {",",     "\"", ";",     ":", "<",  "<>", "\\", "\"\\",    "%",
                                       "%41",   "@",  "\r\n ", " ", "\t", "a,", ";a", ";a=b",    "<sip:a@b>,",
                                       "\"\",", "=",  "?",     "[", "\r", "\n", "(",  "sip:a@b,"}) {
            for (const auto &name : names) {
                std::string bytes = head;
                while (bytes.size() < 65000) { // as many full header lines as there is room for
                    std::string line = name + ": sip:a@b";
                    while (line.size() < 8000 && bytes.size() + line.size() < 65000)
                        line += unit;
                    bytes += line + "\r\n";
                }
                double ms = milliseconds_of(bytes);
                for (int again = 0; again < 4 && ms >= 50; ++again) // a busy machine costs CPU time, too
                    ms = std::min(ms, milliseconds_of(bytes));
                CAPTURE(unit);
                CAPTURE(name);
                CHECK(ms < 50);
            }
        }
    }
}
