// The bridge's media in process, between a browser and a phone: a media plane, its worker, real sockets.
#include <algorithm>
#include <string>

#include <doctest/doctest.h>
#include <sys/socket.h>

#include "bridge/anchor.hpp"
#include "tests/support/bridge_ends.hpp"
#include "tests/support/run_until.hpp"

using namespace offhook;
using namespace offhook::bridge;
using namespace offhook::test;

namespace {

const std::string pcma_page = "a=rtpmap:8 PCMA/8000\r\na=rtpmap:126 telephone-event/8000\r\n";

struct Plane {
    explicit Plane(Settings with = {})
        : settings(std::move(with)), plane(AnchorPlane::open(settings).value()) {}
    Loop loop;
    Settings settings;
    std::unique_ptr<AnchorPlane> plane;
};

// A browser calls a phone with PCMA; both know where to send.
struct Talk {
    explicit Talk(AnchorPlane &plane, const std::string &browser_ip = "127.0.0.1",
                  const std::string &phone_ip = "127.0.0.1")
        : browser(browser_ip), phone(phone_ip), call(plane, true, false, browser_ip, phone_ip) {
        to_phone = call.offer(End::caller, browser.sdp("8 126", pcma_page, "actpass")).value();
        to_browser = call.answer(End::callee, phone.sdp("8 101", event_8k)).value();
    }
    void answered() {
        call.session->settle(0);
        REQUIRE(browser.connect(to_browser));
    }
    // Sends until one gets through: the worker is told of descriptions in its own time.
    Packet hear_phone(Voice &voice) {
        for (int i = 0; i < 50; ++i) {
            phone.send(to_phone, voice.next());
            if (auto packet = browser.receive(Duration{100})) return *packet;
        }
        FAIL("nothing comes from the phone");
        return {};
    }
    Packet hear_browser(Voice &voice) {
        for (int i = 0; i < 50; ++i) {
            browser.send(voice.next());
            if (auto packet = phone.receive(Duration{100})) return *packet;
        }
        FAIL("nothing comes from the browser");
        return {};
    }
    BrowserEnd browser;
    PhoneEnd phone;
    MediaCall call;
    std::string to_phone, to_browser;
};

bool has_ipv6() {
    const Fd fd(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto any = Address::parse("::1", 0).value();
    return fd && bind(fd.get(), any.sockaddr_ptr(), any.sockaddr_len()) == 0;
}

} // namespace

TEST_SUITE("bridge media") {
    TEST_CASE("a browser and a phone hear each other") {
        Plane plane;
        Talk talk(*plane.plane);
        talk.answered();
        CHECK(run_until(plane.loop, [&] { return talk.call.up == 1; }));
        Voice phone(8), browser(8);
        CHECK(talk.hear_phone(phone).header.payload_type == 8);
        CHECK(talk.hear_browser(browser).payload == Datagram(160, 0x55));
        CHECK(talk.call.lost.empty());
    }

    TEST_CASE("RTP of the phone before the handshake goes nowhere, and flows after it") {
        Plane plane;
        Talk talk(*plane.plane);
        talk.call.session->settle(0);
        Voice voice(8);
        REQUIRE(talk.browser.check(talk.to_browser)); // the bridge knows where the browser is
        for (int i = 0; i < 5; ++i)
            talk.phone.send(talk.to_phone, voice.next());
        CHECK_FALSE(talk.browser.receive_raw(quiet));
        REQUIRE(talk.browser.connect(talk.to_browser));
        CHECK(talk.hear_phone(voice).payload.size() == 160);
    }

    TEST_CASE("a certificate that was not announced: no keys, no sound, and the call is told") {
        Plane plane;
        BrowserEnd browser;
        browser.pretend(media::DtlsIdentity::create().value()->fingerprint().encode());
        PhoneEnd phone;
        MediaCall call(*plane.plane, true, false);
        const auto to_phone = call.offer(End::caller, browser.sdp("8", "", "actpass")).value();
        const auto to_browser = call.answer(End::callee, phone.sdp("8")).value();
        call.session->settle(0);
        browser.connect(to_browser); // the client may be done before the server looks at its certificate
        CHECK(run_until(plane.loop, [&] { return !call.lost.empty(); }));
        CHECK(call.lost == std::vector{End::caller});
        CHECK(call.up == 0);
        Voice voice(8);
        phone.send(to_phone, voice.next());
        CHECK_FALSE(browser.receive(quiet));
    }

    TEST_CASE("checks with another password are refused, and open no way in") {
        Plane plane;
        Talk talk(*plane.plane);
        talk.answered();
        Voice voice(8);
        talk.hear_phone(voice);
        BrowserEnd stranger;
        CHECK_FALSE(stranger.check(talk.to_browser, "wrongwrongwrongwrongwrong"));
        stranger.send_raw(Datagram(172, 0x80));
        talk.hear_phone(voice); // still to the browser
        CHECK_FALSE(stranger.receive_raw(quiet));
        CHECK(talk.call.session->facts(End::caller).rejected > 0);
    }

    TEST_CASE("a stranger's RTP does not move the phone's stream") {
        Plane plane;
        Talk talk(*plane.plane);
        talk.answered();
        Voice phone(8), browser(8), forged(8, 500);
        talk.hear_phone(phone);
        PhoneEnd stranger; // the same host, another port
        stranger.send(talk.to_phone, forged.next());
        CHECK_FALSE(talk.browser.receive(quiet));
        CHECK(talk.hear_browser(browser).payload.size() == 160);
        CHECK_FALSE(stranger.receive(Duration{1}));
    }

    TEST_CASE("IPv6 on one side, IPv4 on the other, both ways") {
        if (!has_ipv6()) {
            MESSAGE("no IPv6 on this host");
            return;
        }
        Plane plane;
        const std::pair<const char *, const char *> rows[] = {{"127.0.0.1", "::1"}, {"::1", "127.0.0.1"}};
        for (const auto &[browser_ip, phone_ip] : rows) {
            Talk talk(*plane.plane, browser_ip, phone_ip);
            CHECK(talk.to_phone.find(std::string("c=IN IP") +
                                     (std::string(phone_ip) == "::1" ? "6 ::1" : "4 127.0.0.1")) !=
                  std::string::npos);
            talk.answered();
            Voice phone(8), browser(8);
            CHECK(talk.hear_phone(phone).payload.size() == 160);
            CHECK(talk.hear_browser(browser).payload.size() == 160);
        }
    }

    TEST_CASE("an INVITE without an offer: the browser's offer in the 200, the phone's answer in the ACK") {
        Plane plane;
        BrowserEnd browser;
        PhoneEnd phone;
        MediaCall call(*plane.plane, false, true);
        const auto to_phone = call.offer(End::callee, browser.sdp("8 126", pcma_page, "actpass")).value();
        call.session->settle(0);
        const auto to_browser = call.answer(End::caller, phone.sdp("8 101", event_8k)).value();
        REQUIRE(browser.connect(to_browser));
        Voice voice(8);
        std::optional<Packet> heard;
        for (int i = 0; i < 50 && !heard; ++i) {
            phone.send(to_phone, voice.next());
            heard = browser.receive(Duration{100});
        }
        CHECK(heard);
    }

    TEST_CASE("a re-INVITE to another codec, and a setup that comes late: one stream, one handshake") {
        Plane plane;
        Talk talk(*plane.plane);
        talk.answered();
        Voice pcma(8), pcmu(0, 60'000);
        Packet before = talk.hear_phone(pcma);
        const auto offer = talk.call.offer(End::callee, talk.phone.sdp("0")).value();
        CHECK(offer.find("a=setup:passive") != std::string::npos);
        CHECK(bridge_address(offer) == bridge_address(talk.to_browser));
        talk.call.answer(End::caller, talk.browser.sdp("0", "", "")).value();
        Packet after = talk.hear_phone(pcmu);
        CHECK(after.header.payload_type == 0);
        CHECK(after.header.ssrc == before.header.ssrc);
        CHECK(after.header.sequence == static_cast<std::uint16_t>(before.header.sequence + 1));
        talk.call.offer(End::callee, talk.phone.sdp("0")).value();
        talk.call.answer(End::caller, talk.browser.sdp("0", "", "active")).value();
        CHECK(talk.hear_phone(pcmu).header.ssrc == before.header.ssrc);
    }

    TEST_CASE("the source's numbers go round: the browser's stream does not notice") {
        Plane plane;
        Talk talk(*plane.plane);
        talk.answered();
        Voice voice(8, 65'500);
        Packet last = talk.hear_phone(voice);
        for (int i = 0; i < 80; ++i) {
            const Packet next = talk.hear_phone(voice);
            CHECK(next.header.sequence == static_cast<std::uint16_t>(last.header.sequence + 1));
            last = next;
        }
    }

    TEST_CASE("whoever does not want to receive is sent nothing") {
        Plane plane;
        Talk talk(*plane.plane);
        talk.answered();
        Voice phone(8), browser(8);
        talk.hear_browser(browser);
        talk.call.offer(End::callee, talk.phone.sdp("8 101", event_8k + "a=sendonly\r\n")).value();
        talk.call.answer(End::caller, talk.browser.sdp("8 126", pcma_page + "a=recvonly\r\n", "active"))
            .value();
        talk.hear_phone(phone); // music; and the new description is in force
        talk.browser.send(browser.next());
        CHECK_FALSE(talk.phone.receive(quiet));
        talk.call.offer(End::callee, talk.phone.sdp("8 101", event_8k)).value();
        talk.call.answer(End::caller, talk.browser.sdp("8 126", pcma_page, "active")).value();
        CHECK(talk.hear_browser(browser).payload.size() == 160);
    }
}
