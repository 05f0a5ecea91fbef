// What the bridge changes in messages.
#include <string>

#include <doctest/doctest.h>

#include "bridge/rewrite.hpp"
#include "bridge/settings_reader.hpp"
#include "bridge/web.hpp"
#include "tests/support/text.hpp"

using namespace offhook;
using namespace offhook::bridge;
using offhook::test::parsed;

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
