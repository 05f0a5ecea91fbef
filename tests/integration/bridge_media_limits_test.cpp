// The bridge's media in process at its limits: ports, places for transcoding, forks, digits.
#include <algorithm>
#include <string>

#include <doctest/doctest.h>

#include "bridge/anchor.hpp"
#include "media/wire.hpp"
#include "tests/support/bridge_ends.hpp"
#include "tests/support/run_until.hpp"

using namespace offhook;
using namespace offhook::bridge;
using namespace offhook::test;

namespace {

const std::string opus_page = "a=rtpmap:111 opus/48000/2\r\n" + event_8k;

Datagram key_frame_request() { // RR and PLI (RFC 4585 §6.3.1)
    Datagram out(20);
    out[0] = 0x80;
    out[1] = 201;
    out[3] = 1;
    out[8] = 0x81;
    out[9] = 206;
    out[11] = 2;
    return out;
}

// How many requests for a key frame come within `patience`.
int key_frames_asked(const EndSocket &socket, Duration patience) {
    int count = 0;
    while (const auto bytes = socket.receive(patience))
        for (std::size_t at = 0; at + 8 <= bytes->size();) {
            if ((*bytes)[at + 1] == 206) ++count;
            at += (std::size_t{media::read_u16(*bytes, at + 2)} + 1) * 4;
        }
    return count;
}

} // namespace

TEST_SUITE("bridge media limits") {
    TEST_CASE("no port is left: that call is refused before anybody rings, the others go on") {
        Loop loop;
        Settings settings;
        settings.rtp_min = 40'700; // a port for one browser and a pair for one phone
        settings.rtp_max = 40'703;
        const auto plane = AnchorPlane::open(settings).value();
        BrowserEnd browser;
        PhoneEnd phone;
        MediaCall first(*plane, true, false);
        const auto to_phone = first.offer(End::caller, browser.sdp("8", "", "actpass"));
        REQUIRE_MESSAGE(to_phone, to_phone.error().what);
        const auto to_browser = first.answer(End::callee, phone.sdp("8"));
        REQUIRE_MESSAGE(to_browser, to_browser.error().what);
        first.session->settle(0);
        REQUIRE(browser.connect(*to_browser));
        for (const bool web : {true, false}) {
            MediaCall second(*plane, web, !web);
            const auto refused =
                second.offer(End::caller, web ? browser.sdp("8", "", "actpass") : phone.sdp("8"));
            REQUIRE_FALSE(refused);
            CHECK(refused.error().sip == 503);
            CHECK(refused.error().what.find("(40700-40703)") != std::string::npos);
        }
        Voice voice(8);
        std::optional<Packet> heard;
        for (int i = 0; i < 50 && !heard; ++i) {
            phone.send(*to_phone, voice.next());
            heard = browser.receive(Duration{100});
        }
        CHECK(heard);
    }

    TEST_CASE(
        "two calls for the last place of transcoding: the second is refused, and takes it when it is free") {
        Loop loop;
        Settings settings;
        settings.transcode = 1;
        const auto plane = AnchorPlane::open(settings).value();
        BrowserEnd browser;
        PhoneEnd phone;
        const std::string page = browser.sdp("111 101", opus_page, "actpass");
        auto first = std::make_unique<MediaCall>(*plane, true, false);
        MediaCall second(*plane, true, false), third(*plane, true, false);
        for (const auto *call : {first.get(), &second, &third})
            CHECK(call->offer(End::caller, page).value().find(" 0 ") != std::string::npos); // PCMU, made
        CHECK(first->answer(End::callee, phone.sdp("0")));
        const auto refused = second.answer(End::callee, phone.sdp("0"));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().sip == 488);
        CHECK(third.answer(End::callee, phone.sdp("111", "a=rtpmap:111 opus/48000/2\r\n"))); // needs none
        first.reset();
        MediaCall fourth(*plane, true, false);
        CHECK(fourth.offer(End::caller, page));
        CHECK(fourth.answer(End::callee, phone.sdp("0")));
    }

    TEST_CASE("a browser that ends its digits after one packet: the phone gets whole ones") {
        Loop loop;
        Settings settings;
        settings.transcode = 1;
        const auto plane = AnchorPlane::open(settings).value();
        BrowserEnd browser;
        PhoneEnd phone;
        MediaCall call(*plane, false, true);
        const auto to_browser = call.offer(End::caller, phone.sdp("0 101", event_8k)).value();
        call.answer(End::callee, browser.sdp("111 101", opus_page, "active")).value();
        call.session->settle(0);
        REQUIRE(browser.connect(to_browser));
        // As Chromium does with Opus and a telephone-event of 8 kHz: 960 units of 48 kHz are more than the
        // 800 of 8 kHz that make 100 ms.
        std::uint16_t sequence = 1;
        for (const std::uint8_t digit : {4, 2}) {
            const std::uint32_t time = 48'000 + digit * 9'600U;
            for (int repeat = 0; repeat < 3; ++repeat)
                browser.send({{repeat == 0, 101, sequence++, time, 9}, {digit, 0x8a, 0x03, 0xc0}});
        }
        std::vector<std::pair<int, unsigned>> digits; // and how many units it lasted
        for (int ends = 0; ends < 6;) {
            const auto packet = phone.receive();
            REQUIRE(packet);
            REQUIRE(packet->header.payload_type == 101);
            if (digits.empty() || digits.back().first != packet->payload[0])
                digits.emplace_back(packet->payload[0], 0);
            digits.back().second = media::read_u16(packet->payload, 2);
            ends += (packet->payload[1] & 0x80) != 0 ? 1 : 0;
        }
        REQUIRE(digits.size() == 2);
        CHECK(digits[0].first == 4);
        CHECK(digits[1].first == 2);
        for (const auto &[digit, units] : digits)
            CHECK(units >= 80 * 8);
    }

    TEST_CASE("early media of forks: who speaks is heard, the winner alone in the end, with a key frame") {
        Loop loop;
        const Settings settings;
        const auto plane = AnchorPlane::open(settings).value();
        BrowserEnd browser;
        PhoneEnd one, two;
        MediaCall call(*plane, true, false);
        call.session->add_branch(1, false, Address::parse("127.0.0.1", 5060).value());
        const std::string vp8 = " RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=rtcp-mux\r\n";
        std::string page = browser.sdp("8", "", "actpass") +
                           "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtcp-mux\r\na=rtpmap:96 "
                           "VP8/90000\r\n";
        const auto with_video = [&](const PhoneEnd &phone) {
            return phone.sdp("8", "", "m=video " + std::to_string(phone.video_port()) + vp8);
        };
        const auto to_one = call.offer(End::caller, page, 0).value();
        const auto to_two = call.offer(End::caller, page, 1).value();
        const auto to_browser = call.answer(End::callee, with_video(one), 0).value();
        CHECK(bridge_address(call.answer(End::callee, with_video(two), 1).value()) ==
              bridge_address(to_browser)); // one transport for all forks
        REQUIRE(browser.connect(to_browser));
        Voice sound(8), picture(96);
        const auto hear = [&](const PhoneEnd &phone, const std::string &sdp, Voice &voice, std::size_t line) {
            std::optional<Packet> heard;
            for (int i = 0; i < 50 && !heard; ++i) {
                phone.send(sdp, voice.next(), line);
                heard = browser.receive(Duration{100});
            }
            REQUIRE(heard);
            return heard->header;
        };
        const auto early = hear(one, to_one, sound, 0);
        const auto video = hear(one, to_one, picture, 1);
        CHECK(video.payload_type == 96);
        CHECK(video.ssrc != early.ssrc);
        const auto other = hear(two, to_two, sound, 0);
        CHECK(other.ssrc == early.ssrc);
        CHECK(other.sequence == static_cast<std::uint16_t>(early.sequence + 1));
        call.session->settle(1);
        CHECK(key_frames_asked(two.socket(1), Duration{500}) >= 1);
        CHECK(hear(two, to_two, picture, 1).ssrc == video.ssrc);
        one.send(to_one, sound.next());
        CHECK_FALSE(browser.receive(quiet));
    }

    TEST_CASE("a browser that asks for key frames all the time: one a second goes to the phone") {
        Loop loop;
        const Settings settings;
        const auto plane = AnchorPlane::open(settings).value();
        BrowserEnd browser;
        PhoneEnd phone;
        MediaCall call(*plane, true, false);
        const std::string page = browser.sdp("8", "", "actpass") +
                                 "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtcp-mux\r\na=rtpmap:96 "
                                 "VP8/90000\r\n";
        call.offer(End::caller, page).value();
        const auto to_browser =
            call.answer(End::callee, phone.sdp("8", "",
                                               "m=video " + std::to_string(phone.video_port()) +
                                                   " RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=rtcp-mux\r\n"))
                .value();
        call.session->settle(0);
        REQUIRE(browser.connect(to_browser));
        Datagram pli = key_frame_request();
        const auto parsed = to_browser.find("a=ssrc:", to_browser.find("m=video"));
        media::write_u32(pli, 16, static_cast<std::uint32_t>(std::stoul(to_browser.substr(parsed + 7))));
        for (int i = 0; i < 20; ++i)
            browser.send_rtcp(pli);
        const int asked = key_frames_asked(phone.socket(1), Duration{1'300});
        CHECK(asked >= 1);
        CHECK(asked <= 3); // at the answer, for these, and none that comes late
    }
}
