// What the bridge changes in messages and in RTP streams.
#include <string>

#include <doctest/doctest.h>

#include "bridge/rewrite.hpp"
#include "bridge/rtp_rewriter.hpp"
#include "bridge/settings_reader.hpp"
#include "bridge/web.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

const TimePoint start{std::chrono::hours(1)};

sip::Message parsed(const std::string &text) {
    auto m = sip::Message::parse(text);
    REQUIRE(m);
    return *m;
}

media::RtpHeader packet(std::uint16_t sequence, std::uint32_t timestamp, std::uint32_t ssrc = 5) {
    return {false, 0, sequence, timestamp, ssrc};
}

} // namespace

TEST_SUITE("bridge rewrite") {
    TEST_CASE("a request is forwarded without our routes and our users' credentials") {
        const auto request =
            parsed("INVITE sip:b@x.invalid SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
                   "Max-Forwards: 9\r\nRoute: <sip:T@ours;lr;r2=on>, <sip:T@ours;lr>\r\n"
                   "Route: <sip:other;lr>\r\nProxy-Authorization: Digest realm=\"house\", nonce=\"1\"\r\n"
                   "Authorization: Digest realm=\"elsewhere\", nonce=\"1\"\r\nContent-Length: 2\r\n\r\nhi");
        const auto draft = forwardable(
            request, [](const sip::Uri &uri) { return uri.host == "ours"; }, "house");
        CHECK(draft.get("Max-Forwards") == "8");
        CHECK(draft.get("Route") == "<sip:other;lr>");
        CHECK(draft.get("Proxy-Authorization").empty());
        CHECK_FALSE(draft.get("Authorization").empty());
        CHECK(draft.body == "hi");
    }

    TEST_CASE("a response goes back with one Via less, however they are written") {
        for (const std::string vias :
             {"Via: SIP/2.0/UDP us;branch=z9hG4bKx\r\nVia: SIP/2.0/WS p.invalid;branch=z9hG4bK2\r\n",
              "v: SIP/2.0/UDP us;branch=z9hG4bKx, SIP/2.0/WS p.invalid;branch=z9hG4bK2\r\n"}) {
            const auto draft = backward(parsed("SIP/2.0 200 OK\r\n" + vias + "Content-Length: 0\r\n\r\n"));
            const auto back = parsed(draft.encode());
            REQUIRE(back.list(sip::HeaderId::via).size() == 1);
            CHECK(back.value(sip::HeaderId::via) == "SIP/2.0/WS p.invalid;branch=z9hG4bK2");
        }
    }

    TEST_CASE("Max-Forwards and visits") {
        CHECK(max_forwards(parsed("OPTIONS sip:a SIP/2.0\r\n\r\n")) == 70);
        CHECK(max_forwards(parsed("OPTIONS sip:a SIP/2.0\r\nMax-Forwards: 0\r\n\r\n")) == 0);
        CHECK(max_forwards(parsed("OPTIONS sip:a SIP/2.0\r\nMax-Forwards: x\r\n\r\n")) == 70);
        const auto looped =
            parsed("OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/UDP us:1;branch=a, SIP/2.0/UDP b;branch=c\r\n"
                   "Via: SIP/2.0/UDP us:1;branch=d\r\n\r\n");
        CHECK(visits(looped, [](std::string_view host, unsigned short port) {
                  return host == "us" && port == 1;
              }) == 2);
    }

    TEST_CASE("session timers that phones refuse are lengthened, and browsers told theirs") {
        sip::Draft invite = sip::Draft::request("INVITE", "sip:a");
        invite.add("Session-Expires", "90;refresher=uac");
        fix_timers_towards_phone(invite);
        CHECK(invite.get("Session-Expires") == "1800;refresher=uac");
        invite.set("Session-Expires", "3600");
        fix_timers_towards_phone(invite);
        CHECK(invite.get("Session-Expires") == "3600");
        const auto asked = parsed("INVITE sip:a SIP/2.0\r\nSession-Expires: 90\r\n\r\n");
        sip::Draft ok;
        ok.status = 200;
        fix_timers_towards_browser(ok, asked);
        CHECK(ok.get("Session-Expires") == "1800;refresher=uac");
        sip::Draft busy;
        busy.status = 486;
        fix_timers_towards_browser(busy, asked);
        CHECK(busy.get("Session-Expires").empty());
    }

    TEST_CASE("a token leaves its list") {
        sip::Draft draft = sip::Draft::request("INVITE", "sip:a");
        draft.add("Supported", "timer, 100rel").add("k", "replaces");
        drop_token(draft, "Supported", "100REL");
        CHECK(parsed(draft.encode()).list(sip::HeaderId::supported) ==
              std::vector<std::string_view>{"timer", "replaces"});
        drop_token(draft, "Supported", "timer");
        drop_token(draft, "Supported", "replaces");
        CHECK_FALSE(parsed(draft.encode()).has(sip::HeaderId::supported));
    }

    TEST_CASE("one stream: contiguous over sources, time never goes back") {
        RtpRewriter stream(99, 1000, 50'000);
        TimePoint now = start;
        auto out = stream.rewrite(packet(7, 100), 1, 8000, now);
        REQUIRE(out);
        CHECK(out->sequence == 1000);
        CHECK(out->timestamp == 50'000);
        CHECK(out->ssrc == 99);
        CHECK(out->marker);
        now += Duration{20};
        CHECK(stream.rewrite(packet(8, 260), 1, 8000, now)->sequence == 1001);
        CHECK(stream.rewrite(packet(10, 580), 1, 8000, now)->sequence == 1003); // a loss stays a loss
        CHECK(stream.rewrite(packet(9, 420), 1, 8000, now)->sequence == 1002);  // and may be late
        now += Duration{40};
        out = stream.rewrite(packet(60'000, 4'000'000'000U, 6), 1, 8000, now); // another SSRC: music on hold
        CHECK(out->sequence == 1004);
        CHECK(out->timestamp == 50'000 + 480 + 320);
        now += Duration{20};
        out = stream.rewrite(packet(3, 10, 6), 2, 8000, now); // another fork with the same SSRC
        CHECK(out->sequence == 1005);
        CHECK(out->timestamp == 50'000 + 480 + 480);
        now += std::chrono::minutes(40);
        out = stream.rewrite(packet(4, 170, 6), 2, 8000, now); // after a long hold its clock had stopped
        CHECK(out->sequence == 1006);
        CHECK(out->timestamp == 50'000 + 480 + 640);
    }

    TEST_CASE("sequence numbers wrap like any others") {
        RtpRewriter stream(1, 65'534, 0);
        std::uint16_t expected = 65'534;
        for (int n = 0; n < 5; ++n, ++expected)
            CHECK(stream
                      .rewrite(
                          packet(static_cast<std::uint16_t>(65'533 + n), static_cast<std::uint32_t>(n * 160)),
                          0, 8000, start)
                      ->sequence == expected);
    }

    TEST_CASE("digits of ours find room between the packets") {
        RtpRewriter stream(1, 10, 0);
        stream.rewrite(packet(1, 0), 0, 8000, start);
        const auto digit = stream.insert(101, 160, true);
        CHECK(digit.sequence == 11);
        CHECK(digit.payload_type == 101);
        stream.skip(packet(2, 160)); // sound that the digit replaces
        CHECK(stream.insert(101, 160, false).sequence == 12);
        CHECK(stream.rewrite(packet(3, 320), 0, 8000, start)->sequence == 13);
    }

    TEST_CASE("what sockets, ranges, origins and media may look like") {
        CHECK(parse_web_socket("wss://0.0.0.0:8443")->kind == sip::TransportKind::wss);
        CHECK(parse_web_socket("ws://[::1]:80")->address.port() == 80);
        for (const char *bad :
             {"wss://0.0.0.0", "http://1.2.3.4:80", "wss://host:1", "ws://1.2.3.4:99999", ""})
            CHECK_FALSE_MESSAGE(parse_web_socket(bad), bad);
        CHECK(parse_sip_socket("tcp:127.0.0.1:0")->kind == sip::TransportKind::tcp);
        for (const char *bad : {"udp:127.0.0.1", "ws:127.0.0.1:1", "127.0.0.1:5060", "udp:host:5060"})
            CHECK_FALSE_MESSAGE(parse_sip_socket(bad), bad);
        CHECK(parse_port_range("30000-30999")->second == 30999);
        for (const char *bad : {"30000-31000", "100-199", "30000", "40000-30001", "65000-65536", "x-y"})
            CHECK_FALSE_MESSAGE(parse_port_range(bad), bad);
        for (const char *good : {"https://phone.example.com", "http://127.0.0.1:*", "*", "*.example.com"})
            CHECK_MESSAGE(parse_origin(good), good);
        for (const char *bad : {"", "a b", "ftp://x", "https://x/path", "'x'"})
            CHECK_FALSE_MESSAGE(parse_origin(bad), bad);
        for (const char *good : {"house.test", "192.0.2.1", "a-b.example.com"})
            CHECK_MESSAGE(parse_domain(good), good);
        for (const char *bad : {"", "a b", "https://x", "house.test,IP:192.0.2.1", "x/y"})
            CHECK_FALSE_MESSAGE(parse_domain(bad), bad);
        for (const char *good : {"anna", "+4930123", "anna.b", "jörg"})
            CHECK_MESSAGE(parse_user_name(good), good);
        for (const char *bad : {"", "anna b", "anna@x", "a:b", "a\"b", "<a>"})
            CHECK_FALSE_MESSAGE(parse_user_name(bad), bad);
        CHECK(parse_bridge_codec("PCMA").value() == "pcma");
        CHECK_FALSE(parse_bridge_codec("l16"));
        CHECK(parse_door_code("*5#"));
        CHECK_FALSE(parse_door_code("open"));
        Settings settings;
        settings.web = {parse_web_socket("wss://0.0.0.0:1").value(),
                        parse_web_socket("ws://127.0.0.1:1").value()};
        CHECK(check_web(settings));
        settings.web.push_back(parse_web_socket("ws://0.0.0.0:1").value());
        CHECK_FALSE(check_web(settings));
        settings.allow_ws = true;
        CHECK(check_web(settings));
        CHECK(parse_media("rtpengine:127.0.0.1:22222,[::1]:22222")->size() == 2);
        for (const char *bad : {"", "rtpengine:", "rtpengine:host", "janus:1:2", "rtpengine:a:0"})
            CHECK_FALSE_MESSAGE(parse_media(bad), bad);
    }

    TEST_CASE("paths of URLs stay inside the folder") {
        CHECK(safe_path("/") == "index.html");
        CHECK(safe_path("/js/app.js") == "js/app.js");
        CHECK(safe_path("//a///b.css") == "a/b.css");
        for (const char *bad : {"/../x", "/a/../b", "/.git/config", "/%2e%2e/x", "/a\\b", "/a b"})
            CHECK_MESSAGE(safe_path(bad).empty(), bad);
        CHECK(content_type("x.js") == "text/javascript; charset=utf-8");
        CHECK(content_type("x.exe") == "application/octet-stream");
    }
}
