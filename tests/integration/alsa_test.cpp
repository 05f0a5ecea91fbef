// Sound cards by the paced test device (tests/support/alsa_pace.c): overruns, suspend, loss, return, drift,
// echo.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "media/call_audio.hpp"
#include "media/device_watch.hpp"
#include "media/resample.hpp"
#include "tests/integration/phone_fixture.hpp"
#include "tests/support/cpu_time.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/wav.hpp"

using namespace offhook;
using namespace offhook::media;
namespace fs = std::filesystem;

namespace {

constexpr unsigned rate = 16000;

// An ALSA configuration with one card "card" of these knobs; what it plays lands in played().
class Card {
public:
    explicit Card(const std::string &knobs, const std::vector<std::int16_t> &microphone = {}) {
        std::string name = (fs::temp_directory_path() / "offhook-alsa-XXXXXX").string();
        folder_ = ::mkdtemp(name.data());
        const auto module = fs::read_symlink("/proc/self/exe").parent_path() / "libasound_module_pcm_pace.so";
        std::ofstream(folder_ / "mic.raw", std::ios::binary)
            .write(reinterpret_cast<const char *>(microphone.data()),
                   static_cast<std::streamsize>(microphone.size() * sizeof microphone[0]));
        std::ofstream(folder_ / "asound.conf")
            << "</usr/share/alsa/alsa.conf>\npcm_type.pace { lib \"" << module.string() << "\" }\n"
            << "pcm.card { type pace out \"" << (folder_ / "out.raw").string() << "\" in \""
            << (folder_ / "mic.raw").string() << "\" " << knobs << " }\n";
        ::setenv("ALSA_CONFIG_PATH", (folder_ / "asound.conf").c_str(), 1);
    }
    ~Card() {
        ::unsetenv("ALSA_CONFIG_PATH");
        fs::remove_all(folder_);
    }
    Card(const Card &) = delete;
    Card &operator=(const Card &) = delete;

    [[nodiscard]] std::vector<std::int16_t> played() const {
        std::ifstream file(folder_ / "out.raw", std::ios::binary);
        std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
        std::vector<std::int16_t> samples(bytes.size() / 2);
        std::memcpy(samples.data(), bytes.data(), samples.size() * 2);
        return samples;
    }
    static Device open() {
        std::string warning;
        auto device = open_device("alsa:card", "s16le,16000", warning);
        REQUIRE_MESSAGE(device.has_value(), (device ? std::string{} : device.error().what));
        return std::move(*device);
    }

private:
    fs::path folder_;
};

class Tape final : public Sink {
public:
    explicit Tape(std::vector<std::int16_t> &heard) : heard_(heard) {}
    [[nodiscard]] unsigned rate() const noexcept override { return ::rate; }
    void write(ConstSamples frame) override { heard_.insert(heard_.end(), frame.begin(), frame.end()); }

private:
    std::vector<std::int16_t> &heard_;
};

class Record final : public Source { // samples once, then silence
public:
    explicit Record(std::vector<std::int16_t> samples) : samples_(std::move(samples)) {}
    [[nodiscard]] unsigned rate() const noexcept override { return ::rate; }
    void read(Samples frame) override {
        for (auto &sample : frame)
            sample = at_ < samples_.size() ? samples_[at_++] : std::int16_t{0};
    }

private:
    std::vector<std::int16_t> samples_;
    std::size_t at_ = 0;
};

// Alice has the card, Bob a tape; L16 between them.
struct Call {
    explicit Call(Device card) : alice(open(loop)), bob(open(loop)), device(std::move(card)) {
        tape.sink = std::make_unique<Tape>(heard);
        device.watch->changed = [this](const std::string &why) {
            changes.push_back(why);
            changed_at.push_back(loop.now());
        };
        a = std::make_unique<CallAudio>(loop, *alice, &device, CallAudio::Events{});
        b = std::make_unique<CallAudio>(loop, *bob, &tape, CallAudio::Events{});
        REQUIRE(alice->answered(bob->answer(alice->offer().value()).value()).has_value());
    }
    static std::unique_ptr<MediaLeg> open(Loop &loop) {
        return MediaLeg::open(loop,
                              {.local_ip = Address::parse("127.0.0.1").value(),
                               .public_ip = "",
                               .codecs = parse_codec_list("l16").value()},
                              {})
            .value();
    }
    void start() {
        a->start();
        b->start();
    }
    void run(Duration time) {
        Timer end(loop);
        end.start(time, [this] { loop.stop(); });
        REQUIRE(loop.run());
    }

    Loop loop;
    std::unique_ptr<MediaLeg> alice, bob;
    Device device, tape;
    std::vector<std::int16_t> heard;
    std::vector<std::string> changes;
    std::vector<TimePoint> changed_at;
    std::unique_ptr<CallAudio> a, b;
};

std::vector<std::int16_t> sine(double hz, double seconds, double amplitude = 8000) {
    std::vector<std::int16_t> samples(static_cast<std::size_t>(seconds * rate));
    for (std::size_t i = 0; i < samples.size(); ++i)
        samples[i] = static_cast<std::int16_t>(
            amplitude * std::sin(2 * 3.14159265358979 * hz * static_cast<double>(i) / rate));
    return samples;
}

std::vector<std::int16_t> speech16(unsigned seconds) {
    const auto speech = test::speech(seconds);
    REQUIRE(speech.rate > 0);
    std::vector<std::int16_t> out(speech.samples.size() * rate / speech.rate + 16);
    Resampler resampler(speech.rate, rate);
    out.resize(resampler.process(speech.samples, out).produced);
    return out;
}

double db(const std::vector<std::int16_t> &samples, double from, double to) {
    const auto begin = std::min(samples.size(), static_cast<std::size_t>(from * rate));
    const auto end = std::min(samples.size(), static_cast<std::size_t>(to * rate));
    return level_dbfs(ConstSamples(samples).subspan(begin, end - begin));
}

// Share of 20 ms pieces that hold the tone.
double with_tone(const std::vector<std::int16_t> &samples, double hz, std::size_t from = 0) {
    std::size_t good = 0, all = 0;
    for (std::size_t at = from; at + 320 <= samples.size(); at += 320, ++all)
        if (tone_share(ConstSamples(samples).subspan(at, 320), rate, hz) > 0.9) ++good;
    return all == 0 ? 0 : static_cast<double>(good) / static_cast<double>(all);
}

} // namespace

TEST_SUITE("alsa") {

    TEST_CASE("a card speaks and listens at its own pace, and a clock that is off loses nothing") {
        for (const char *knobs : {"ppm 0", "ppm 200"}) {
            CAPTURE(std::string(knobs));
            const Card card(knobs, sine(400, 1)); // a whole number of turns: it loops without a jump
            Call call(Card::open());
            call.tape.source = std::make_unique<Record>(sine(1000, 3));
            call.start();
            call.run(Duration(2000));
            CHECK(with_tone(call.heard, 400, rate / 2) > 0.98);
            const auto played = card.played();
            CHECK(with_tone(played, 1000, rate / 2) > 0.95);
            CHECK(call.changes.empty());
        }
    }

    TEST_CASE("overruns and suspends are got over within 200 ms, without a word") {
        for (const char *knobs : {"xrun_every 25", "suspend_every 40"}) {
            CAPTURE(std::string(knobs));
            const Card card(knobs, sine(400, 1));
            Call call(Card::open());
            call.tape.source = std::make_unique<Record>(sine(1000, 4));
            call.start();
            const double before = test::cpu_ms();
            call.run(Duration(2000));
            CHECK(test::cpu_ms() - before < 600); // with sanitizers; a spin takes 2000
            CHECK(call.changes.empty());
            CHECK(with_tone(call.heard, 400, rate / 2) > 0.5);
            std::size_t quiet = 0, longest = 0;
            for (std::size_t at = rate / 2; at + 320 <= call.heard.size(); at += 320) {
                quiet = level_dbfs(ConstSamples(call.heard).subspan(at, 320)) < -60 ? quiet + 20 : 0;
                longest = std::max(longest, quiet);
            }
            CHECK(longest <= 200);
            CHECK(with_tone(card.played(), 1000, rate / 2) > 0.5);
        }
    }

    TEST_CASE(
        "a card that vanishes is told once, gives silence, and is back within two seconds of its return") {
        const Card card("die_after_ms 800 back_after_ms 2300", sine(400, 1));
        Call call(Card::open());
        const TimePoint began = call.loop.now();
        call.tape.source = std::make_unique<Record>(sine(1000, 8));
        call.start();
        call.run(Duration(1200));
        REQUIRE(call.changes.size() == 1);
        CHECK(call.changes[0] == "No such device");
        const double before = test::cpu_ms();
        const std::size_t lost_from = call.heard.size();
        call.run(Duration(900));
        CHECK(test::cpu_ms() - before < 350);              // nothing spins while it is away
        REQUIRE(call.heard.size() > lost_from + rate / 2); // the call goes on, in silence
        CHECK(level_dbfs(ConstSamples(call.heard).subspan(lost_from, rate / 2)) == -96);
        call.run(Duration(2300));
        REQUIRE(call.changes.size() == 2);
        CHECK(call.changes[1].empty());
        CHECK(call.changed_at[1] - began < Duration(2300 + 2000));
        CHECK(with_tone(call.heard, 400, call.heard.size() - rate / 4) > 0.9);
        const auto played = card.played();
        REQUIRE(played.size() > rate / 4);
        CHECK(with_tone(played, 1000, played.size() - rate / 4) > 0.9);
    }

    TEST_CASE("a card that is not there when the phone starts is an error, or none with auto") {
        const Card card("fail_open 2");
        std::string warning;
        const auto device = open_device("alsa:card", "s16le,16000", warning);
        REQUIRE_FALSE(device);
        CHECK(device.error().what == "card: No such device");
    }

    TEST_CASE("the phone tells audio.lost and audio.restored, once each, and its call stays up") {
        const Card card("die_after_ms 700 back_after_ms 1500");
        auto settings = test::loopback_settings();
        settings.audio = "alsa:card";
        test::PhonePair p(settings);
        REQUIRE(p.talk());
        REQUIRE(p.until([&] { return p.alice.saw<event::AudioRestored>(); }));
        CHECK(p.alice.count<event::AudioLost>() == 1);
        CHECK(p.alice.last<event::AudioLost>()->device == "alsa:card");
        CHECK(p.alice.last<event::AudioLost>()->error == "No such device");
        CHECK(p.alice.count<event::AudioRestored>() == 1);
        CHECK_FALSE(p.alice.saw<event::CallEnded>());
        CHECK(p.alice.phone->hang_up(p.alice.call()).has_value());
        CHECK(p.ended());
    }

    TEST_CASE("echo at -6 dB and 120 ms is cancelled by 25 dB after two seconds") {
        if (echo_canceller_name().empty()) {
            MESSAGE("built without webrtc-audio-processing");
            return;
        }
        const auto far = speech16(8);
        double enhancement = 0;
        // In real time: a machine that stalls tears holes into the sound, and the canceller has to start
        // anew.
        for (int attempt = 0; attempt < 3 && enhancement < 25; ++attempt) {
            const Card card("echo_db -6 latency_ms 120");
            Call call(Card::open());
            call.a->set_voice(make_voice_processor({.echo = EchoMode::cancel}, true).value());
            call.tape.source = std::make_unique<Record>(far);
            call.start();
            call.run(Duration(7000));
            const double sent = db(far, 2, 6.5), back = db(call.heard, 2.4, 6.9);
            enhancement = sent - 6 - back;
            MESSAGE("far speech ", sent, " dBFS, its echo ", back, " dBFS: ERLE ", enhancement, " dB");
        }
        CHECK(enhancement >= 25);
    }

    TEST_CASE("double talk: who speaks near the microphone is heard while the far side speaks") {
        if (echo_canceller_name().empty()) {
            MESSAGE("built without webrtc-audio-processing");
            return;
        }
        const auto all = speech16(16); // the one hears the first half, the other says the second
        const std::vector<std::int16_t> far(all.begin(), all.begin() + 8 * rate);
        std::vector<std::int16_t> near(3 * rate); // until the canceller knows the echo
        near.insert(near.end(), all.begin() + 8 * rate, all.begin() + 16 * rate);
        const auto heard_near = [&](bool far_speaks) {
            const Card card("echo_db -6 latency_ms 120", near);
            Call call(Card::open());
            call.a->set_voice(
                make_voice_processor({.echo = EchoMode::cancel, .gain_control = false}, true).value());
            call.tape.source = std::make_unique<Record>(far_speaks ? far : std::vector<std::int16_t>{});
            call.start();
            call.run(Duration(8000));
            return std::move(call.heard);
        };
        const auto alone = heard_near(false);
        double lost = 100, muted = 100;
        for (int attempt = 0; attempt < 3 && (lost > 6 || muted > 20); ++attempt) { // a machine that stalls
            const auto both = heard_near(true);
            lost = db(alone, 3.5, 7.8) - db(both, 3.5, 7.8);
            // Of the moments in which the near voice is there alone, how many are 20 dB down in double talk.
            unsigned voiced = 0, gone = 0;
            for (double at = 3.5; at < 7.7; at += 0.1) {
                const double before = db(alone, at, at + 0.1);
                if (before < -35) continue;
                ++voiced;
                if (db(both, at - 0.1, at + 0.2) < before - 20) ++gone;
            }
            REQUIRE(voiced > 10);
            muted = 100.0 * gone / voiced;
            MESSAGE("near speech loses ", lost, " dB to double talk, ", muted, " % of its moments are gone");
        }
        CHECK(lost <= 6);
        CHECK(muted <= 20);
    }

    TEST_CASE("without the canceller the echo is there: the test above can fail") {
        const auto far = speech16(4);
        const Card card("echo_db -6 latency_ms 120");
        Call call(Card::open());
        call.tape.source = std::make_unique<Record>(far);
        call.start();
        call.run(Duration(3000));
        CHECK(std::abs(db(far, 1, 2.5) - 6 - db(call.heard, 1.3, 2.8)) < 3);
    }

    TEST_CASE("the voice switch lets no echo through and gives the line to who speaks") {
        const auto far = speech16(4);
        const Card card("echo_db -6 latency_ms 120");
        Call call(Card::open());
        call.a->set_voice(make_voice_processor({.echo = EchoMode::half_duplex}, false).value());
        call.tape.source = std::make_unique<Record>(far);
        call.start();
        call.run(Duration(3000));
        CHECK(db(far, 1, 2.5) - 6 - db(call.heard, 1.3, 2.8) >= 40);
    }

} // TEST_SUITE
