#include <doctest/doctest.h>

#include "sip/keep_alive.hpp"

using namespace offhook;
using namespace offhook::sip;

namespace {

struct Fixture {
    void run(Duration time) {
        Timer end(loop);
        end.start(time, [&] { loop.stop(); });
        REQUIRE(loop.run());
    }

    Loop loop;
    Address here = Address::parse("192.0.2.1", 5060).value(), there = here.with_port(5070);
    Flow stream{TransportKind::tcp, here, there, 1}, datagram{TransportKind::udp, here, there, 0};
    std::vector<std::string> sent;
    std::vector<Flow> failed;
    bool answering = true;
    KeepAlive keep_alive{loop,
                         [this](const Flow &flow, std::string_view bytes) {
                             sent.emplace_back(bytes);
                             if (answering) keep_alive.pong(flow);
                         },
                         [this](const Flow &flow) { failed.push_back(flow); }, Duration(30)};
};

} // namespace

TEST_SUITE("transport") {

    TEST_CASE_FIXTURE(Fixture, "keep-alive: answered pings go on, and end when told to") {
        keep_alive.set(stream, Duration(10));
        run(Duration(120));
        CHECK(sent.size() >= 3);
        CHECK(sent.front() == "\r\n\r\n");
        CHECK(failed.empty());
        keep_alive.set(stream, Duration(0));
        const std::size_t before = sent.size();
        run(Duration(50));
        CHECK(sent.size() == before);
    }

    TEST_CASE_FIXTURE(Fixture, "keep-alive: a stream without pong has failed, a UDP flow has not") {
        answering = false;
        keep_alive.set(stream, Duration(10));
        keep_alive.set(datagram, Duration(10));
        run(Duration(150));
        REQUIRE(failed.size() == 1);
        CHECK(failed.front() == stream);
        CHECK(sent.back() == "\r\n"); // the stream's pings ended, those of UDP did not
    }

    TEST_CASE_FIXTURE(Fixture,
                      "keep-alive: a STUN server that has answered must go on, with the same address") {
        KeepAlive patient{loop, [this](const Flow &, std::string_view bytes) { sent.emplace_back(bytes); },
                          [this](const Flow &flow) { failed.push_back(flow); }, Duration(500)};
        const auto answer = [&](char port) { // XOR-MAPPED-ADDRESS 192.0.2.1, to the last request
            std::string out = sent.back();
            out[0] = 1;
            out[3] = 12;
            out += std::string("\0\x20\0\x08\0\x01\xa1", 7) + port + std::string("\xe1\x12\xa6\x43", 4);
            patient.stun(here, there, out);
        };
        patient.set(datagram, Duration(10), true);
        run(Duration(60)); // never answered: a server without STUN
        CHECK(failed.empty());
        CHECK(sent.back().size() == 20);
        CHECK(sent[sent.size() - 2] == "\r\n");
        answer('\x47');
        run(Duration(5));
        answer('\x47'); // twice the same is nothing new, and its ID is the old one
        CHECK(failed.empty());
        run(Duration(12));
        answer('\x48');
        REQUIRE(failed.size() == 1); // another address
        CHECK(failed.front() == datagram);
        const std::size_t before = sent.size();
        run(Duration(30));
        CHECK(sent.size() == before);
        patient.set(datagram, Duration(10), true);
        run(Duration(15));
        answer('\x47');
        run(Duration(700));
        CHECK(failed.size() == 2); // no answer any more
    }

} // TEST_SUITE
