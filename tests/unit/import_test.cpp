#include <doctest/doctest.h>

#include "cmd/import.hpp"

using namespace offhook::cmd;

namespace {

bool told(const Imported &imported, const std::string &what) {
    for (const auto &line : imported.left_out)
        if (line.find(what) != std::string::npos) return true;
    MESSAGE("not told: ", what);
    for (const auto &line : imported.left_out)
        MESSAGE(line);
    return false;
}

} // namespace

TEST_SUITE("import") {
    TEST_CASE("baresip: accounts with what offhook has a place for, the rest told with its line") {
        Imported imported;
        read_baresip_accounts(
            "# comment\n\n"
            "\"Alice A\" <sip:alice@example.com;transport=tls>;auth_user=ali;auth_pass=\"s;e\\\"cret\";"
            "outbound=\"sip:proxy.example.com:5070;transport=tls\";regint=600;"
            "audio_codecs=opus/48000/2,G722,ilbc;mediaenc=srtp-mand;answermode=auto\n"
            "<sip:bob:old@192.0.2.7>;regint=0;mediaenc=zrtp;medianat=ice;stunserver=stun:stun.x\n"
            "nonsense\n",
            "accounts", imported);
        REQUIRE(imported.accounts.size() == 2);
        const auto &alice = imported.accounts[0];
        CHECK(alice.aor == "sip:alice@example.com");
        CHECK(alice.display_name == "Alice A");
        CHECK(alice.auth_user == "ali");
        CHECK(alice.password == "s;e\"cret");
        CHECK(alice.proxy == "sip:proxy.example.com:5070;transport=tls");
        CHECK(alice.transport == "tls");
        CHECK(alice.srtp == "required");
        CHECK(alice.expires_s == 600);
        CHECK(alice.codecs == std::vector<std::string>{"opus", "g722"});
        CHECK(told(imported, "accounts:3: audio_codecs: ilbc is not known"));
        CHECK(told(imported, "accounts:3: answermode=auto: has no counterpart"));
        CHECK(told(imported, "accounts:4: mediaenc=zrtp"));
        CHECK(told(imported, "accounts:5: no account"));
        CHECK_FALSE(imported.accounts[1].registers);
        CHECK(imported.accounts[1].ice);
        CHECK(imported.accounts[1].stun == "stun:stun.x");
        CHECK(imported.accounts[1].password == "old");
        CHECK(imported.accounts[1].aor == "sip:bob@192.0.2.7");

        read_baresip_contacts("\"Mum\" <sip:mum@x>;presence=p2p\nsip:plain@x\nbad\n", "contacts", imported);
        CHECK(imported.contacts ==
              std::vector<std::pair<std::string, std::string>>{{"Mum", "sip:mum@x"}, {"", "sip:plain@x"}});
        CHECK(told(imported, "contacts:1: presence=p2p"));
        CHECK(told(imported, "contacts:3: no contact"));
    }

    TEST_CASE("pjsua: options, several accounts, buddies") {
        Imported imported;
        read_pjsua(
            "# config\n--id \"\\\"Bob\\\" <sip:bob@pbx>\"\n--registrar sip:pbx\n--realm *\n--username bob\n"
            "--password hunter2\n--reg-timeout 300\n--next-account\n--id=sip:eve@other --proxy sip:p;lr\n"
            "--use-srtp 1\n--add-buddy sip:mum@pbx\n--add-buddy nobody\n--stun-srv stun.x "
            "--no-tcp\n--use-srtp=x\n",
            "pj.cfg", imported);
        REQUIRE(imported.accounts.size() == 2);
        CHECK(imported.accounts[0].aor == "sip:bob@pbx");
        CHECK(imported.accounts[0].display_name == "Bob");
        CHECK(imported.accounts[0].realm.empty());
        CHECK(imported.accounts[0].password == "hunter2");
        CHECK(imported.accounts[0].expires_s == 300);
        CHECK(imported.accounts[0].srtp == "optional");
        CHECK(imported.accounts[0].registers);
        CHECK(imported.accounts[1].proxy == "sip:p");
        CHECK_FALSE(imported.accounts[1].registers);
        CHECK(imported.contacts == std::vector<std::pair<std::string, std::string>>{{"mum", "sip:mum@pbx"}});
        CHECK(told(imported, "pj.cfg:12: --add-buddy nobody: no SIP address"));
        CHECK(imported.accounts[1].stun == "stun:stun.x");
        CHECK(told(imported, "pj.cfg:13: --no-tcp: has no counterpart"));
        CHECK(told(imported, "pj.cfg:14: --use-srtp x: expected"));
    }

    TEST_CASE("linphone: proxies, passwords, friends, codecs, the default account") {
        Imported imported;
        read_linphone("[sip]\nmedia_encryption=srtp\ndefault_proxy=1\nverify_server_certs=1\n"
                      "[proxy_0]\nreg_proxy=<sip:pbx;transport=tls>\nreg_identity=\"Al\" "
                      "<sip:al@pbx>\nreg_expires=120\n"
                      "[proxy_1]\nreg_proxy=sip:other\nreg_identity=sip:al@other\nreg_sendregister=0\n"
                      "reg_route=<sip:edge.other;lr>\npublish=1\n"
                      "[auth_info_0]\nusername=al\npasswd=geheim\nrealm=pbx\ndomain=pbx\n"
                      "[auth_info_1]\nusername=al\nha1=abcdef\ndomain=other\n"
                      "[auth_info_2]\nusername=who\npasswd=x\n"
                      "[friend_0]\nurl=\"Mum\" <sip:mum@pbx>\n[friend_1]\nname=x\n"
                      "[audio_codec_0]\nmime=opus\nenabled=1\n[audio_codec_1]\nmime=speex\nenabled=1\n"
                      "[audio_codec_2]\nmime=PCMA\nenabled=0\n[video]\ndisplay=1\n",
                      "linphonerc", imported);
        REQUIRE(imported.accounts.size() == 2);
        CHECK(imported.accounts[0].registrar == "sip:pbx");
        CHECK(imported.accounts[0].transport == "tls");
        CHECK(imported.accounts[0].password == "geheim");
        CHECK(imported.accounts[0].realm == "pbx");
        CHECK(imported.accounts[0].srtp == "optional");
        CHECK(imported.accounts[1].proxy == "sip:edge.other");
        CHECK_FALSE(imported.accounts[1].registers);
        CHECK(imported.accounts[1].password.empty());
        CHECK(imported.default_account == "sip:al@other");
        CHECK(imported.codecs == std::vector<std::string>{"opus"});
        CHECK(imported.contacts.size() == 1);
        for (const char *what : {"only a hash", "no account of user who", "[friend_1]", "speex", "[video]",
                                 "publish=1", "verify_server_certs=1"})
            CHECK(told(imported, what));
        unique_names(imported);
        CHECK(imported.accounts[0].name == "al");
        CHECK(imported.accounts[1].name == "al-other");
        CHECK(to_toml(imported, false).starts_with("default_account = \"al-other\"\n"));
    }

    TEST_CASE("twinkle: a profile and the address book") {
        Imported imported;
        read_twinkle_profile(
            "# USER\nuser_name=eve\nuser_domain=pbx:5070\nuser_display=Eve E\nauth_name=e\nauth_pass=pw\n"
            "registrar=reg.pbx\nregistration_time=900\nregister_at_startup=yes\n"
            "codecs=g711a,g711u,speex-nb\nsip_transport=auto\nstun_server=stun.x\nzrtp_enabled=yes\n"
            "ringtone_file=x.wav\nscript_on_answer=\nptime=20\n",
            "eve.cfg", imported);
        REQUIRE(imported.accounts.size() == 1);
        CHECK(imported.accounts[0].aor == "sip:eve@pbx:5070");
        CHECK(imported.accounts[0].registrar == "sip:reg.pbx");
        CHECK(imported.accounts[0].codecs == std::vector<std::string>{"pcma", "pcmu"});
        CHECK(imported.accounts[0].transport.empty());
        for (const char *what : {"eve.cfg:10: codecs: speex-nb", "zrtp_enabled=yes",
                                 "eve.cfg: without counterpart: sip_transport, ringtone_file, ptime"})
            CHECK(told(imported, what));
        CHECK(imported.accounts[0].stun == "stun:stun.x");
        imported.accounts[0].proxy = "http://x";
        imported.accounts[0].transport = "smoke";
        imported.accounts[0].stun = "stun:a b";
        drop_unusable(imported);
        CHECK(imported.accounts[0].proxy + imported.accounts[0].transport + imported.accounts[0].stun == "");
        CHECK(imported.accounts[0].registrar == "sip:reg.pbx");
        for (const char *what : {"sip:eve@pbx:5070: proxy: ", "transport: \"smoke\"", "STUN server: "})
            CHECK(told(imported, what));
        read_twinkle_profile("user_name=x\n", "bad.cfg", imported);
        CHECK(told(imported, "bad.cfg: no account"));

        read_twinkle_book("# header\nAnna|von|Berg|sip:anna@x|\nBob|||+49 (30) 12-34|at "
                          "work\nPipe\\|d|||eve@x|\n|||not one|\nx\n",
                          "twinkle.ab", imported);
        CHECK(imported.contacts ==
              std::vector<std::pair<std::string, std::string>>{
                  {"Anna von Berg", "sip:anna@x"}, {"Bob", "tel:+49301234"}, {"Pipe|d", "sip:eve@x"}});
        for (const char *what :
             {"the remark \"at work\"", "neither an address nor a number", "expected five fields"})
            CHECK(told(imported, what));
    }

    TEST_CASE("TOML: quoted, names made one, passwords only where they belong") {
        Imported imported;
        imported.accounts.push_back(
            {.aor = "sip:a%20b@x", .display_name = "Q \"uote\" \\", .password = "se\"cret"});
        imported.accounts.push_back({.aor = "sip:a%20b@x", .expires_s = 60, .registers = false});
        imported.contacts = {{"Mum", "sip:m@x"}, {"Mum", "sip:m@y"}, {"", "sip:z@x"}};
        unique_names(imported);
        const auto open = to_toml(imported, true), safe = to_toml(imported, false);
        CHECK(open.find("password = \"se\\\"cret\"") != std::string::npos);
        CHECK(safe.find("cret") == std::string::npos);
        CHECK(safe.find("display_name = \"Q \\\"uote\\\" \\\\\"") != std::string::npos);
        CHECK(safe.find("[account.a-20b]") != std::string::npos);
        CHECK(safe.find("[account.a-20b-x]") != std::string::npos);
        CHECK(safe.find("\"Mum 2\" = \"sip:m@y\"") != std::string::npos);
        CHECK(safe.find("\"sip:z@x\" = \"sip:z@x\"") != std::string::npos);
    }

    TEST_CASE("any bytes are read without harm") {
        std::string all;
        for (int i = 0; i < 256; ++i)
            all += static_cast<char>(i);
        for (const std::string &text :
             {all, std::string("<"), std::string("\"<>;=;;="), std::string("[proxy_0\nreg_identity=<"),
              std::string("--id"), std::string("--\n\"x"), std::string("|||||\\"), std::string("=\n=x")}) {
            Imported imported;
            read_baresip_accounts(text, "f", imported);
            read_baresip_contacts(text, "f", imported);
            read_pjsua(text, "f", imported);
            read_linphone(text, "f", imported);
            read_twinkle_profile(text, "f", imported);
            read_twinkle_book(text, "f", imported);
            CHECK(imported.accounts.empty());
        }
    }
}
