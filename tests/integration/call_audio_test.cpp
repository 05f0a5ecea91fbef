#include <cmath>
#include <csignal>
#include <filesystem>
#include <thread>

#include <doctest/doctest.h>

#include "media/call_audio.hpp"
#include "tests/support/cpu_time.hpp"
#include "tests/support/wav.hpp"

using namespace offhook;
using namespace offhook::media;
namespace fs = std::filesystem;

namespace {

// Keeps what it is given.
class Ear final : public Sink {
public:
    explicit Ear(std::vector<std::int16_t> &heard) : heard_(heard) {}
    [[nodiscard]] unsigned rate() const noexcept override { return 16000; }
    void write(ConstSamples frame) override { heard_.insert(heard_.end(), frame.begin(), frame.end()); }

private:
    std::vector<std::int16_t> &heard_;
};

struct Party {
    Party(Loop &loop, std::string_view codecs)
        : leg(MediaLeg::open(loop,
                             {.local_ip = Address::parse("127.0.0.1").value(),
                              .public_ip = "",
                              .codecs = parse_codec_list(codecs).value()},
                             {})
                  .value()) {
        device.sink = std::make_unique<Ear>(heard);
        leg->set_tap([this](const Address &from, const Address &, Bytes datagram) {
            const auto packet = parse_rtp(datagram);
            if (looks_like_rtcp(datagram) || !packet || !(from == leg->local_rtp())) return;
            ++packets;
            for (std::size_t i = 0; i + 1 < packet->payload.size(); i += 2) // as L16 has it, big-endian
                wire.push_back(static_cast<std::int16_t>(packet->payload[i] << 8 | packet->payload[i + 1]));
        });
    }
    std::unique_ptr<MediaLeg> leg;
    Device device;
    std::vector<std::int16_t> heard, wire;
    int packets = 0;
};

struct Call {
    explicit Call(std::string_view codecs)
        : alice(loop, codecs), bob(loop, codecs),
          a(loop, *alice.leg, &alice.device,
            {[this] { ++played; }, [this](const Error &e) { failed.push_back(e.what); },
             [this] { ++ended; }}),
          b(loop, *bob.leg, &bob.device, {}) {
        std::string name = (fs::temp_directory_path() / "offhook-call-XXXXXX").string();
        folder = ::mkdtemp(name.data());
    }
    ~Call() { fs::remove_all(folder); }
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;

    void connect() {
        const auto offer = alice.leg->offer();
        REQUIRE(offer);
        const auto answer = bob.leg->answer(*offer);
        REQUIRE(answer);
        REQUIRE(alice.leg->answered(*answer));
    }
    void start() {
        a.start();
        b.start();
    }
    void run(Duration time) {
        Timer end(loop);
        end.start(time, [this] { loop.stop(); });
        REQUIRE(loop.run());
    }
    [[nodiscard]] std::string path(const char *name) const { return (folder / name).string(); }

    Loop loop;
    Party alice, bob;
    CallAudio a, b;
    fs::path folder;
    int played = 0, ended = 0;
    std::vector<std::string> failed;
};

std::vector<std::int16_t> ramp(std::size_t count) {
    std::vector<std::int16_t> samples(count);
    for (std::size_t i = 0; i < count; ++i)
        samples[i] = static_cast<std::int16_t>(static_cast<int>(i) + 1);
    return samples;
}

// Frequency and level of the last half second.
struct Sound {
    double hz, dbfs;
};
Sound recent(const std::vector<std::int16_t> &samples, unsigned rate = 16000) {
    const std::size_t count = std::min<std::size_t>(samples.size(), rate / 2);
    const std::vector<std::int16_t> last(samples.end() - static_cast<std::ptrdiff_t>(count), samples.end());
    return {test::strongest_hz(last, rate), level_dbfs(last)};
}

} // namespace

TEST_SUITE("call-audio") {

    TEST_CASE("a played file goes out sample by sample, waits for the answer, and its end is told once") {
        Call call("l16");
        const auto samples = ramp(5000); // 15.6 frames
        REQUIRE(test::write_wav(call.path("a.wav"), 16000, samples));
        call.a.play(std::move(*open_file_source(call.path("a.wav"))));
        CHECK(call.a.playing());
        call.start();
        call.run(Duration(100)); // nothing negotiated yet: nothing of it may be lost
        CHECK(call.alice.packets == 0);
        call.connect();
        call.run(Duration(700));
        CHECK(call.played == 1);
        CHECK_FALSE(call.a.playing());
        REQUIRE(call.alice.wire.size() > 5120);
        CHECK(std::vector<std::int16_t>(call.alice.wire.begin(), call.alice.wire.begin() + 5000) == samples);
        CHECK(level_dbfs(ConstSamples(call.alice.wire).subspan(5000)) == -96);
    }

    TEST_CASE("fifty packets a second leave, without drift") {
        Call call("pcmu");
        call.connect();
        call.a.start();
        call.run(Duration(1010));
        CHECK(call.alice.packets >= 50);
        CHECK(call.alice.packets <= 52);
    }

    TEST_CASE("after a stall at most five frames are made up for") {
        Call call("l16");
        call.connect();
        call.a.start();
        call.run(Duration(50));
        const int before = call.alice.packets;
        std::this_thread::sleep_for(std::chrono::milliseconds(400)); // the stall itself, not a wait
        call.run(Duration(10));
        CHECK(call.alice.packets - before >= 5);
        CHECK(call.alice.packets - before <= 6);
    }

    TEST_CASE("both sides hear each other with the right pitch and level, and record it") {
        for (const std::string_view codec : {"l16", "pcma", "pcmu", "g722", "opus"}) {
            if (find_codec(codec) == nullptr) continue;
            CAPTURE(std::string(codec));
            Call call(codec);
            call.alice.device.source = make_tone_source(440, 0, -12);
            call.bob.device.source = make_tone_source(1000, 0, -20);
            call.connect();
            REQUIRE(call.a.record(call.path("rec.wav")));
            CHECK(call.a.recording());
            call.start();
            call.run(Duration(1500));
            CHECK(std::abs(recent(call.bob.heard).hz - 440) <= 2);
            CHECK(recent(call.bob.heard).dbfs == doctest::Approx(-12).epsilon(0.1));
            CHECK(std::abs(recent(call.alice.heard).hz - 1000) <= 2);
            CHECK(recent(call.alice.heard).dbfs == doctest::Approx(-20).epsilon(0.07));
            CHECK(call.a.sent_dbfs() == doctest::Approx(-12).epsilon(0.1));
            CHECK(call.a.received_dbfs() == doctest::Approx(-20).epsilon(0.1));
            CHECK(call.a.silence().heard_anything());
            call.a.stop_record();
            const auto recorded = test::Wav::load(call.path("rec.wav"));
            CHECK(recorded.rate == call.alice.leg->pcm_rate());
            CHECK(recorded.seconds() == doctest::Approx(1.5).epsilon(0.05));
            CHECK(std::abs(recorded.hz(0, 0.7, 0.7) - 440) <= 2);
            CHECK(recorded.dbfs(0, 0.7, 0.7) == doctest::Approx(-12).epsilon(0.1));
            CHECK(std::abs(recorded.hz(1, 0.7, 0.7) - 1000) <= 2);
            CHECK(recorded.dbfs(1, 0.7, 0.7) == doctest::Approx(-20).epsilon(0.07));
        }
    }

    TEST_CASE("mute sends silence and uses the file up; unmute is heard again") {
        Call call("l16");
        call.connect();
        call.a.play(make_tone_source(440));
        call.a.set_mute(true);
        call.start();
        call.run(Duration(200));
        CHECK(call.alice.packets > 5);
        CHECK(level_dbfs(call.alice.wire) == -96);
        call.a.set_mute(false);
        call.run(Duration(300));
        CHECK(call.a.sent_dbfs() == doctest::Approx(-12).epsilon(0.1));
        call.a.stop_play();
        call.run(Duration(100));
        CHECK(call.a.sent_dbfs() == -96);
        CHECK(call.played == 0);
    }

    TEST_CASE("echo sends back what arrives") {
        Call call("l16");
        call.alice.device.source = make_tone_source(700, 0, -15);
        call.bob.device.source = make_tone_source(300, 0, -15);
        call.b.set_echo(true);
        call.connect();
        call.start();
        call.run(Duration(1200));
        CHECK(recent(call.alice.heard).hz == doctest::Approx(700).epsilon(0.003));
        CHECK(recent(call.alice.heard).dbfs == doctest::Approx(-15).epsilon(0.05));
    }

    TEST_CASE("a watched tone is told once") {
        Call call("opus");
        call.alice.device.source = make_tone_source(440, 480, -15);
        call.connect();
        int heard = 0, wrong = 0;
        call.b.watch_tone({440, 480}, [&] { ++heard; });
        call.a.watch_tone({440}, [&] { ++wrong; });
        call.start();
        call.run(Duration(1000));
        CHECK(heard == 1);
        CHECK(wrong == 0);
    }

    TEST_CASE("keys in band are heard as their frequencies") {
        Call call("pcma");
        call.connect();
        call.b.watch_tone({770, 1336}, [&] { ++call.ended; });
        call.start();
        call.run(Duration(100));
        call.a.send_dtmf_inband("5555");
        CHECK(call.a.dtmf_inband_busy());
        call.b.watch_tone({770, 1336}, [&] { ++call.ended; });
        call.run(Duration(1200));
        CHECK_FALSE(call.a.dtmf_inband_busy());
        bool loud = false;
        for (std::size_t at = 0; at + 800 <= call.bob.heard.size(); at += 160) {
            const auto piece = ConstSamples(call.bob.heard).subspan(at, 800);
            loud = loud || (level_dbfs(piece) > -7 && tone_share(piece, 16000, 770) > 0.3 &&
                            tone_share(piece, 16000, 1336) > 0.5);
        }
        CHECK(loud);
    }

    TEST_CASE("telephone-events take the place of sound, the file waits for them") {
        Call call("l16");
        const auto samples = ramp(3200);
        REQUIRE(test::write_wav(call.path("a.wav"), 16000, samples));
        call.connect();
        call.start();
        call.run(Duration(100));
        REQUIRE(call.alice.leg->can_send_dtmf());
        REQUIRE(call.alice.leg->send_dtmf("1"));
        call.a.play(std::move(*open_file_source(call.path("a.wav"))));
        call.run(Duration(900));
        CHECK(call.played == 1);
        CHECK(std::search(call.alice.wire.begin(), call.alice.wire.end(), samples.begin(), samples.end()) !=
              call.alice.wire.end());
    }

    TEST_CASE("the local tone is heard at the device only") {
        Call call("pcmu");
        call.a.set_local_tone(CallAudio::LocalTone::busy);
        REQUIRE(call.a.record(call.path("rec.wav")));
        call.start();
        call.run(Duration(450));
        const auto heard = recent(call.alice.heard);
        CHECK(heard.hz == doctest::Approx(425).epsilon(0.005));
        CHECK(heard.dbfs == doctest::Approx(-18).epsilon(0.06));
        call.a.set_local_tone(CallAudio::LocalTone::none);
        call.alice.heard.clear();
        call.run(Duration(100));
        CHECK(level_dbfs(ConstSamples(call.alice.heard).subspan(160)) <
              -60); // but for the resampler's last ripple
        call.a.stop_record();
        CHECK(test::Wav::load(call.path("rec.wav")).dbfs(1) == -96);
    }

    TEST_CASE("the end of a device's file is told once") {
        Call call("l16");
        REQUIRE(test::write_wav(call.path("in.wav"), 8000, ramp(800)));
        call.alice.device.source = std::move(*open_file_source(call.path("in.wav")));
        call.connect();
        call.start();
        call.run(Duration(400));
        CHECK(call.ended == 1);
    }

    TEST_CASE("everything follows a change of codec") {
        Call call("l16,pcmu");
        const auto offer = [](const char *format, const char *map) {
            return std::string("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 "
                               "0\r\nm=audio 9 RTP/AVP ") +
                   format + "\r\na=rtpmap:" + format + " " + map + "\r\n";
        };
        call.alice.device.source = make_tone_source(440, 0, -12);
        REQUIRE(call.alice.leg->answer(offer("97", "L16/16000")));
        REQUIRE(call.a.record(call.path("rec.wav")));
        call.a.start();
        call.run(Duration(500));
        REQUIRE(call.alice.leg->pcm_rate() == 16000);
        REQUIRE(call.alice.leg->answer(offer("0", "PCMU/8000")));
        REQUIRE(call.alice.leg->pcm_rate() == 8000);
        call.run(Duration(500));
        call.a.stop_record();
        const auto recorded = test::Wav::load(call.path("rec.wav"));
        CHECK(recorded.rate == 16000);
        CHECK(recorded.seconds() == doctest::Approx(1).epsilon(0.06));
        for (const double from : {0.1, 0.6}) {
            CAPTURE(from);
            CHECK(std::abs(recorded.hz(0, from, 0.3) - 440) <= 2);
            CHECK(recorded.dbfs(0, from, 0.3) == doctest::Approx(-12).epsilon(0.05));
        }
    }

    TEST_CASE("a recording that fails is told once and the call goes on") {
        Call call("l16");
        call.alice.device.source = make_tone_source(440);
        call.connect();
        struct rlimit before {};
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
        const auto old = std::signal(SIGXFSZ, SIG_IGN);
        REQUIRE(call.a.record(call.path("rec.wav")));
        const struct rlimit small { 20000, before.rlim_max };
        ::setrlimit(RLIMIT_FSIZE, &small);
        call.start();
        call.run(Duration(1300));
        ::setrlimit(RLIMIT_FSIZE, &before);
        std::signal(SIGXFSZ, old);
        REQUIRE(call.failed.size() == 1);
        CHECK(call.failed.front() == call.path("rec.wav") + ": File too large: recording stopped");
        CHECK_FALSE(call.a.recording());
        const int packets = call.alice.packets;
        call.run(Duration(100));
        CHECK(call.alice.packets > packets);
    }

    TEST_CASE("nothing is told after the call's sound is gone") {
        Loop loop;
        Party party(loop, "l16");
        int told = 0;
        auto audio = std::make_unique<CallAudio>(loop, *party.leg, nullptr,
                                                 CallAudio::Events{[&] { ++told; }, {}, {}});
        audio->start();
        Timer end(loop), gone(loop);
        gone.start(Duration(50), [&] { audio.reset(); });
        end.start(Duration(100), [&] { loop.stop(); });
        REQUIRE(loop.run());
        CHECK(told == 0);
    }

    TEST_CASE("ALSA's null device neither free-runs nor leaks old memory into the call") {
        std::string warning;
        auto device = open_device("alsa:null", "s16le,16000", warning);
        if (!device) {
            MESSAGE("no ALSA configuration here: ", device.error().what);
            return;
        }
        REQUIRE(device->source);
        REQUIRE(device->sink);
        Call call("l16");
        call.alice.device = std::move(*device);
        call.bob.device.source = make_tone_source(440);
        call.connect();
        call.start();
        const double before = test::cpu_ms();
        call.run(Duration(1000));
        CHECK(test::cpu_ms() - before < 400);
        CHECK(call.alice.packets >= 49);
        CHECK(call.alice.packets <= 52);
        CHECK(level_dbfs(call.alice.wire) == -96);
    }

    TEST_CASE("an ALSA device that is not there is named, and auto does without") {
        std::string warning;
        const auto missing = open_device("alsa:no_such_card", "s16le,16000", warning);
        REQUIRE_FALSE(missing);
        CHECK(missing.error().code == Errc::device);
        CHECK(missing.error().what.starts_with("no_such_card: "));
        CHECK(warning.empty());
        const auto automatic = open_device("auto", "s16le,16000", warning);
        REQUIRE(automatic);
        if (automatic->name == "none") {
            CHECK(warning.starts_with("no sound card (default: "));
            CHECK(warning.ends_with("); see --audio"));
        } else {
            CHECK(warning.empty());
        }
        for (const auto &info : list_devices()) {
            CHECK(info.name.starts_with("alsa:"));
            CHECK((info.capture || info.playback));
        }
    }

} // TEST_SUITE
