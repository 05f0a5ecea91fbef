#include <cmath>

#include <unistd.h>

#include "phone/expectations.hpp"
#include "phone/steps.hpp"
#include "tests/integration/phone_fixture.hpp"
#include "tests/support/wav.hpp"

using namespace offhook;
using namespace offhook::test;

namespace {

struct Folder {
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "offhook-phone-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;
    [[nodiscard]] std::string file(const std::string &name) const { return (path / name).string(); }
    std::filesystem::path path;
};

std::string tone_file(const Folder &folder, const std::string &name, double hz, double seconds) {
    constexpr unsigned rate = 16000;
    std::vector<std::int16_t> samples(static_cast<std::size_t>(rate * seconds));
    for (std::size_t i = 0; i < samples.size(); ++i)
        samples[i] = static_cast<std::int16_t>(
            8000 * std::sin(2 * 3.14159265358979 * hz * static_cast<double>(i) / rate));
    const auto path = folder.file(name);
    REQUIRE(write_wav(path, rate, samples));
    return path;
}

std::optional<Result<>> run_steps(PhonePair &p, std::string_view text) {
    auto steps = parse_steps(text);
    REQUIRE_MESSAGE(steps.has_value(), (steps ? std::string{} : steps.error().what));
    std::optional<Result<>> outcome;
    StepRunner runner(p.loop, *p.alice.phone, p.alice.call(), std::move(*steps), {},
                      [&](Result<> result) { outcome = std::move(result); });
    runner.finish_when_idle();
    p.until([&] { return outcome.has_value(); });
    return outcome;
}

} // namespace

TEST_SUITE("phone media") {
    TEST_CASE("played tones arrive in the far recording, both ways and with every codec") {
        for (const std::string codec : {"pcmu", "opus", "l16"}) {
            CAPTURE(codec);
            Folder folder;
            auto settings = loopback_settings();
            settings.codecs = {codec};
            PhonePair p(settings, settings);
            REQUIRE(p.talk());
            CHECK(p.bob.phone->record(p.bob.call(), folder.file("bob.wav")).has_value());
            CHECK(p.alice.phone->play(p.alice.call(), tone_file(folder, "440.wav", 440, 1)).has_value());
            CHECK(p.bob.phone->play(p.bob.call(), tone_file(folder, "1000.wav", 1000, 1)).has_value());
            REQUIRE(p.until(
                [&] { return p.alice.saw<event::CallPlayback>() && p.bob.saw<event::CallPlayback>(); }));
            CHECK(p.alice.phone->hang_up(p.alice.call()).has_value());
            REQUIRE(p.ended());
            CHECK_FALSE(p.bob.last<event::CallRecording>()->on);
            const auto wav = Wav::load(folder.file("bob.wav"));
            REQUIRE(wav.samples.size() == 2);
            CHECK(wav.hz(0, 0.3, 0.5) == doctest::Approx(1000).epsilon(0.02)); // left: sent
            CHECK(wav.hz(1, 0.3, 0.5) == doctest::Approx(440).epsilon(0.02));  // right: received
            CHECK(wav.dbfs(1, 0.3, 0.5) == doctest::Approx(-12.2).epsilon(0.15));
        }
    }

    TEST_CASE("file devices speak and listen for a call") {
        Folder folder;
        auto settings = loopback_settings();
        settings.audio = "file:" + tone_file(folder, "in.wav", 700, 3) + "," + folder.file("out.wav");
        {
            PhonePair p(settings);
            REQUIRE(p.talk());
            CHECK(p.bob.phone->echo(p.bob.call(), true).has_value());
            CHECK(run_steps(p, "wait 1500ms; hangup").value_or(fail(Errc::timeout, "")).has_value());
            REQUIRE(p.ended());
        }
        const auto heard = Wav::load(folder.file("out.wav"));
        REQUIRE(heard.rate > 0);
        CHECK(heard.hz(0, 0.5, 0.5) == doctest::Approx(700).epsilon(0.02));
    }

    TEST_CASE("a muted call sends silence") {
        Folder folder;
        PhonePair p;
        REQUIRE(p.talk());
        CHECK(p.alice.phone->mute(p.alice.call(), true).has_value());
        CHECK(p.alice.phone->call(p.alice.call())->muted);
        CHECK(p.bob.phone->record(p.bob.call(), folder.file("bob.wav")).has_value());
        CHECK(p.alice.phone->play(p.alice.call(), tone_file(folder, "440.wav", 440, 1)).has_value());
        REQUIRE(p.until([&] { return p.alice.saw<event::CallPlayback>(); }));
        CHECK(p.bob.phone->stop_record(p.bob.call()).has_value());
        CHECK(Wav::load(folder.file("bob.wav")).dbfs(1) < -60);
    }

    TEST_CASE("what cannot be played or recorded is said at once") {
        PhonePair p;
        REQUIRE(p.talk());
        CHECK(p.alice.phone->play(p.alice.call(), "/nowhere/x.wav").error().code == Errc::device);
        CHECK(p.alice.phone->record(p.alice.call(), "/nowhere/x.wav").error().code == Errc::device);
        CHECK(p.alice.phone->stop_record(p.alice.call()).error().code == Errc::invalid_argument);
        CHECK(p.alice.phone->play(CallId{99}, "x.wav").error().code == Errc::not_found);
    }

    TEST_CASE("steps walk through a call: answer, digits, tone, file, hold, hang up") {
        Folder folder;
        PhonePair p;
        p.bob.auto_answer = true;
        p.dial();
        std::vector<std::string> done;
        auto handle = p.bob.phone->events().add([&](const Event &event) {
            if (std::holds_alternative<event::CallAnswered>(event)) {
                CHECK(p.bob.phone->play(p.bob.call(), tone_file(folder, "440.wav", 440, 2)).has_value());
                CHECK(p.bob.phone->send_dtmf(p.bob.call(), "5#").has_value());
            }
        });
        const auto outcome = run_steps(p, "wait answer; wait dtmf 5# 5s; wait tone 440 5s; dtmf 12; play " +
                                              tone_file(folder, "short.wav", 600, 0.2) +
                                              "; hold; resume; mute; unmute; hangup; wait end");
        REQUIRE(outcome.has_value());
        CHECK_MESSAGE(outcome->has_value(), (*outcome ? std::string{} : outcome->error().what));
        CHECK(p.until([&] { return p.bob.digits(false) == "12"; }));
        CHECK(p.alice.count<event::CallStep>() == 11);
    }

    TEST_CASE("a step that fails names itself and ends the call") {
        PhonePair p;
        REQUIRE(p.talk());
        const auto outcome = run_steps(p, "wait 10ms; mute; wait dtmf 7 300ms; hangup");
        REQUIRE(outcome.has_value());
        REQUIRE_FALSE(outcome->has_value());
        CHECK(outcome->error().code == Errc::expectation);
        CHECK(outcome->error().what.starts_with("step 3 \"wait dtmf 7 300ms\": did not happen within"));
        CHECK(p.ended());
        CHECK_FALSE(p.alice.last<event::CallStep>()->ok);
    }

    TEST_CASE("steps end when the call does") {
        PhonePair p;
        REQUIRE(p.talk());
        CHECK(p.bob.phone->hang_up(p.bob.call()).has_value());
        const auto outcome = run_steps(p, "wait dtmf 1");
        REQUIRE(outcome.has_value());
        REQUIRE_FALSE(outcome->has_value());
        CHECK(outcome->error().what.find("the call ended first") != std::string::npos);
    }

    TEST_CASE("expectations hold or name what was missing") {
        Folder folder;
        PhonePair p;
        ExpectationOptions good{.dtmf = "^42$",
                                .tone = {440},
                                .headers = {{"server", "^offhook/"}},
                                .audio = true,
                                .min_mos = 3.5};
        p.dial();
        auto met = Expectations::watch(*p.alice.phone, p.alice.call(), good);
        REQUIRE(met.has_value());
        std::vector<std::unique_ptr<Expectations>> unmet;
        for (const auto &bad :
             {ExpectationOptions{.dtmf = "^9"}, ExpectationOptions{.headers = {{"server", "^asterisk"}}},
              ExpectationOptions{.min_mos = 4.6}}) {
            auto watch = Expectations::watch(*p.alice.phone, p.alice.call(), bad);
            REQUIRE(watch.has_value());
            unmet.push_back(std::move(*watch));
        }
        REQUIRE(
            p.until([&] { return p.bob.saw<event::CallAnswered>() && p.alice.saw<event::CallAnswered>(); }));
        CHECK(p.bob.phone->play(p.bob.call(), tone_file(folder, "440.wav", 440, 1)).has_value());
        REQUIRE(p.until([&] { return p.bob.saw<event::CallPlayback>(); }));
        CHECK(p.bob.phone->send_dtmf(p.bob.call(), "42").has_value());
        REQUIRE(p.until([&] { return p.alice.digits(false) == "42"; }));
        CHECK(p.bob.phone->hang_up(p.bob.call()).has_value());
        REQUIRE(p.ended());
        const auto outcome = (*met)->outcome();
        CHECK_MESSAGE(outcome.has_value(), (outcome ? std::string{} : outcome.error().what));
        for (const auto &expectation : unmet)
            CHECK(expectation->outcome().error().code == Errc::expectation);
    }
}
