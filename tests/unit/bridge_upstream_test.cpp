#include <doctest/doctest.h>

#include "base/config.hpp"
#include "bridge/settings_reader.hpp"
#include "bridge/upstream_dialog.hpp"
#include "tests/support/text.hpp"

using namespace offhook;
using namespace offhook::bridge;
using offhook::test::parsed;

namespace {

std::string browser(const std::string &method, unsigned cseq, const std::string &to,
                    const std::string &more = "") {
    return method + " sip:ben@house.test SIP/2.0\r\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK1\r\n" +
           "From: \"Anna\" <sip:anna@house.test>;tag=a\r\nTo: " + to +
           "\r\nCall-ID: c\r\nCSeq: " + std::to_string(cseq) + " " + method + "\r\n" + more +
           "Content-Length: 0\r\n\r\n";
}

std::string upstream(unsigned status, unsigned cseq, const std::string &method,
                     const std::string &more = "") {
    return "SIP/2.0 " + std::to_string(status) +
           " Whatever\r\nFrom: \"Anna\" <sip:line1@pbx.test>;tag=a\r\n" +
           "To: <sip:ben@pbx.test>;tag=b\r\nCall-ID: c\r\nCSeq: " + std::to_string(cseq) + " " + method +
           "\r\n" + more + "Content-Length: 0\r\n\r\n";
}

UpstreamDialog dialog() {
    return {*sip::Uri::parse("sip:line1@pbx.test"), [](const sip::Uri &uri) {
                auto out = uri;
                if (uri.host == "house.test") out.host = "pbx.test";
                return out;
            }};
}

SettingsReport read(const std::string &text) {
    auto root = parse_config(text, "x.toml");
    REQUIRE(root);
    return read_bridge_settings({"x.toml", *root, false}, {});
}

} // namespace

TEST_SUITE("bridge upstream") {
    TEST_CASE("a call goes out as the line, and nothing of the browser with it") {
        auto side = dialog();
        auto draft = sip::Draft::from_message(
            parsed(browser("INVITE", 7, "<sip:ben@house.test>",
                           "Proxy-Authorization: Digest username=\"anna\", realm=\"house.test\"\r\n"
                           "P-Asserted-Identity: <sip:boss@house.test>\r\n"
                           "Refer-To: <sip:carl@house.test?Replaces=x%3Bto-tag%3D1>\r\n")));
        side.outward(draft, true);
        CHECK(draft.uri == "sip:ben@pbx.test");
        CHECK(draft.get("From") == "\"Anna\" <sip:line1@pbx.test>;tag=a");
        CHECK(draft.get("To") == "<sip:ben@pbx.test>");
        CHECK(draft.get("Refer-To") == "<sip:carl@pbx.test?Replaces=x%3Bto-tag%3D1>");
        CHECK(draft.get("CSeq") == "7 INVITE");
        for (const char *gone : {"Via", "Proxy-Authorization", "P-Asserted-Identity"})
            CHECK_MESSAGE(draft.get(gone).empty(), gone);
    }

    TEST_CASE("the browser gets the answer to its own request, whatever that was called outside") {
        const auto request = parsed(browser("INVITE", 7, "<sip:ben@house.test>"));
        auto draft = sip::Draft::from_message(
            parsed(upstream(200, 8, "INVITE", "Authentication-Info: nextnonce=\"n\"\r\n")));
        UpstreamDialog::inward(draft, request);
        CHECK(draft.get("CSeq") == "7 INVITE");
        CHECK(draft.get("From") == "\"Anna\" <sip:anna@house.test>;tag=a");
        CHECK(draft.get("To") == "<sip:ben@house.test>;tag=b");
        CHECK(draft.get("Via") == "SIP/2.0/WS x.invalid;branch=z9hG4bK1");
        CHECK(draft.get("Authentication-Info").empty());
    }

    TEST_CASE(
        "numbers only rise: what a challenge took is counted on, ACK and PRACK name the INVITE as sent") {
        auto side = dialog();
        const auto out = [&](const std::string &method, unsigned cseq, const std::string &more = "") {
            auto draft =
                sip::Draft::from_message(parsed(browser(method, cseq, "<sip:ben@house.test>;tag=b", more)));
            side.outward(draft, true);
            return std::pair(std::string(draft.get("CSeq")), std::string(draft.get("RAck")));
        };
        CHECK(out("INVITE", 7).first == "7 INVITE");
        side.answered(parsed(upstream(180, 8, "INVITE"))); // 7 was challenged, 8 was not
        CHECK(out("PRACK", 8, "RAck: 1 7 INVITE\r\n") ==
              std::pair<std::string, std::string>("9 PRACK", "1 8 INVITE"));
        CHECK(out("ACK", 7).first == "8 ACK");
        CHECK(out("INFO", 9).first == "10 INFO");
        side.answered(parsed(upstream(200, 11, "INFO")));
        CHECK(out("INVITE", 10).first == "12 INVITE");
        side.answered(parsed(upstream(200, 12, "INVITE")));
        CHECK(out("ACK", 10).first == "12 ACK");
        CHECK(out("BYE", 11).first == "13 BYE");
    }

    TEST_CASE("a call that came in: the browser is called what the upstream called it") {
        auto side = dialog();
        auto draft = sip::Draft::request("BYE", "sip:ben@192.0.2.9");
        draft.add("From", "<sip:49301234@provider.test>;tag=u").add("To", "<sip:ben@pbx.test>;tag=b");
        draft.add("Call-ID", "c").add("CSeq", "3 BYE");
        side.outward(draft, false);
        CHECK(draft.get("From") == "<sip:49301234@provider.test>;tag=u");
        CHECK(draft.uri == "sip:ben@192.0.2.9");
    }

    TEST_CASE("the configuration: one clear line for each mistake") {
        const std::string head =
            "[bridge]\ndomain = \"house.test\"\nupstream = \"sip:pbx.test\"\n"
            "upstream_mode = \"creds\"\n[[bridge.user]]\nname = \"anna\"\npassword = \"x\"\n";
        const auto error = [&](const std::string &more) {
            const auto report = read(head + more);
            if (!report.errors.empty()) return report.errors.front();
            const auto fits = check_upstream(report.settings);
            return fits ? std::string() : fits.error().what;
        };
        CHECK(error("upstream_user = \"621\"\nupstream_password = \"y\"\n").empty());
        CHECK(error("").find("\"anna\" has no upstream_user") != std::string::npos);
        CHECK(error("upstream_user = \"621\"\n").find("has no upstream password") != std::string::npos);
        CHECK(error("upstream_password = \"y\"\n").find("no upstream_user") != std::string::npos);
        CHECK(error("upstream_user = \"6\"\nupstream_password = \"y\"\nupstream_password_file = \"z\"\n")
                  .find("both upstream_password and upstream_password_file") != std::string::npos);
        CHECK(error("upstream_user = \"6\"\nupstream_password = \"y\"\nupstream_aor = \"621\"\n")
                  .find("sip:621@fritz.box") != std::string::npos);
        CHECK(error("upstream_user = \"6\"\nupstream_password_file = \"/dev/null\"\n")
                  .find("everybody can read") != std::string::npos);
        auto settings = read(head + "upstream_user = \"621\"\nupstream_password = \"y\"\n").settings;
        settings.upstream_mode = UpstreamMode::contact;
        CHECK(check_upstream(settings).error().what.find("not creds") != std::string::npos);
        settings.upstream_mode = UpstreamMode::credentials;
        settings.upstream.reset();
        CHECK(check_upstream(settings).error().what.find("no upstream") != std::string::npos);
    }
}
