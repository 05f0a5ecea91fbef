// The bounds of SCTP messages on their way through a connection that sees bytes.
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "sip/sctp_messages.hpp"

using namespace offhook;
using namespace offhook::sip;

namespace {

std::vector<Framing::Item> items(SctpFraming &framing, std::string bytes) {
    std::vector<Framing::Item> out;
    std::span<char> rest(bytes);
    while (true) {
        auto item = framing.next(rest);
        REQUIRE(item);
        if (!*item) return out;
        out.push_back(std::move(**item));
    }
}

} // namespace

TEST_SUITE("sip") {

    TEST_CASE("SCTP messages: what one side puts together the other takes apart, cut anywhere") {
        using Kind = Framing::Item::Kind;
        SctpFraming sender;
        std::string queue;
        sender.append(queue, "first");
        sender.append_ping(queue);
        sender.append(queue, "\r\n");
        sender.append(queue, std::string(300, 'x'));
        CHECK(sctp_messages::first(queue).size() == sctp_messages::prefix + 5);
        for (std::size_t cut = 0; cut <= queue.size(); ++cut) {
            SctpFraming receiver;
            auto got = items(receiver, queue.substr(0, cut));
            for (auto &item : items(receiver, queue.substr(cut)))
                got.push_back(std::move(item));
            REQUIRE(got.size() == 4);
            CHECK(got[0].bytes == "first");
            CHECK(got[1].kind == Kind::ping);
            CHECK(got[2].kind == Kind::pong);
            CHECK(got[3].bytes == std::string(300, 'x'));
        }
    }

    TEST_CASE("SCTP messages: parts are joined up to the end of the message, and 64 KiB are enough") {
        SctpReceived received;
        std::vector<char> into(7);
        CHECK(received.add("one", false));
        CHECK(received.take(into) == 0);
        CHECK(received.add(" two", true));
        CHECK(received.add("three", true));
        std::string stream;
        while (!received.empty())
            stream.append(into.data(), received.take(into));
        SctpFraming framing;
        const auto got = items(framing, stream);
        REQUIRE(got.size() == 2);
        CHECK(got[0].bytes == "one two");
        CHECK(got[1].bytes == "three");
        CHECK(received.add(std::string(sctp_messages::at_most, 'x'), false));
        CHECK_FALSE(received.add("x", true));
    }
}
