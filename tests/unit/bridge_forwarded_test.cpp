// Who is behind a reverse proxy.
#include <vector>

#include <doctest/doctest.h>

#include "bridge/forwarded.hpp"

using namespace offhook;

namespace {

// "" where the headers name nobody, "refused" where they are not taken.
std::string client(const std::string &headers) {
    const std::vector<Network> trusted{Network::parse("10.0.0.0/8").value(),
                                       Network::parse("fd00::1").value()};
    const auto head = sip::HttpHead::parse_request("GET /ws HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n");
    REQUIRE(head);
    const auto found = bridge::forwarded_client(*head, trusted);
    if (!found) {
        CHECK(found.error().sip == 400);
        return "refused";
    }
    return *found ? (*found)->to_string() : "";
}

} // namespace

TEST_CASE("X-Forwarded-For: the last one that is no proxy of ours") {
    CHECK(client("") == "");
    CHECK(client("X-Forwarded-For: 192.0.2.7\r\n") == "192.0.2.7:0");
    CHECK(client("X-Forwarded-For: 192.0.2.7:4711\r\n") == "192.0.2.7:4711");
    CHECK(client("X-Forwarded-For: 2001:db8::7\r\n") == "[2001:db8::7]:0");
    CHECK(client("X-Forwarded-For: [2001:db8::7]:4711\r\n") == "[2001:db8::7]:4711");
    CHECK(client("X-Forwarded-For: 192.0.2.7, 10.1.2.3, fd00::1\r\n") == "192.0.2.7:0");
    CHECK(client("x-forwarded-for: 192.0.2.7\r\nX-Forwarded-For: 10.1.2.3\r\n") == "192.0.2.7:0");
    CHECK(client("X-Forwarded-For: 10.1.2.3, 10.1.2.4\r\n") == "10.1.2.3:0");
}

TEST_CASE("X-Forwarded-For: what the client has written itself is hearsay") {
    CHECK(client("X-Forwarded-For: 203.0.113.9, 192.0.2.7, 10.1.2.3\r\n") == "192.0.2.7:0");
    CHECK(client("X-Forwarded-For: 10.9.9.9, 192.0.2.7\r\n") == "192.0.2.7:0");
    CHECK(client("X-Forwarded-For: localhost\"; drop, 192.0.2.7\r\n") == "192.0.2.7:0");
}

TEST_CASE("Forwarded: the same by for=") {
    CHECK(client("Forwarded: for=192.0.2.7\r\n") == "192.0.2.7:0");
    CHECK(client("Forwarded: proto=https; For=\"[2001:db8::7]:4711\" ;by=10.0.0.1\r\n") ==
          "[2001:db8::7]:4711");
    CHECK(client("Forwarded: for=203.0.113.9, for=192.0.2.7;host=a, for=\"10.1.2.3:99\"\r\n") ==
          "192.0.2.7:0");
    CHECK(client("Forwarded: for=192.0.2.7\r\nX-Forwarded-For: 192.0.2.7\r\n") == "192.0.2.7:0");
}

TEST_CASE("headers of proxies that say nothing clear are refused") {
    for (const char *headers :
         {"X-Forwarded-For: \r\n", "X-Forwarded-For: ,\r\n", "X-Forwarded-For: unknown\r\n",
          "X-Forwarded-For: 192.0.2.7:port\r\n", "X-Forwarded-For: 192.0.2.7:99999\r\n",
          "X-Forwarded-For: 192.0.2\r\n", "X-Forwarded-For: 192.0.2.7, house.test\r\n",
          "X-Forwarded-For: [2001:db8::7\r\n", "X-Forwarded-For: [2001:db8::7]4711\r\n",
          "X-Forwarded-For: fe80::1%eth0\r\n", "Forwarded: for=unknown\r\n", "Forwarded: for=_hidden\r\n",
          "Forwarded: proto=https\r\n", "Forwarded: for\r\n", "Forwarded: for=192.0.2.7;for=192.0.2.8\r\n",
          "Forwarded: for=\"192.0.2.7\r\n",
          // One of them is the client's own word.
          "X-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.8\r\n"}) {
        CAPTURE(headers);
        CHECK(client(headers) == "refused");
    }
    std::string many = "X-Forwarded-For: 10.0.0.1";
    for (int i = 0; i < 40; ++i)
        many += ",10.0.0.1";
    CHECK(client(many + "\r\n") == "refused");
}
