#include <doctest/doctest.h>

#include "phone/settings_reader.hpp"

using namespace offhook;

namespace {

SettingsReport read(const char *text, bool others_may_read = false) {
    auto root = parse_config(text, "x.toml");
    REQUIRE(root);
    return read_settings(ConfigFile{"x.toml", std::move(*root), others_may_read});
}

} // namespace

TEST_SUITE("settings") {
    TEST_CASE("a complete file becomes settings") {
        const auto report = read(R"(
default_account = "home"
[account.home]
aor = "sip:alice@example.com"
display_name = "Alice"
transport = "tls"
expires = "5m"
password = "secret"
codecs = ["pcma", "opus"]
[account.work]
aor = "sip:7@pbx.lan"
register = false
password_command = "pass show 'sip work'"
public_address = "192.0.2.9"
[contacts]
door = "sip:door@192.0.2.20"
boss = { uri = "sip:1@pbx.lan", account = "work" }
[audio]
device = "none"
echo_cancellation = "half-duplex"
noise_suppression = false
[media]
ptime = 40
rtp_ports = "10000-10100"
dtmf_mode = "info"
rtp_timeout = 0
[tls]
insecure = true
[network]
listen = ["udp:0.0.0.0:5060", "[::1]"]
public_address = "203.0.113.5"
allow_direct = false
)");
        CHECK(report.errors.empty());
        CHECK(report.warnings.empty());
        const auto &phone = report.settings.phone;
        REQUIRE(phone.accounts.size() == 2);
        CHECK(phone.accounts[0].name == "home");
        CHECK(phone.accounts[0].transport == sip::TransportKind::tls);
        CHECK(phone.accounts[0].expires == Duration{300'000});
        CHECK(phone.accounts[0].codecs == std::vector<std::string>{"pcma", "opus"});
        CHECK(phone.accounts[0].public_address == "203.0.113.5");
        CHECK(phone.accounts[0].password.empty());
        CHECK(phone.voice.echo == media::EchoMode::half_duplex);
        CHECK_FALSE(phone.voice.noise_suppression);
        CHECK(phone.voice.gain_control);
        CHECK_FALSE(phone.accounts[1].registers);
        CHECK(phone.accounts[1].public_address == "192.0.2.9");
        CHECK(report.settings.passwords.at("home").password == "secret");
        CHECK(report.settings.passwords.at("work").command ==
              std::vector<std::string>{"pass", "show", "sip work"});
        REQUIRE(phone.contacts.size() == 2);
        CHECK(phone.contacts[1].account == "work");
        CHECK(phone.ptime_ms == 40);
        CHECK(phone.rtp_port_max == 10100);
        CHECK(phone.dtmf_mode == DtmfMode::info);
        CHECK(phone.rtp_timeout == Duration{0});
        CHECK(phone.tls.insecure);
        REQUIRE(phone.listen.size() == 2);
        CHECK(phone.listen[0].address.port() == 5060);
        CHECK_FALSE(phone.listen[1].kind.has_value());
        CHECK(phone.allow_direct == false);
    }

    TEST_CASE("each mistake is named with its place and what was expected") {
        struct Row {
            const char *text, *error;
        };
        const Row rows[] = {
            {"acount = 1", "x.toml:1:1: unknown key \"acount\" (did you mean \"account\"?)"},
            {"[account.a]\naor = \"sip:a@b\"\nexpirse = 60",
             "x.toml:3:1: unknown key \"expirse\" in [account.a] (did you mean \"expires\"?)"},
            {"[account.a]\naor = 17", "x.toml:2:7: aor must be a string, not a whole number"},
            {"[account.a]\nregister = true",
             "x.toml:1:10: account \"a\" has no aor (expected aor = \"sip:user@domain\")"},
            {"[account.a]\naor = \"sip:a@b\"\npassword = \"x\"\npassword_file = \"y\"",
             "x.toml:1:10: account \"a\" has more than one of password, password_file and password_command"},
            {"[media]\nptime = 5", "x.toml:2:9: ptime must be between 10 and 60"},
            {"[media]\nrtp_ports = \"9-10\"",
             "x.toml:2:13: rtp_ports must be a range such as \"10000-10100\" within 1024-65535"},
            {"[account.a]\naor = \"sip:a@b\"\ntransport = \"tsl\"",
             "x.toml:3:13: transport: \"tsl\" is no transport (expected udp, tcp, tls, ws, wss, dtls, sctp) "
             "(did you "
             "mean \"tls\"?)"},
            {"[account.a]\naor = \"sip:a@b\"\nproxy = \"wss://b:99999/ws\"",
             "x.toml:3:9: proxy: expected wss://HOST[:PORT][/PATH]"},
            {"default_account = \"hom\"\n[account.home]\naor = \"sip:a@b\"",
             "x.toml:1:19: no account \"hom\" (did you mean \"home\"?)"},
            {"[media]\ndtmf_mode = \"rfc2833\"",
             "x.toml:2:13: dtmf_mode: \"rfc2833\" is no DTMF mode (expected auto, "
             "rfc4733, info, inband) (did you mean \"rfc4733\"?)"},
            {"tls = 1", "x.toml:1:7: tls must be a table, not a whole number"},
        };
        for (const auto &row : rows) {
            CAPTURE(row.text);
            const auto report = read(row.text);
            REQUIRE(report.errors.size() == 1);
            CHECK(report.errors[0] == row.error);
        }
    }

    TEST_CASE("a password that others can read is warned about, a password command is not") {
        const char *open = "[account.a]\naor = \"sip:a@b\"\npassword = \"x\"";
        CHECK(read(open, true).warnings ==
              std::vector<std::string>{"x.toml:3:1: others can read this password (chmod 600 x.toml)"});
        CHECK(read(open, false).warnings.empty());
        CHECK(read("[account.a]\naor = \"sip:a@b\"\npassword_command = [\"true\"]", true).warnings.empty());
    }

    TEST_CASE("listening addresses take a transport and a port") {
        CHECK(parse_listen("tcp:127.0.0.1:5070")->kind == sip::TransportKind::tcp);
        CHECK(parse_listen("127.0.0.1")->address.port() == 0);
        CHECK(parse_listen("udp:[::1]:5062")->address.port() == 5062);
        CHECK(parse_listen("udp:*:5060")->address.is_any());
        for (const auto *text : {"", "udp:", "udp:host:5060", "127.0.0.1:", "127.0.0.1:70000", "[::1",
                                 "[::1]x", "[::1]:", "dccp:127.0.0.1"}) {
            CAPTURE(text);
            CHECK_FALSE(parse_listen(text));
        }
        CHECK(parse_listen("wss:127.0.0.1")->kind == sip::TransportKind::wss);
    }
}
