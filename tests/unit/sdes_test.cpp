#include <doctest/doctest.h>

#include "media/offer_answer.hpp"
#include "media/secure_channel.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

const std::string key80 = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"; // RFC 4568 §4.1

LocalMedia local(SrtpPolicy policy) {
    return {.rtp = Address::parse("192.0.2.1", 4000).value(),
            .public_ip = "",
            .codecs = parse_codec_list("pcmu").value(),
            .transport = {.srtp = policy}};
}

std::string body(const std::string &protocol, const std::string &lines, int port = 5000) {
    return "v=0\r\no=bob 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio " +
           std::to_string(port) + " " + protocol + " 0\r\n" + lines;
}

std::string crypto(const std::string &text) {
    return "a=crypto:" + text + "\r\n";
}
const std::string line80 = crypto("1 AES_CM_128_HMAC_SHA1_80 inline:" + key80);
const std::string line32 = crypto("2 AES_CM_128_HMAC_SHA1_32 inline:" + key80);

SdpMedia media_of(const Result<std::string> &text) {
    REQUIRE_MESSAGE(text, (text ? "" : text.error().what));
    return Sdp::parse(*text).value().media.at(0);
}

// What `ours` says to `offer`: the answer's audio line.
Result<std::string> answer(OfferAnswer &ours, const std::string &offer) {
    if (auto applied = ours.apply_offer(offer); !applied) return fail(applied.error());
    return ours.make_answer();
}

} // namespace

TEST_SUITE("sdes") {

    TEST_CASE("a=crypto lines that can be used") {
        for (const std::string &text : {
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80,
                 "1 aes_cm_128_hmac_sha1_80 INLINE:" + key80,
                 "  1\tAES_CM_128_HMAC_SHA1_80   inline:" + key80 + "  ",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|2^20",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|1048576 WSH=64",
                 "999999999 AES_CM_128_HMAC_SHA1_32 inline:" + key80 + " -IGNORE=1",
             }) {
            CAPTURE(text);
            const auto line = parse_crypto(text);
            REQUIRE(line);
            CHECK(line->key.bytes()[0] == 'Y');
            CHECK(parse_crypto(encode(*line))->key == line->key);
        }
        for (const SrtpSuiteInfo &suite : srtp_suites()) {
            const CryptoLine line{7, std::string(suite.sdes_name), SrtpKey::random(suite.suite)};
            const auto again = parse_crypto(encode(line));
            REQUIRE(again);
            CHECK(again->key == line.key);
            std::string unpadded = encode(line);
            while (unpadded.back() == '=')
                unpadded.pop_back();
            CHECK(parse_crypto(unpadded)->key == line.key);
        }
    }

    TEST_CASE("an MKI is in each of the peer's packets, and taken out of them") {
        CHECK(parse_crypto("1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|2^20|1:4")->mki ==
              std::vector<std::uint8_t>{0, 0, 0, 1});
        CHECK(parse_crypto("1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|513:2")->mki ==
              std::vector<std::uint8_t>{2, 1});
        CHECK(parse_crypto("1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|1:128")->mki.size() == 128);
        CHECK(parse_crypto("1 AES_CM_128_HMAC_SHA1_80 inline:" + key80)->mki.empty());

        // libsrtp2 puts it there in the reference tests; here by hand, before the tag or, with GCM, behind
        // it.
        for (const SrtpSuiteInfo &suite : srtp_suites()) {
            CAPTURE(suite.sdes_name);
            const SrtpKey key = SrtpKey::random(suite.suite), back = SrtpKey::random(suite.suite);
            SecureChannel sender, receiver;
            REQUIRE(sender.use({key, back, {}}));
            REQUIRE(receiver.use({back, key, {7, 8, 9}}));
            const bool aead = suite.sdes_name.starts_with("AEAD");
            const bool brief = suite.suite == SrtpSuite::aes128_cm_sha1_32;
            for (const bool control : {false, true}) {
                std::vector<std::uint8_t> packet(200, 1);
                packet[0] = 0x80;
                packet[1] = control ? 201 : 0;
                const auto sealed = control ? sender.seal_rtcp(packet, 160) : sender.seal_rtp(packet, 160);
                REQUIRE(sealed);
                std::vector<std::uint8_t> plain(sealed->begin(), sealed->end());
                const std::ptrdiff_t tag = aead ? 0 : brief && !control ? 4 : 10;
                std::vector<std::uint8_t> marked = plain, wrong = plain;
                marked.insert(marked.end() - tag, {7, 8, 9});
                wrong.insert(wrong.end() - tag, {7, 8, 8});
                const auto open = [&](std::vector<std::uint8_t> bytes) {
                    const auto opened = control ? receiver.open_rtcp(bytes) : receiver.open_rtp(bytes);
                    return opened && opened->size() == 160 && (*opened)[100] == 1;
                };
                CHECK_FALSE(open(plain));
                CHECK_FALSE(open(wrong));
                CHECK_FALSE(open({0x80, 0, 7, 8, 9}));
                CHECK(open(marked));
            }
            CHECK(receiver.rejected() == 6);
        }
    }

    TEST_CASE("a=crypto lines that cannot") {
        for (const std::string &text : {
                 std::string(),
                 std::string("1"),
                 std::string("1 AES_CM_128_HMAC_SHA1_80"),
                 std::string("1 AES_CM_128_HMAC_SHA1_80 inline:"),
                 "x AES_CM_128_HMAC_SHA1_80 inline:" + key80,
                 "-1 AES_CM_128_HMAC_SHA1_80 inline:" + key80,
                 "1234567890 AES_CM_128_HMAC_SHA1_80 inline:" + key80,
                 "1 F8_128_HMAC_SHA1_80 inline:" + key80,
                 "1 NULL_HMAC_SHA1_80 inline:" + key80,
                 "1 AES_CM_128_HMAC_SHA1_80 uri:" + key80,
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80.substr(1),
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "A",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80.substr(1) + "*",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|1:129",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|1:0",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|256:1",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|:4",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|x:4",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|1:4|2^20",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + "|99999999999:4",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + ";inline:" + key80,
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + " UNENCRYPTED_SRTP",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + " UNAUTHENTICATED_SRTP",
                 "1 AES_CM_128_HMAC_SHA1_80 inline:" + key80 + " KDR=4",
                 "1 AEAD_AES_128_GCM inline:" + key80,
             }) {
            CAPTURE(text);
            CHECK_FALSE(parse_crypto(text));
        }
    }

    TEST_CASE("what is offered") {
        struct Row {
            SrtpPolicy policy;
            const char *protocol;
            std::size_t lines;
        };
        for (const Row &row : {Row{SrtpPolicy::off, "RTP/AVP", 0}, Row{SrtpPolicy::optional, "RTP/AVP", 4},
                               Row{SrtpPolicy::required, "RTP/SAVP", 4}}) {
            OfferAnswer machine(local(row.policy));
            const auto offer = machine.make_offer();
            const SdpMedia media = media_of(offer);
            CHECK(media.protocol == row.protocol);
            CHECK(crypto_lines(media).size() == row.lines);
            machine.roll_back();
            CHECK(machine.make_offer().value() == offer.value()); // the same keys for every fork
        }
    }

    TEST_CASE("offers and what is answered to them") {
        struct Row {
            SrtpPolicy policy;
            std::string protocol, lines;
            const char *outcome; // "" refused, "clear", or the suite
        };
        const auto off = SrtpPolicy::off, optional = SrtpPolicy::optional, required = SrtpPolicy::required;
        const char *cm80 = "AES_CM_128_HMAC_SHA1_80", *cm32 = "AES_CM_128_HMAC_SHA1_32";
        const std::string bad = crypto("1 F8_128_HMAC_SHA1_80 inline:" + key80);
        for (const Row &row : {
                 Row{off, "RTP/AVP", "", "clear"},
                 Row{off, "RTP/AVP", line80, "clear"},
                 Row{off, "RTP/SAVP", line80, ""},
                 Row{off, "UDP/TLS/RTP/SAVP", "", ""},
                 Row{optional, "RTP/AVP", "", "clear"},
                 Row{optional, "RTP/AVP", line80, cm80},
                 Row{optional, "RTP/AVP", bad, "clear"}, // RFC 8643: an offer of both
                 Row{optional, "RTP/SAVP", line80, cm80},
                 Row{optional, "RTP/SAVPF", line32, cm32},
                 Row{optional, "RTP/SAVP", line32 + line80, cm80},
                 Row{optional, "RTP/SAVP", bad + line80, cm80},
                 Row{optional, "RTP/SAVP", bad, ""},
                 Row{optional, "RTP/SAVP", "", ""},
                 Row{required, "RTP/AVP", "", ""},
                 Row{required, "RTP/AVP", line80, cm80},
                 Row{required, "RTP/AVP", bad, ""},
                 Row{required, "RTP/SAVP", line80, cm80},
                 Row{required, "RTP/SAVP", bad, ""},
                 Row{required, "RTP/NONE", line80, ""},
             }) {
            CAPTURE(row.protocol);
            CAPTURE(row.lines);
            OfferAnswer machine(local(row.policy));
            const auto text = answer(machine, body(row.protocol, row.lines));
            CHECK(text.has_value() == (*row.outcome != '\0'));
            if (!text) {
                CHECK(text.error().sip == 488);
                continue;
            }
            const SdpMedia media = media_of(text);
            CHECK(media.protocol == row.protocol);
            const auto lines = crypto_lines(media);
            CHECK(lines.size() == (std::string_view(row.outcome) == "clear" ? 0 : 1));
            const auto &agreed = machine.negotiated()->transport;
            CHECK(agreed.encrypted() == !lines.empty());
            if (lines.empty()) continue;
            CHECK(lines[0].suite_name == row.outcome);
            CHECK(lines[0].key == agreed.sdes->send);
            CHECK(agreed.sdes->receive.bytes()[0] == 'Y');
            CHECK_FALSE(agreed.sdes->send == agreed.sdes->receive);
        }
    }

    TEST_CASE("answers and what becomes of our offer") {
        struct Row {
            SrtpPolicy policy;
            std::string protocol, lines;
            const char *outcome;
        };
        const auto off = SrtpPolicy::off, optional = SrtpPolicy::optional, required = SrtpPolicy::required;
        const std::string tag3 = crypto("3 AES_CM_128_HMAC_SHA1_80 inline:" + key80),
                          tag9 = crypto("9 AES_CM_128_HMAC_SHA1_80 inline:" + key80);
        for (const Row &row : {
                 Row{off, "RTP/AVP", "", "clear"},
                 Row{off, "RTP/AVP", tag3, "clear"},
                 Row{off, "RTP/SAVP", tag3, ""},
                 Row{optional, "RTP/AVP", "", "clear"},
                 Row{optional, "RTP/AVP", tag3, "secure"},
                 Row{optional, "RTP/SAVP", tag3, "secure"},
                 Row{optional, "RTP/SAVP", "", ""},
                 Row{optional, "RTP/AVP", tag9, ""},   // a tag that was not offered
                 Row{optional, "RTP/AVP", line80, ""}, // a tag of another suite
                 Row{optional, "UDP/TLS/RTP/SAVP", "", ""},
                 Row{required, "RTP/SAVP", tag3, "secure"},
                 Row{required, "RTP/AVP", "", ""},
                 Row{required, "RTP/SAVP", "", ""},
                 Row{required, "RTP/SAVP", tag9, ""},
             }) {
            CAPTURE(row.protocol);
            CAPTURE(row.lines);
            OfferAnswer machine(local(row.policy));
            const auto offer = machine.make_offer();
            REQUIRE(offer);
            const auto applied = machine.apply_answer(body(row.protocol, row.lines));
            CHECK(applied.has_value() == (*row.outcome != '\0'));
            if (!applied) {
                CHECK(applied.error().code == Errc::media);
                CHECK_FALSE(machine.negotiated());
                continue;
            }
            const auto &agreed = machine.negotiated()->transport;
            CHECK(agreed.encrypted() == (std::string_view(row.outcome) == "secure"));
            if (agreed.sdes) CHECK(agreed.sdes->send == crypto_lines(media_of(offer))[2].key);
        }
    }

    TEST_CASE("an encrypted call stays encrypted, whoever re-negotiates (CVE-2022-39269)") {
        OfferAnswer machine(local(SrtpPolicy::optional));
        REQUIRE(answer(machine, body("RTP/AVP", line80)));
        const SrtpKeys before = *machine.negotiated()->transport.sdes;
        SUBCASE("their offer in the clear is refused") {
            const auto text = answer(machine, body("RTP/AVP", ""));
            REQUIRE_FALSE(text);
            CHECK(text.error().sip == 488);
            CHECK(machine.negotiated()->transport.sdes == before);
        }
        SUBCASE("their answer in the clear is refused") {
            const auto offer = machine.make_offer();
            CHECK(media_of(offer).protocol == "RTP/SAVP");
            CHECK_FALSE(machine.apply_answer(body("RTP/AVP", "")));
            machine.roll_back();
            CHECK(machine.negotiated()->transport.sdes == before);
        }
        SUBCASE("hold and resume keep the keys") {
            machine.set_hold(true);
            const auto offer = machine.make_offer();
            REQUIRE(machine.apply_answer(
                body("RTP/SAVP", crypto("3 AES_CM_128_HMAC_SHA1_80 inline:" + key80) + "a=recvonly\r\n")));
            CHECK(machine.negotiated()->transport.sdes == before);
        }
    }

    TEST_CASE("a stream offered twice is taken encrypted") {
        OfferAnswer machine(local(SrtpPolicy::optional));
        const auto text = answer(machine, body("RTP/AVP", "") + "m=audio 6000 RTP/SAVP 0\r\n" + line80);
        REQUIRE(text);
        const auto sdp = Sdp::parse(*text).value();
        REQUIRE(sdp.media.size() == 2);
        CHECK(sdp.media[0].port == 0);
        CHECK(sdp.media[1].port == 4000);
        CHECK(machine.negotiated()->rtp.port() == 6000);
        CHECK(machine.negotiated()->transport.encrypted());
    }

    TEST_CASE("a hundred crypto lines: the first 32 count") {
        std::string lines;
        for (int n = 0; n < 100; ++n)
            lines += crypto(std::to_string(n + 1) + " F8_128_HMAC_SHA1_80 inline:" + key80);
        OfferAnswer machine(local(SrtpPolicy::required));
        CHECK_FALSE(answer(machine, body("RTP/SAVP", lines + line80)));
        CHECK(answer(machine, body("RTP/SAVP", line80 + lines)));
    }

} // TEST_SUITE

TEST_SUITE("transport_negotiation") {

    namespace {
    const std::string finger =
        "a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:"
        "16:17:18:19:1A:1B:1C:1D:1E:1F\r\n";
    const std::string other =
        "a=fingerprint:sha-256 FF:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:"
        "16:17:18:19:1A:1B:1C:1D:1E:1F\r\n";
    const std::string weak =
        "a=fingerprint:sha-1 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13\r\n";

    LocalMedia with_dtls(SrtpPolicy policy, bool ice = false) {
        LocalMedia media = local(policy);
        media.transport.fingerprint = *DtlsFingerprint::parse(finger.substr(14, finger.size() - 16));
        media.transport.takes_ice = ice;
        if (ice)
            media.transport.ice = IceDescription{
                IceCredentials::random(), {*parse_candidate("1 1 UDP 2130706431 192.0.2.1 4000 typ host")}};
        return media;
    }
    } // namespace

    TEST_CASE("DTLS offers: who takes them, and which role") {
        struct Row {
            SrtpPolicy policy;
            std::string protocol, lines;
            const char *setup; // answered; "" refused
        };
        const auto off = SrtpPolicy::off, optional = SrtpPolicy::optional, required = SrtpPolicy::required,
                   dtls = SrtpPolicy::dtls;
        const std::string tls = "UDP/TLS/RTP/SAVP", tlsf = "UDP/TLS/RTP/SAVPF";
        for (const Row &row : {
                 Row{dtls, tls, finger + "a=setup:actpass\r\n", "active"},
                 Row{dtls, tlsf, finger + "a=setup:passive\r\n", "active"},
                 Row{required, tls, finger + "a=setup:active\r\n", "passive"},
                 Row{optional, tlsf, weak + finger + "a=setup:actpass\r\n", "active"},
                 Row{off, tls, finger + "a=setup:actpass\r\n", ""},
                 Row{dtls, tls, "a=setup:actpass\r\n", ""},
                 Row{dtls, tls, weak + "a=setup:actpass\r\n", ""},
                 Row{dtls, tls, finger + "a=setup:holdconn\r\n", ""},
                 Row{dtls, "RTP/SAVP", line80, ""},
                 Row{dtls, "RTP/AVP", "", ""},
                 Row{dtls, "RTP/AVP", finger + "a=setup:actpass\r\n", "active"}, // RFC 8643
                 Row{required, "RTP/AVP", finger + line80 + "a=setup:actpass\r\n", "sdes"},
             }) {
            CAPTURE(row.protocol);
            CAPTURE(row.lines);
            OfferAnswer machine(with_dtls(row.policy));
            const auto text =
                answer(machine, body(row.protocol, row.lines + "a=mid:audio\r\na=rtcp-mux\r\n"));
            CHECK(text.has_value() == (*row.setup != '\0'));
            if (!text) {
                CHECK(text.error().sip == 488);
                continue;
            }
            const SdpMedia media = media_of(text);
            CHECK(media.protocol == row.protocol);
            CHECK(*media.attribute("mid") == "audio");
            CHECK(media.attribute("rtcp-mux") != nullptr);
            CHECK(machine.negotiated()->rtcp == machine.negotiated()->rtp);
            CHECK(machine.negotiated()->transport.encrypted());
            if (std::string_view(row.setup) == "sdes") {
                CHECK(media.attribute("setup") == nullptr);
                continue;
            }
            CHECK(*media.attribute("setup") == row.setup);
            CHECK(media.attribute("fingerprint") != nullptr);
            CHECK(media.attribute("crypto") == nullptr);
        }
    }

    TEST_CASE("DTLS answers") {
        struct Row {
            std::string protocol, lines;
            bool taken;
        };
        const std::string tls = "UDP/TLS/RTP/SAVP";
        for (const Row &row : {
                 Row{tls, finger + "a=setup:active\r\n", true},
                 Row{tls, finger + "a=setup:passive\r\n", true},
                 Row{tls, finger + "a=setup:actpass\r\n", false},
                 Row{tls, "a=setup:active\r\n", false},
                 Row{"RTP/AVP", "", false},
                 Row{"RTP/SAVP", line80, false},
                 Row{"RTP/AVP", finger + "a=setup:active\r\n", false},
             }) {
            CAPTURE(row.lines);
            OfferAnswer machine(with_dtls(SrtpPolicy::dtls));
            const SdpMedia media = media_of(machine.make_offer());
            CHECK(media.protocol == tls);
            CHECK(*media.attribute("setup") == "actpass");
            CHECK(media.attribute("rtcp-mux") != nullptr);
            const auto applied = machine.apply_answer(body(row.protocol, row.lines));
            CHECK(applied.has_value() == row.taken);
            if (!applied) continue;
            const bool active = row.lines.find("active\r\n") != std::string::npos &&
                                row.lines.find("passive") == std::string::npos;
            CHECK(machine.negotiated()->transport.dtls->role ==
                  (active ? DtlsRole::server : DtlsRole::client));
            CHECK_FALSE(machine.negotiated()->transport.rtcp_mux); // they did not answer it
            CHECK(machine.negotiated()->rtcp.port() == 5001);
        }
    }

    TEST_CASE(
        "the association that is up keeps its roles over re-offers; a new fingerprint makes a new one") {
        OfferAnswer machine(with_dtls(SrtpPolicy::dtls));
        REQUIRE(machine.make_offer());
        REQUIRE(machine.apply_answer(body("UDP/TLS/RTP/SAVP", finger + "a=setup:active\r\n")));
        CHECK(machine.negotiated()->transport.dtls->role == DtlsRole::server);
        CHECK(*media_of(answer(machine, body("UDP/TLS/RTP/SAVP", finger + "a=setup:actpass\r\n")))
                   .attribute("setup") == "passive");
        CHECK(*media_of(answer(machine, body("UDP/TLS/RTP/SAVP", other + "a=setup:actpass\r\n")))
                   .attribute("setup") == "active");
        CHECK_FALSE(answer(machine, body("RTP/AVP", "")));
    }

    TEST_CASE(
        "ICE is offered when asked for, answered when offered, and left when something in between meddled") {
        const std::string ice = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n";
        const std::string candidate = "a=candidate:1 1 UDP 2130706431 192.0.2.9 5000 typ host\r\n",
                          elsewhere = "a=candidate:1 1 UDP 2130706431 10.0.0.9 5000 typ host\r\n";
        struct Row {
            bool ours;
            std::string lines;
            bool ice;
        };
        for (const Row &row : {
                 Row{true, ice + candidate, true},
                 Row{true, ice + elsewhere + candidate, true},
                 Row{true, ice, true}, // mDNS names, or trickle
                 Row{true, ice + elsewhere, false},
                 Row{true, candidate, false},
                 Row{true, "", false},
                 Row{false, ice + candidate, false},
             }) {
            CAPTURE(row.lines);
            OfferAnswer callee(with_dtls(SrtpPolicy::off, row.ours));
            const SdpMedia answered = media_of(answer(callee, body("RTP/AVP", row.lines)));
            CHECK(callee.negotiated()->transport.ice.has_value() == row.ice);
            CHECK((answered.attribute("ice-ufrag") != nullptr) == row.ice);
            CHECK((answered.attribute("candidate") != nullptr) == row.ice);
            OfferAnswer caller(with_dtls(SrtpPolicy::off, row.ours));
            CHECK((media_of(caller.make_offer()).attribute("ice-pwd") != nullptr) == row.ours);
            REQUIRE(caller.apply_answer(body("RTP/AVP", row.lines)));
            CHECK(caller.negotiated()->transport.ice.has_value() == row.ice);
        }
        OfferAnswer browser(with_dtls(SrtpPolicy::dtls, true));
        std::string offer = body("UDP/TLS/RTP/SAVPF", ice + finger + "a=setup:actpass\r\na=rtcp-mux\r\n", 9);
        offer.replace(offer.find("c=IN IP4 192.0.2.9"), 18, "c=IN IP4 0.0.0.0");
        REQUIRE(answer(browser, offer));
        CHECK_FALSE(browser.negotiated()->remote_hold); // 0.0.0.0 means something else with ICE
    }

} // TEST_SUITE
