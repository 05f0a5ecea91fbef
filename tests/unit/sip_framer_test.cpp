#include <ctime>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "sip/framer.hpp"

using namespace offhook::sip;

namespace {

using Kind = StreamFramer::Item::Kind;

std::string message(const std::string &headers, const std::string &body = "") {
    return "OPTIONS sip:a SIP/2.0\r\n" + headers + "\r\n" + body;
}

// Everything a stream yields when it arrives in pieces of `step` bytes; an error ends it as "!".
std::vector<std::string> frame(const std::string &stream, std::size_t step) {
    StreamFramer framer;
    std::vector<std::string> items;
    for (std::size_t at = 0; at < stream.size(); at += step) {
        framer.push(stream.substr(at, step));
        while (true) {
            const auto item = framer.next();
            if (!item) {
                CHECK(item.error().code == offhook::Errc::parse);
                CHECK_FALSE(framer.next().has_value()); // lost for good
                items.emplace_back("!");
                return items;
            }
            if (!*item) break;
            items.push_back((*item)->kind == Kind::ping   ? "ping"
                            : (*item)->kind == Kind::pong ? "pong"
                                                          : (*item)->bytes);
        }
    }
    return items;
}

bool lost(const std::string &stream) {
    return frame(stream, stream.size()) == std::vector<std::string>{"!"};
}

} // namespace

TEST_SUITE("sip framer") {
    TEST_CASE("messages are cut by Content-Length however the bytes arrive") {
        const std::vector<std::string> messages{
            message("Content-Length: 5\r\n", "ab\r\nc"),
            message("l:0\r\n"),
            message("X: y\r\n z\r\nCONTENT-LENGTH :\r\n  12\r\nY: z\r\n", "\r\n\r\nOPTIONS "),
            message("Call-ID: none\r\n"), // framed as 0, for screen() to refuse
            "SIP/2.0 200 OK\nl: 1\n\nx",  // LF alone
            message("Content-Lengths: 7\r\nX-l: 9\r\nSubject: l: 3\r\n", ""),
            message("Content-Length: 0000002\r\n", "\r\n"),
        };
        std::string stream;
        for (const auto &one : messages)
            stream += one;
        for (std::size_t step = 1; step <= stream.size(); step = step < 40 ? step + 1 : step * 2) {
            CAPTURE(step);
            CHECK(frame(stream, step) == messages);
        }
        CHECK(frame(stream, stream.size()) == messages);
    }

    TEST_CASE("keep-alives between messages are told apart") {
        const auto one = message("l: 0\r\n");
        CHECK(frame("\r\n", 2) == std::vector<std::string>{"pong"});
        CHECK(frame("\r\n\r\n", 4) == std::vector<std::string>{"ping"});
        CHECK(frame("\r\n\r\n" + one + "\r\n\r\n\r\n" + one + "\r\n", 4096) ==
              std::vector<std::string>{"ping", one, "ping", "pong", one, "pong"});
        CHECK(frame("\r\n" + one, 4096) == std::vector<std::string>{"pong", one});
        CHECK(frame("\n\n" + one, 1) == std::vector<std::string>{one});
        CHECK(frame("\r", 1).empty());
    }

    TEST_CASE("a stream that cannot be framed is lost") {
        CHECK(lost(message("Content-Length: 5\r\nContent-Length: 5\r\n", "abcde")));
        CHECK(lost(message("l: 5\r\nContent-Length: 6\r\n", "abcdef")));
        for (const char *length :
             {"", "-1", "+1", "0x1", "1 1", "a", "99999999999999999999999", "18446744073709551616",
              "4294967296", "4294967297", "65536", "2147483648"}) {
            CAPTURE(std::string(length));
            CHECK(lost(message("Content-Length: " + std::string(length) + "\r\n", "a")));
        }
        CHECK(lost("X: " + std::string(70000, 'x')));
        CHECK(lost(std::string(65537, 'x')));
    }

    TEST_CASE("the largest message passes and one byte more does not") {
        const std::string head = message("Content-Length: 00000\r\n");
        const auto sized = [&](std::size_t total) {
            const auto body = std::to_string(total - head.size());
            return message("Content-Length: " + body + "\r\n", std::string(total - head.size(), 'b'));
        };
        CHECK(frame(sized(65536), 1400) == std::vector<std::string>{sized(65536)});
        CHECK(lost(sized(65537)));
    }

    TEST_CASE("a good message before a bad one is still handed out") {
        const auto one = message("l: 0\r\n");
        CHECK(frame(one + message("l: x\r\n"), 4096) == std::vector<std::string>{one, "!"});
    }

    TEST_CASE("single bytes cost linear time") {
        std::string fold = "OPTIONS sip:a SIP/2.0\r\nX: y";
        while (fold.size() < 60000)
            fold += "\r\n ";
        for (const auto &stream :
             {message("Content-Length: 60000\r\n", std::string(60000, 'b')), fold + "\r\nl: 0\r\n\r\n",
              std::string(60000, '\r'), std::string(60000, '\n')}) {
            const std::clock_t before = std::clock();
            (void)frame(stream, 1);
            const double ms = 1000.0 * static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
            CHECK(ms < 1000); // quadratic would be 1.8 G steps
        }
        std::string many;
        for (int i = 0; i < 5000; ++i)
            many += message("l: 0\r\n");
        const std::clock_t before = std::clock();
        CHECK(frame(many, many.size()).size() == 5000);
        CHECK(1000.0 * static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC < 1000);
    }
}
