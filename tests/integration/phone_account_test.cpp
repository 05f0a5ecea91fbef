#include "tests/integration/phone_fixture.hpp"
#include "tests/support/registrar.hpp"

using namespace offhook;
using namespace offhook::test;

namespace {

PhoneSettings with_account(const Address &registrar, const std::string &password) {
    auto settings = loopback_settings();
    AccountSettings account;
    account.name = "home";
    account.aor = "sip:alice@example.com";
    account.registrar = "sip:" + registrar.to_string();
    account.proxies = {account.registrar};
    account.password = password;
    settings.accounts.push_back(account);
    return settings;
}

} // namespace

TEST_SUITE("phone accounts") {
    TEST_CASE("an account registers with its password, is queried and unregistered by the shut-down") {
        Loop loop;
        Registrar registrar(loop);
        registrar.credentials = sip::Credentials{"alice", "secret"};
        PhoneParty alice(loop, with_account(registrar.listen(sip::TransportKind::udp), "secret"));
        CHECK(alice.phone->register_account("home", true).has_value());
        REQUIRE(run_until(loop, [&] { return alice.saw<event::AccountRegistered>(); }));
        CHECK(alice.saw<event::AccountRegistering>());
        CHECK(alice.phone->registered("home"));
        CHECK(alice.last<event::AccountRegistered>()->aor == "sip:alice@example.com");
        CHECK(alice.last<event::AccountRegistered>()->expires_s > 0);
        CHECK(registrar.bindings().size() == 1);
        std::optional<Result<std::vector<std::string>>> bindings;
        CHECK(alice.phone->query_bindings("home", [&](auto result) { bindings = std::move(result); })
                  .has_value());
        REQUIRE(run_until(loop, [&] { return bindings.has_value(); }));
        REQUIRE(bindings->has_value());
        CHECK((*bindings)->size() == 1);
        bool down = false;
        alice.phone->shut_down([&] { down = true; });
        CHECK(run_until(
            loop, [&] { return down; }, Duration{2'100}));
        CHECK(registrar.bindings().empty());
        CHECK(alice.saw<event::AccountUnregistered>());
    }

    TEST_CASE("a wrong password fails with exit 14") {
        Loop loop;
        Registrar registrar(loop);
        registrar.credentials = sip::Credentials{"alice", "secret"};
        PhoneParty alice(loop, with_account(registrar.listen(sip::TransportKind::udp), "guess"));
        CHECK(alice.phone->register_account("home", true).has_value());
        REQUIRE(run_until(loop, [&] { return alice.saw<event::AccountFailed>(); }));
        CHECK(alice.last<event::AccountFailed>()->exit == 14);
        CHECK_FALSE(alice.phone->registered("home"));
    }

    TEST_CASE("accounts that do not exist or cannot register are named") {
        Loop loop;
        PhoneParty alice(loop, loopback_settings());
        CHECK(alice.phone->register_account("hom", true).error().code == Errc::config);
        CHECK(alice.phone->register_account("", true).error().code == Errc::config);
        auto broken = loopback_settings();
        AccountSettings account;
        account.name = "home";
        account.aor = "alice@example.com";
        broken.accounts.push_back(account);
        const auto phone = Phone::open(loop, broken);
        REQUIRE_FALSE(phone.has_value());
        CHECK(phone.error().code == Errc::config);
        CHECK(phone.error().what.find("account \"home\": aor") != std::string::npos);
    }
}
