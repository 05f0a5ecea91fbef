#include <csignal>
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include "media/detect.hpp"
#include "media/device.hpp"
#include "media/pcm.hpp"
#include "media/resample.hpp"
#include "media/tone.hpp"
#include "tests/support/wav.hpp"

using namespace offhook;
using namespace offhook::media;
namespace fs = std::filesystem;

namespace {

class Folder {
public:
    Folder() {
        std::string name = (fs::temp_directory_path() / "offhook-audio-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~Folder() { fs::remove_all(path_); }
    Folder(const Folder &) = delete;
    Folder &operator=(const Folder &) = delete;
    [[nodiscard]] std::string operator/(const char *name) const { return (path_ / name).string(); }

private:
    fs::path path_;
};

std::vector<std::int16_t> ramp(std::size_t count) {
    std::vector<std::int16_t> samples(count);
    for (std::size_t i = 0; i < count; ++i)
        samples[i] = static_cast<std::int16_t>(static_cast<int>(i * 7 % 65536) - 32768);
    return samples;
}

std::vector<std::int16_t> sine(double hz, double dbfs, unsigned rate, double seconds) {
    std::vector<std::int16_t> samples(static_cast<std::size_t>(rate * seconds));
    std::vector<Oscillator> tones{Oscillator(hz, dbfs)};
    add_tones(tones, samples, rate);
    return samples;
}

// Reads frames until the source ends; at most ten seconds.
std::vector<std::int16_t> drain(Source &source) {
    std::vector<std::int16_t> all, frame(source.rate() / 50);
    while (!source.ended() && all.size() < source.rate() * 10) {
        source.read(frame);
        all.insert(all.end(), frame.begin(), frame.end());
    }
    return all;
}

} // namespace

TEST_SUITE("audio") {

    TEST_CASE("a file is played sample by sample and ends with its last sample") {
        const Folder folder;
        for (const std::size_t count : {0UL, 1UL, 160UL, 1600UL, 2048UL, 4096UL, 5000UL}) {
            CAPTURE(count);
            const auto written = ramp(count);
            REQUIRE(test::write_wav(folder / "a.wav", 8000, written));
            auto source = open_file_source(folder / "a.wav");
            REQUIRE(source);
            CHECK((*source)->rate() == 8000);
            auto read = drain(**source);
            CHECK(read.size() == (count + 159) / 160 * 160);
            read.resize(count);
            CHECK(read == written);
        }
    }

    TEST_CASE("a looped file starts over without a gap") {
        const Folder folder;
        const auto written = ramp(1000);
        REQUIRE(test::write_wav(folder / "a.wav", 8000, written));
        auto source = open_file_source(folder / "a.wav", true);
        REQUIRE(source);
        std::vector<std::int16_t> read(5000);
        (*source)->read(read);
        CHECK_FALSE((*source)->ended());
        bool same = true;
        for (std::size_t i = 0; i < read.size(); ++i)
            same = same && read[i] == written[i % 1000];
        CHECK(same);
    }

    TEST_CASE("channels are mixed down to their mean") {
        const Folder folder;
        REQUIRE(test::write_wav(folder / "a.wav", 44100,
                                {32767, 32767, 1000, 3000, -32768, -32768, 100, -100}, 2));
        auto source = open_file_source(folder / "a.wav");
        REQUIRE(source);
        CHECK((*source)->rate() == 44100);
        std::vector<std::int16_t> read(4);
        (*source)->read(read);
        CHECK(read == std::vector<std::int16_t>{32767, 2000, -32768, 0});
    }

    TEST_CASE("what is no sound file is refused by name, with what was expected") {
        const Folder folder;
        std::ofstream(folder / "note.wav") << "this is text and not a sound file at all";
        const auto text = open_file_source(folder / "note.wav");
        REQUIRE_FALSE(text);
        CHECK(text.error().code == Errc::device);
        CHECK(text.error().what.starts_with((folder / "note.wav") + ": cannot be read as audio: "));
        CHECK(text.error().what.ends_with("; WAV, FLAC or Ogg expected"));
        const auto missing = open_file_source(folder / "missing.wav");
        REQUIRE_FALSE(missing);
        CHECK(missing.error().what ==
              (folder / "missing.wav") + ": No such file or directory; WAV, FLAC or Ogg expected");
        const auto directory = open_file_source(folder / "");
        REQUIRE_FALSE(directory);
        CHECK(directory.error().what.find("Is a directory") != std::string::npos);
    }

    TEST_CASE("resampling keeps frequency, level, length and start") {
        const Folder folder;
        for (const unsigned from : {8000U, 11025U, 16000U, 22050U, 44100U, 48000U})
            for (const unsigned to : {8000U, 16000U, 48000U}) {
                CAPTURE(from);
                CAPTURE(to);
                REQUIRE(test::write_wav(folder / "a.wav", from, sine(1000, -12, from, 1)));
                auto file = open_file_source(folder / "a.wav");
                REQUIRE(file);
                auto source = resampled(std::move(*file), to);
                CHECK(source->rate() == to);
                const auto all = drain(*source);
                CHECK(all.size() >= to);
                CHECK(all.size() <= to + to / 20);
                CHECK(std::abs(test::strongest_hz(all, to) - 1000) <= 1);
                CHECK(level_dbfs(ConstSamples(all).subspan(to / 10, to / 2)) ==
                      doctest::Approx(-12).epsilon(0.01));
                CHECK(level_dbfs(ConstSamples(all).first(to / 50)) > -14); // no gap before
                CHECK(level_dbfs(ConstSamples(all).subspan(to - to / 50, to / 50)) >
                      -14); // nothing lost at the end
            }
    }

    TEST_CASE("equal rates pass through untouched") {
        Resampler same(16000, 16000);
        const auto in = ramp(320);
        std::vector<std::int16_t> out(320);
        const auto done = same.process(in, out);
        CHECK(done.consumed == 320);
        CHECK(done.produced == 320);
        CHECK(out == in);
        CHECK(same.delay() == 0);
    }

    TEST_CASE("a recording has what was sent left and what was received right") {
        const Folder folder;
        for (const char *name : {"a.wav", "a.flac", "a.ogg", "a.opus"}) {
            CAPTURE(name);
            const unsigned rate = 16000;
            const auto sent = sine(440, -12, rate, 2.5), received = sine(1000, -20, rate, 2.5);
            {
                auto recorder = open_recorder(folder / name, rate);
                REQUIRE(recorder);
                CHECK((*recorder)->path() == folder / name);
                for (std::size_t at = 0; at < sent.size(); at += 320)
                    (*recorder)->write(ConstSamples(sent).subspan(at, 320),
                                       ConstSamples(received).subspan(at, 320));
                CHECK((*recorder)->failure() == nullptr);
            }
            auto source = open_file_source(folder / name); // mixed down: both are in it
            REQUIRE(source);
            const auto all = drain(**source);
            const ConstSamples middle = ConstSamples(all).subspan((*source)->rate(), (*source)->rate());
            CHECK(tone_share(middle, (*source)->rate(), 440) > 0.8);
            CHECK(tone_share(middle, (*source)->rate(), 1000) > 0.1);
        }
        const auto wav = test::Wav::load(folder / "a.wav");
        REQUIRE(wav.samples.size() == 2);
        CHECK(wav.rate == 16000);
        CHECK(wav.samples[0] == sine(440, -12, 16000, 2.5));
        CHECK(wav.samples[1] == sine(1000, -20, 16000, 2.5));
    }

    TEST_CASE("{side} in the name records each side in a file of its own") {
        const Folder folder;
        const auto sent = sine(440, -12, 8000, 1.5), received = sine(1000, -20, 8000, 1.5);
        {
            auto recorder = open_recorder(folder / "a-{side}.wav", 8000);
            REQUIRE(recorder);
            (*recorder)->write(sent, received);
            CHECK((*recorder)->failure() == nullptr);
        }
        CHECK(test::Wav::load(folder / "a-sent.wav").samples.at(0) == sent);
        CHECK(test::Wav::load(folder / "a-received.wav").samples.at(0) == received);
        CHECK_FALSE(fs::exists(folder / "a-{side}.wav"));
        CHECK_FALSE(open_recorder(folder / "none/{side}.wav", 8000));
    }

    TEST_CASE("an unfinished recording can be read at any moment") {
        const Folder folder;
        auto recorder = open_recorder(folder / "a.wav", 8000);
        REQUIRE(recorder);
        const auto second = sine(440, -12, 8000, 1);
        for (int i = 0; i < 3; ++i)
            (*recorder)->write(second, second);
        (*recorder)->write(ConstSamples(second).first(100), ConstSamples(second).first(100));
        fs::copy_file(folder / "a.wav", folder / "killed.wav"); // what SIGKILL would leave
        auto source = open_file_source(folder / "killed.wav");
        REQUIRE(source);
        CHECK(drain(**source).size() == 24000);
    }

    TEST_CASE("a recording into an unknown format or place is refused before anything is written") {
        const Folder folder;
        const auto format = open_recorder(folder / "a.doc", 8000);
        REQUIRE_FALSE(format);
        CHECK(format.error().code == Errc::invalid_argument);
        CHECK(format.error().what.find(".wav, .flac, .ogg or .opus expected") != std::string::npos);
        CHECK_FALSE(fs::exists(folder / "a.doc"));
        const auto place = open_recorder(folder / "none/a.wav", 8000);
        REQUIRE_FALSE(place);
        CHECK(place.error().code == Errc::device);
        CHECK(place.error().what ==
              (folder / "none/a.wav") + ": cannot be written: No such file or directory");
    }

    TEST_CASE("a full disk ends the recording with a valid file") {
        const Folder folder;
        struct rlimit before {};
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
        const auto old = std::signal(SIGXFSZ, SIG_IGN);
        const struct rlimit small { 50000, before.rlim_max };
        auto recorder = open_recorder(folder / "a.wav", 8000);
        REQUIRE(recorder);
        const auto second = sine(440, -12, 8000, 1);
        ::setrlimit(RLIMIT_FSIZE, &small);
        for (int i = 0; i < 4; ++i)
            (*recorder)->write(second, second);
        ::setrlimit(RLIMIT_FSIZE, &before);
        std::signal(SIGXFSZ, old);
        REQUIRE((*recorder)->failure() != nullptr);
        CHECK((*recorder)->failure()->code == Errc::device);
        CHECK((*recorder)->failure()->what == (folder / "a.wav") + ": File too large: recording stopped");
        recorder->reset();
        auto source = open_file_source(folder / "a.wav");
        REQUIRE(source);
        const auto all = drain(**source);
        CHECK(all.size() >= 8000);
        CHECK(test::strongest_hz(all, 8000) == 440);
    }

    TEST_CASE("--audio names open what they say or tell what is wrong") {
        const Folder folder;
        std::string warning;
        auto none = open_device("none", "s16le,16000", warning);
        REQUIRE(none);
        CHECK(none->name == "none");
        CHECK_FALSE(none->source);
        REQUIRE(test::write_wav(folder / "in.wav", 16000, sine(440, -12, 16000, 1)));
        {
            auto files = open_device("file:" + (folder / "in.wav") + "," + (folder / "out.wav"),
                                     "s16le,16000", warning);
            REQUIRE(files);
            REQUIRE(files->source);
            REQUIRE(files->sink);
            auto sink = resampled_sink(std::move(files->sink), 8000);
            const auto heard = sine(1000, -12, 8000, 1);
            for (std::size_t at = 0; at < heard.size(); at += 160)
                sink->write(ConstSamples(heard).subspan(at, 160));
            CHECK(sink->failure() == nullptr);
        }
        const auto out = test::Wav::load(folder / "out.wav");
        CHECK(out.rate == 48000);
        CHECK(out.seconds() == doctest::Approx(1).epsilon(0.01));
        CHECK(std::abs(out.hz(0, 0.1, 0.8) - 1000) <= 1);
        CHECK(out.dbfs(0, 0.1, 0.8) == doctest::Approx(-12).epsilon(0.01));
        auto only_out = open_device("file:," + (folder / "out.wav"), "s16le,16000", warning);
        REQUIRE(only_out);
        CHECK_FALSE(only_out->source);
        CHECK(warning.empty());
        for (const char *bad : {"", "alsa:", "card", "pipes", "Auto"}) {
            const auto device = open_device(bad, "s16le,16000", warning);
            REQUIRE_FALSE(device);
            CHECK(device.error().code == Errc::invalid_argument);
            CHECK(device.error().what.find("auto, none, alsa:NAME, file:IN,OUT or pipe expected") !=
                  std::string::npos);
        }
        for (const char *bad : {"", "s16le", "s16be,8000", "s16le,7999", "s16le,16000x", "s16le,-1"}) {
            const auto device = open_device("pipe", bad, warning);
            REQUIRE_FALSE(device);
            CHECK(device.error().code == Errc::invalid_argument);
        }
        const auto missing = open_device("file:" + (folder / "gone.wav") + ",", "s16le,16000", warning);
        REQUIRE_FALSE(missing);
        CHECK(missing.error().code == Errc::device);
    }

} // TEST_SUITE
