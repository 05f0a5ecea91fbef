// Several calls of one phone at once: call waiting, local hold, the device, three-way conference.
#include <cmath>

#include <unistd.h>

#include "tests/integration/phone_fixture.hpp"
#include "tests/support/wav.hpp"

using namespace offhook;
using namespace offhook::test;

namespace {

std::string tone(double hz, const std::string &name, double seconds = 20) {
    constexpr unsigned rate = 8000;
    std::vector<std::int16_t> samples(static_cast<std::size_t>(rate * seconds));
    for (std::size_t i = 0; i < samples.size(); ++i)
        samples[i] = static_cast<std::int16_t>(
            6000 * std::sin(2 * 3.14159265358979 * hz * static_cast<double>(i) / rate));
    const auto path = (std::filesystem::temp_directory_path() /
                       ("offhook-calls-" + std::to_string(::getpid()) + name + ".wav"))
                          .string();
    REQUIRE(write_wav(path, rate, samples));
    return path;
}

PhoneSettings with_device(const std::string &spec) {
    auto settings = loopback_settings();
    settings.audio = spec;
    return settings;
}

// Bob has two callers.
struct Three {
    explicit Three(const PhoneSettings &settings = loopback_settings())
        : bob(loop, settings), alice(loop, loopback_settings()), carol(loop, loopback_settings()) {
        bob.auto_answer = false;
    }
    bool until(const std::function<bool()> &done) { return run_until(loop, done); }
    CallId ring(PhoneParty &who) {
        const auto before = bob.count<event::CallIncoming>();
        const auto call = who.phone->dial(bob.uri());
        REQUIRE(call.has_value());
        who.current = *call;
        REQUIRE(until([&] { return bob.count<event::CallIncoming>() > before; }));
        return bob.current;
    }
    void talk(PhoneParty &who, CallId at_bob) {
        REQUIRE(bob.phone->answer(at_bob));
        REQUIRE(until([&] { return who.saw<event::CallAnswered>(); }));
    }
    bool waits(CallId call, bool on) { // on hold at bob's
        return until([&] { return bob.phone->call(call)->held_locally == on; });
    }
    bool hears(PhoneParty &who, CallId call, double hz) {
        bool heard = false;
        REQUIRE(who.phone->watch_tone(call, {hz}, [&] { heard = true; }));
        return until([&] { return heard; });
    }

    Loop loop;
    PhoneParty bob, alice, carol;
};

} // namespace

TEST_SUITE("phone calls") {
    TEST_CASE("call waiting: answering the second call holds the first, resuming swaps them") {
        const auto mic = tone(600, "mic");
        Three t(with_device("file:" + mic + ","));
        const auto first = t.ring(t.alice);
        t.talk(t.alice, first);
        CHECK(t.hears(t.alice, t.alice.current, 600));
        const auto second = t.ring(t.carol); // it rings while bob talks
        CHECK_FALSE(t.bob.phone->call(first)->held_locally);
        t.talk(t.carol, second);
        REQUIRE(t.until([&] { return t.alice.saw<event::CallRemoteHold>(); }));
        CHECK(t.waits(first, true));
        CHECK(t.hears(t.carol, t.carol.current, 600)); // the microphone has moved
        REQUIRE(t.bob.phone->hold(first, false));
        REQUIRE(t.until([&] {
            return t.carol.saw<event::CallRemoteHold>() && !t.alice.last<event::CallRemoteHold>()->on;
        }));
        CHECK(t.waits(second, true));
        CHECK(t.waits(first, false));
        CHECK(t.hears(t.alice, t.alice.current, 600));
        CHECK(t.bob.phone->calls().size() == 2);
        REQUIRE(t.bob.phone->hang_up(first));
        REQUIRE(t.until([&] { return t.alice.saw<event::CallEnded>(); }));
        CHECK_FALSE(t.carol.saw<event::CallEnded>()); // the other one waits on
        std::filesystem::remove(mic);
    }

    TEST_CASE("a phone without a device lets its calls run side by side") {
        Three t;
        t.talk(t.alice, t.ring(t.alice));
        t.talk(t.carol, t.ring(t.carol));
        for (const auto &call : t.bob.phone->calls())
            CHECK_FALSE(call.held_locally);
    }

    TEST_CASE(
        "three-way conference: each hears both others, the held one is taken along; leaving it ends that") {
        const auto mic = tone(600, "room"), a = tone(425, "a", 2), c = tone(800, "c");
        Three t(with_device("file:" + mic + ","));
        const auto first = t.ring(t.alice);
        t.talk(t.alice, first);
        const auto second = t.ring(t.carol);
        t.talk(t.carol, second);
        REQUIRE(t.waits(first, true));
        CHECK_FALSE(t.bob.phone->conference(first, first).has_value());
        CHECK_FALSE(t.bob.phone->leave_conference(first).has_value());
        REQUIRE(t.bob.phone->conference(first, second));
        REQUIRE(t.until([&] { return t.bob.saw<event::CallResumed>(); }));
        CHECK(t.bob.phone->call(first)->in_conference);
        CHECK(t.bob.phone->call(second)->in_conference);
        // One voice at a time: the detector wants a tone that stands out.
        CHECK(t.hears(t.alice, t.alice.current, 600));
        CHECK(t.hears(t.carol, t.carol.current, 600));
        REQUIRE(t.bob.phone->mute(second, true)); // it has the microphone
        REQUIRE(t.alice.phone->play(t.alice.current, a));
        CHECK(t.hears(t.carol, t.carol.current, 425));
        REQUIRE(t.until([&] { return t.alice.saw<event::CallPlayback>(); }));
        REQUIRE(t.carol.phone->play(t.carol.current, c));
        CHECK(t.hears(t.alice, t.alice.current, 800));
        REQUIRE(t.bob.phone->leave_conference(second));
        CHECK_FALSE(t.bob.phone->call(second)->in_conference);
        REQUIRE(t.bob.phone->hang_up(first));
        REQUIRE(t.until([&] { return t.alice.saw<event::CallEnded>(); }));
        CHECK(t.until([&] { return t.bob.phone->calls().size() == 1; }));
        for (const auto &path : {mic, a, c})
            std::filesystem::remove(path);
    }

    TEST_CASE("what a registrar vouches for is told, from a stranger it is not") {
        auto settings = loopback_settings();
        Three t(settings);
        DialOptions options;
        options.headers = {{"P-Asserted-Identity", "<sip:boss@example.com>"},
                           {"Diversion", "<sip:front@example.com>;reason=no-answer"},
                           {"Privacy", "id"}};
        const auto call = t.alice.phone->dial(t.bob.uri(), options);
        REQUIRE(call.has_value());
        REQUIRE(t.until([&] { return t.bob.saw<event::CallIncoming>(); }));
        CHECK(t.bob.last<event::CallIncoming>()->asserted.empty());
        CHECK(t.bob.last<event::CallIncoming>()->diverted.empty());
    }

    TEST_CASE("an anonymous account tells nobody who calls") {
        auto settings = loopback_settings();
        AccountSettings account;
        account.name = "home";
        account.aor = "sip:alice@example.com";
        account.display_name = "Alice";
        account.registers = false;
        account.anonymous = true;
        settings.accounts.push_back(account);
        Loop loop;
        PhoneParty alice(loop, settings), bob(loop, loopback_settings());
        bob.auto_answer = false;
        REQUIRE(alice.phone->dial(bob.uri()).has_value());
        REQUIRE(run_until(loop, [&] { return bob.saw<event::CallIncoming>(); }));
        CHECK(bob.last<event::CallIncoming>()->call.remote == "sip:anonymous@anonymous.invalid");
    }
}
