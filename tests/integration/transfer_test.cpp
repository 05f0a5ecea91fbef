// Three phones in one loop: alice hands bob on to carol.
#include "tests/integration/phone_fixture.hpp"

using namespace offhook;
using namespace offhook::test;

namespace {

PhoneSettings with_policy(ReferPolicy policy) {
    auto settings = loopback_settings();
    settings.refer = policy;
    return settings;
}

struct Three {
    explicit Three(ReferPolicy bobs = ReferPolicy::allow)
        : alice(loop, loopback_settings()), bob(loop, with_policy(bobs)), carol(loop, loopback_settings()) {}

    bool until(const std::function<bool()> &done, Duration limit = Duration{10'000}) {
        return run_until(loop, done, limit);
    }
    // alice calls bob and both have heard each other.
    bool talk() {
        const auto call = alice.phone->dial(bob.uri());
        REQUIRE(call.has_value());
        alice.current = *call;
        return until([&] {
            return alice.saw<event::CallAnswered>() && bob.saw<event::CallAnswered>() &&
                   bob.saw<event::CallMedia>();
        });
    }
    [[nodiscard]] const event::CallTransfer *outcome() const {
        const auto *told = alice.last<event::CallTransfer>();
        return told != nullptr && told->done ? told : nullptr;
    }
    bool transferred() {
        return until([&] { return outcome() != nullptr; });
    }
    [[nodiscard]] std::vector<unsigned> codes() const {
        std::vector<unsigned> told;
        for (const auto &event : alice.seen)
            if (const auto *transfer = std::get_if<event::CallTransfer>(&event))
                told.push_back(transfer->code);
        return told;
    }
    // The call is there, not held, and nobody else is in it.
    bool as_before() {
        return until([&] {
            const auto ours = alice.phone->call(alice.call());
            const auto theirs = bob.phone->call(bob.call());
            return ours && theirs && !ours->held_locally && !theirs->held_remotely &&
                   alice.phone->calls().size() == 1 && bob.phone->calls().size() == 1;
        });
    }

    Loop loop;
    PhoneParty alice, bob, carol;
};

} // namespace

TEST_SUITE("transfer") {
    TEST_CASE("blind: bob goes on with carol, alice's call ends, everybody is told") {
        Three t;
        REQUIRE(t.talk());
        REQUIRE(t.alice.phone->transfer(t.alice.call(), t.carol.uri("carol")).has_value());
        CHECK(t.alice.phone->transfer(t.alice.call(), t.carol.uri()).error().code == Errc::invalid_argument);
        REQUIRE(t.transferred());
        CHECK(t.outcome()->code == 200);
        CHECK(t.outcome()->exit == 0);
        CHECK(t.codes() == std::vector<unsigned>{0, 100, 180, 200});
        REQUIRE(t.until([&] { return t.alice.saw<event::CallEnded>() && t.bob.saw<event::CallEnded>(); }));
        CHECK(t.alice.last<event::CallEnded>()->exit == 0);
        CHECK(t.alice.phone->calls().empty());
        const auto *handed = t.bob.last<event::CallTransfer>();
        REQUIRE(handed != nullptr);
        CHECK(handed->role == TransferRole::transferee);
        CHECK(handed->done);
        CHECK(handed->call.id == t.bob.call()); // his call goes on under its number
        REQUIRE(t.bob.phone->calls().size() == 1);
        CHECK(t.bob.phone->calls()[0].id == t.bob.call());
        CHECK(t.bob.phone->calls()[0].remote.starts_with("sip:carol@"));
        CHECK(t.until([&] { return t.carol.saw<event::CallMedia>(); }));
        CHECK(t.bob.phone->audio_name() == "none");
    }

    TEST_CASE("attended: alice calls carol first, bob takes alice's place there") {
        Three t;
        REQUIRE(t.talk());
        TransferOptions options;
        options.attended = true;
        REQUIRE(t.alice.phone->transfer(t.alice.call(), t.carol.uri("carol"), options).has_value());
        REQUIRE(t.transferred());
        CHECK(t.outcome()->code == 200);
        CHECK(t.outcome()->attended);
        REQUIRE(t.until([&] {
            return t.alice.phone->calls().empty() && t.bob.phone->calls().size() == 1 &&
                   t.carol.phone->calls().size() == 1 && t.alice.count<event::CallEnded>() == 2;
        }));
        const auto *taken = t.carol.last<event::CallTransfer>();
        REQUIRE(taken != nullptr);
        CHECK(taken->role == TransferRole::target);
        CHECK(t.carol.phone->calls()[0].id == t.carol.call());
        CHECK(taken->call.id == t.carol.call());
    }

    TEST_CASE("attended with two calls that are there, the second one incoming") {
        Three t;
        REQUIRE(t.talk());
        const auto first = t.alice.call();
        REQUIRE(t.carol.phone->dial(t.alice.uri()).has_value());
        REQUIRE(t.until(
            [&] { return t.carol.saw<event::CallAnswered>() && t.alice.count<event::CallAnswered>() == 2; }));
        const auto second = t.alice.call();
        REQUIRE(first != second);
        CHECK(t.alice.phone->transfer(first, first).error().code == Errc::invalid_argument);
        REQUIRE(t.alice.phone->transfer(first, second).has_value());
        REQUIRE(t.transferred());
        CHECK(t.outcome()->exit == 0);
        CHECK(t.until([&] {
            return t.alice.phone->calls().empty() && t.bob.phone->calls().size() == 1 &&
                   t.carol.phone->calls().size() == 1;
        }));
    }

    TEST_CASE("a busy target: the true code, and the call is resumed") {
        Three t;
        t.carol.auto_answer = false;
        REQUIRE(t.talk());
        REQUIRE(t.alice.phone->transfer(t.alice.call(), t.carol.uri()).has_value());
        REQUIRE(t.until([&] { return t.carol.saw<event::CallIncoming>(); }));
        CHECK(t.carol.phone->reject(t.carol.call(), 486).has_value());
        REQUIRE(t.transferred());
        CHECK(t.outcome()->code == 486);
        CHECK(t.outcome()->exit == 10);
        CHECK(t.as_before());
        // and it can be tried again: a second REFER in the dialog, told apart by its id
        t.carol.auto_answer = true;
        t.alice.seen.clear();
        REQUIRE(t.alice.phone->transfer(t.alice.call(), t.carol.uri()).has_value());
        REQUIRE(t.transferred());
        CHECK(t.outcome()->code == 200);
    }

    TEST_CASE("attended, and the target refuses us: resumed, bob never asked") {
        Three t;
        t.carol.auto_answer = false;
        REQUIRE(t.talk());
        TransferOptions options;
        options.attended = true;
        REQUIRE(t.alice.phone->transfer(t.alice.call(), t.carol.uri(), options).has_value());
        REQUIRE(t.until([&] { return t.carol.saw<event::CallIncoming>(); }));
        CHECK(t.carol.phone->reject(t.carol.call(), 603).has_value());
        REQUIRE(t.transferred());
        CHECK(t.outcome()->code == 603);
        CHECK(t.outcome()->exit == 12);
        CHECK(t.as_before());
        CHECK(!t.bob.saw<event::CallTransfer>());
    }

    TEST_CASE("who denies transfers is left where he is") {
        Three t(ReferPolicy::deny);
        REQUIRE(t.talk());
        REQUIRE(t.alice.phone->transfer(t.alice.call(), t.carol.uri()).has_value());
        REQUIRE(t.transferred());
        CHECK(t.outcome()->code == 603);
        CHECK(t.outcome()->exit == 12);
        CHECK(t.as_before());
        CHECK(!t.carol.saw<event::CallIncoming>());
        CHECK(!t.bob.saw<event::CallTransfer>());
    }

    TEST_CASE("who asks decides") {
        for (const bool yes : {true, false}) {
            CAPTURE(yes);
            Three t(ReferPolicy::ask);
            REQUIRE(t.talk());
            CHECK(t.bob.phone->accept_transfer(t.bob.call()).error().code == Errc::invalid_argument);
            REQUIRE(t.alice.phone->transfer(t.alice.call(), t.carol.uri("carol")).has_value());
            REQUIRE(t.until([&] { return t.bob.saw<event::CallTransfer>(); }));
            CHECK(t.bob.last<event::CallTransfer>()->asks);
            CHECK(t.bob.last<event::CallTransfer>()->target.starts_with("sip:carol@"));
            CHECK(!t.carol.saw<event::CallIncoming>());
            auto decided =
                yes ? t.bob.phone->accept_transfer(t.bob.call()) : t.bob.phone->refuse_transfer(t.bob.call());
            CHECK(decided.has_value());
            REQUIRE(t.transferred());
            CHECK(t.outcome()->code == (yes ? 200 : 603));
            if (!yes) CHECK(t.as_before());
        }
    }

    TEST_CASE("the target lies outside of bob's domain") {
        auto settings = with_policy(ReferPolicy::allow);
        AccountSettings account;
        account.name = "home";
        account.aor = "sip:bob@pbx.test";
        account.registers = false;
        settings.accounts.push_back(account);
        for (const bool anywhere : {false, true}) {
            Loop loop;
            settings.refer_anywhere = anywhere;
            PhoneParty alice(loop, loopback_settings()), bob(loop, settings),
                carol(loop, loopback_settings());
            const auto call = alice.phone->dial(bob.uri());
            REQUIRE(call.has_value());
            REQUIRE(run_until(
                loop, [&] { return alice.saw<event::CallAnswered>() && bob.saw<event::CallAnswered>(); },
                Duration{10'000}));
            REQUIRE(alice.phone->transfer(*call, carol.uri()).has_value());
            REQUIRE(run_until(
                loop,
                [&] { return alice.saw<event::CallTransfer>() && alice.last<event::CallTransfer>()->done; },
                Duration{10'000}));
            CHECK(alice.last<event::CallTransfer>()->code == (anywhere ? 200 : 603));
            CHECK(carol.saw<event::CallIncoming>() == anywhere);
        }
    }

    TEST_CASE("no outcome wanted: the 2xx is the end") {
        Three t;
        REQUIRE(t.talk());
        TransferOptions options;
        options.wait = false;
        REQUIRE(t.alice.phone->transfer(t.alice.call(), t.carol.uri(), options).has_value());
        REQUIRE(t.transferred());
        CHECK(t.outcome()->code == 202);
        CHECK(t.outcome()->exit == 0);
        CHECK(t.until([&] {
            return t.alice.phone->calls().empty() && t.bob.phone->calls().size() == 1 &&
                   t.carol.saw<event::CallAnswered>();
        }));
    }

    TEST_CASE("patience: the target rings too long, the call is resumed") {
        Three t;
        t.carol.auto_answer = false;
        REQUIRE(t.talk());
        TransferOptions options;
        options.patience = Duration{300};
        REQUIRE(t.alice.phone->transfer(t.alice.call(), t.carol.uri(), options).has_value());
        REQUIRE(t.transferred());
        CHECK(t.outcome()->exit == 11);
        CHECK(t.until([&] { return t.alice.saw<event::CallResumed>(); }));
        CHECK(t.alice.phone->calls().size() == 1);
    }

    TEST_CASE("what is wrong with a transfer is said at once") {
        Three t;
        CHECK(t.alice.phone->transfer(CallId{7}, t.carol.uri()).error().code == Errc::not_found);
        t.bob.auto_answer = false;
        const auto call = t.alice.phone->dial(t.bob.uri());
        REQUIRE(call.has_value());
        CHECK(t.alice.phone->transfer(*call, t.carol.uri()).error().code == Errc::invalid_argument);
        CHECK(t.alice.phone->transfer(*call, "sip:a b").error().code == Errc::invalid_argument);
    }

    TEST_CASE("bob hangs up while he is asked: nothing is lost or leaked") {
        Three t(ReferPolicy::ask);
        REQUIRE(t.talk());
        REQUIRE(t.alice.phone->transfer(t.alice.call(), t.carol.uri()).has_value());
        REQUIRE(t.until([&] { return t.bob.saw<event::CallTransfer>(); }));
        CHECK(t.bob.phone->hang_up(t.bob.call()).has_value());
        REQUIRE(t.transferred());
        CHECK(t.outcome()->code == 487);
        CHECK(t.until([&] { return t.alice.saw<event::CallEnded>(); }));
    }
}
