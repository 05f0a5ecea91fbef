#include "media/secure_channel.hpp"
#include "tests/unit/sdes_fixture.hpp"

using namespace offhook;
using namespace offhook::media;
using namespace offhook::test::secure;

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
