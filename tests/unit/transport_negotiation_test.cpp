#include "tests/unit/sdes_fixture.hpp"

using namespace offhook;
using namespace offhook::media;
using namespace offhook::test::secure;

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
