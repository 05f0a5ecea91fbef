#include <algorithm>
#include <csignal>
#include <cstring>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "media/detect.hpp"
#include "media/pipe.hpp"
#include "media/resample.hpp"
#include "media/tone.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

struct Pipe {
    Pipe() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        out = Fd(ends[0]);
        in = Fd(ends[1]);
    }
    std::size_t put(const void *data, std::size_t size) const {
        const ssize_t done = ::write(in.get(), data, size);
        return done < 0 ? 0 : static_cast<std::size_t>(done);
    }
    std::size_t put(const std::vector<std::int16_t> &samples) const {
        return put(samples.data(), samples.size() * 2);
    }
    Fd out, in;
};

std::vector<std::int16_t> counting(std::size_t count, int from = 1) {
    std::vector<std::int16_t> samples(count);
    for (std::size_t i = 0; i < count; ++i)
        samples[i] = static_cast<std::int16_t>(from + static_cast<int>(i));
    return samples;
}

std::vector<std::uint8_t> text(const char *s) {
    return {s, s + std::strlen(s)};
}

} // namespace

TEST_SUITE("audio") {

    TEST_CASE("raw samples come through a pipe whole, gaps are silence, the end is the end") {
        Pipe pipe;
        PipeSource source(std::move(pipe.out), 16000, false);
        std::vector<std::int16_t> frame(320);
        source.read(frame); // nothing there yet
        CHECK(level_dbfs(frame) == -96);
        CHECK_FALSE(source.ended());
        const auto data = counting(500);
        REQUIRE(pipe.put(data) == 1000);
        source.read(frame);
        CHECK(frame == counting(320));
        CHECK_FALSE(source.ended());
        { const Fd closed = std::move(pipe.in); }
        source.read(frame);
        CHECK(ConstSamples(frame).first(180)[0] == 321);
        CHECK(frame[179] == 500);
        CHECK(frame[180] == 0);
    }

    TEST_CASE("end of file shows with the last sample") {
        for (const std::size_t count : {320UL, 640UL, 100UL}) {
            Pipe pipe;
            PipeSource source(std::move(pipe.out), 16000, false);
            REQUIRE(pipe.put(counting(count)) == count * 2);
            { const Fd closed = std::move(pipe.in); }
            std::vector<std::int16_t> frame(320);
            std::size_t frames = 0;
            while (!source.ended() && frames < 10) {
                source.read(frame);
                ++frames;
            }
            CHECK(frames == (count + 319) / 320);
        }
    }

    TEST_CASE("a byte that splits a sample waits for the other one") {
        Pipe pipe;
        PipeSource source(std::move(pipe.out), 8000, false);
        const std::int16_t sample = 0x1234;
        std::uint8_t bytes[2];
        std::memcpy(bytes, &sample, 2);
        pipe.put(bytes, 1);
        std::vector<std::int16_t> frame(1);
        source.read(frame);
        CHECK(frame[0] == 0);
        pipe.put(bytes + 1, 1);
        source.read(frame);
        CHECK(frame[0] == sample);
    }

    TEST_CASE("a full source leaves the rest in the pipe: its writer is paced") {
        Pipe pipe;
        PipeSource source(std::move(pipe.out), 8000, false);
        const std::vector<std::int16_t> lots(8000);
        std::size_t accepted = 0;
        for (std::size_t put = 1; put > 0; accepted += put)
            put = pipe.put(lots);
        std::vector<std::int16_t> frame(160);
        for (int i = 0; i < 50; ++i) { // one second
            source.read(frame);
            for (std::size_t put = 1; put > 0; accepted += put)
                put = pipe.put(lots);
        }
        CHECK(accepted <= 65536 + 16000 + 2 * 16384); // pipe(7)'s size, what was played, what is held
    }

    TEST_CASE(
        "a writer at the pace of sound, in pieces that come late now and then: few gaps, and none goes on") {
        Pipe pipe;
        PipeSource source(std::move(pipe.out), 8000, false);
        const std::vector<std::int16_t> piece(1000, 1000); // 125 ms, as arecord writes them
        std::vector<std::int16_t> frame(160);
        unsigned gaps = 0, late_gaps = 0;
        double written_ms = 0;
        for (unsigned n = 0; n < 3000; ++n) {        // a minute
            const unsigned lateness = n / 6 % 7 * 6; // 0 to 36 ms
            while (written_ms + lateness <= n * 20.0) {
                pipe.put(piece);
                written_ms += 125;
            }
            source.read(frame);
            if (n < 10 || frame.back() == 1000) continue;
            ++gaps;
            if (n > 500) ++late_gaps;
        }
        CHECK(gaps < 25);
        CHECK(late_gaps == 0);
    }

    TEST_CASE("what is shorter than the cushion is played all the same, the pipe open or not") {
        Pipe pipe;
        PipeSource source(std::move(pipe.out), 8000, false);
        std::vector<std::int16_t> frame(160);
        const auto heard_within = [&](unsigned frames) {
            for (unsigned n = 0; n < frames; ++n) {
                source.read(frame);
                if (frame[0] == 7) return true;
            }
            return false;
        };
        for (int n = 0; n < 6; ++n) { // the cushion grows
            pipe.put(std::vector<std::int16_t>(170, 7));
            CHECK(heard_within(27));
            CHECK_FALSE(heard_within(0));
            source.read(frame);
            source.read(frame);
        }
        for (int n = 0; n < 60; ++n) // a pause that is meant
            source.read(frame);
        pipe.put(std::vector<std::int16_t>(170, 7));
        CHECK(heard_within(27));
    }

    TEST_CASE("/dev/null and regular files are read directly") {
        Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        PipeSource source(std::move(null), 16000, true);
        std::vector<std::int16_t> frame(320);
        source.read(frame);
        CHECK(source.ended());
        Fd text_file(::open("Makefile", O_RDONLY | O_CLOEXEC));
        if (text_file) {
            PipeSource makefile(std::move(text_file), 16000, true);
            makefile.read(frame);
            CHECK_FALSE(makefile.ended());
        }
    }

    TEST_CASE("a WAV header in a pipe sets the rate, however it is cut") {
        auto header = streaming_wav_header(22050, 2);
        const std::vector<std::int16_t> stereo{100, 300, -5, -7, 32767, 32767};
        for (const std::size_t cut : {1UL, 4UL, 11UL, 12UL, 20UL, 36UL, 43UL, 44UL}) {
            CAPTURE(cut);
            Pipe pipe;
            PipeSource source(std::move(pipe.out), 16000, true);
            std::vector<std::int16_t> frame(3);
            pipe.put(header.data(), cut);
            source.read(frame);
            pipe.put(header.data() + cut, header.size() - cut);
            pipe.put(stereo);
            source.read(frame);
            if (source.rate() == 22050 && frame[0] == 0) source.read(frame);
            CHECK(source.rate() == 22050);
            CHECK(frame == std::vector<std::int16_t>{200, -6, 32767});
        }
    }

    TEST_CASE("WAV headers: formats that can be read and those that cannot") {
        const auto with = [](std::size_t at, std::initializer_list<std::uint8_t> bytes) {
            auto header = streaming_wav_header(8000, 1);
            std::copy(bytes.begin(), bytes.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
            return std::vector<std::uint8_t>(header.begin(), header.end());
        };
        using State = WavHeaderParser::State;
        struct Row {
            const char *what;
            std::vector<std::uint8_t> bytes;
            State expected;
        };
        const std::vector<Row> rows{
            {"plain", with(0, {}), State::data},
            {"24 bit", with(34, {24}), State::data},
            {"float",
             [&] {
                 auto b = with(20, {3});
                 b[34] = 32;
                 return b;
             }(),
             State::data},
            {"12 bit", with(34, {12}), State::broken},
            {"ADPCM", with(20, {2}), State::broken},
            {"no channels", with(22, {0}), State::broken},
            {"rate 0", with(24, {0, 0, 0, 0}), State::broken},
            {"format chunk too short", with(16, {8}), State::broken},
            {"data before format",
             [] {
                 auto b = text("RIFF....WAVEdata....");
                 return b;
             }(),
             State::broken},
            {"nothing", {}, State::more},
            {"not RIFF", text("hello, this is not a header"), State::raw},
            {"RIFF but no WAVE", text("RIFF....AVI LIST...."), State::raw},
            {"RIF only", text("RIF"), State::more},
        };
        for (auto row : rows) {
            CAPTURE(row.what);
            WavHeaderParser parser;
            CHECK(parser.parse(row.bytes) == row.expected);
        }
        // A LIST chunk of odd size and of any length before the data, byte by byte.
        auto whole = with(0, {});
        const std::vector<std::uint8_t> list{'L', 'I', 'S', 'T', 3, 0, 0, 0, 'a', 'b', 'c', 0};
        whole.insert(whole.begin() + 36, list.begin(), list.end());
        WavHeaderParser parser;
        std::vector<std::uint8_t> bytes;
        State state = State::more;
        for (const auto byte : whole) {
            CHECK(state == State::more);
            bytes.push_back(byte);
            state = parser.parse(bytes);
        }
        CHECK(state == State::data);
        CHECK(bytes.empty());
    }

    TEST_CASE("a reader that does not keep up loses whole pieces, one that left is a failure") {
        Pipe pipe;
        const int reader = pipe.out.get();
        PipeWriter writer(std::move(pipe.in));
        const std::vector<std::int16_t> frame(320, std::int16_t{1});
        for (int i = 0; i < 300; ++i)
            writer.write(frame, "stdout");
        CHECK(writer.failure() == nullptr);
        CHECK(writer.dropped() > 0);
        CHECK(writer.dropped() % 640 == 0);
        std::vector<char> sink(300 * 640);
        CHECK(::read(reader, sink.data(), sink.size()) > 0);
        writer.write(frame, "stdout");
        { const Fd closed = std::move(pipe.out); }
        struct sigaction ignore {};
        ignore.sa_handler = SIG_IGN;
        struct sigaction before {};
        ::sigaction(SIGPIPE, &ignore, &before);
        writer.write(frame, "stdout");
        writer.write(frame, "stdout");
        ::sigaction(SIGPIPE, &before, nullptr);
        REQUIRE(writer.failure() != nullptr);
        CHECK(writer.failure()->what == "stdout: Broken pipe");
    }

    TEST_CASE("a recording streams as WAV into a pipe") {
        Pipe pipe;
        StreamRecorder recorder(std::move(pipe.in), 8000);
        recorder.write(counting(10), counting(10, 100));
        std::vector<std::uint8_t> bytes(1000);
        const ssize_t got = ::read(pipe.out.get(), bytes.data(), bytes.size());
        REQUIRE(got == 44 + 40);
        bytes.resize(static_cast<std::size_t>(got));
        WavHeaderParser parser;
        CHECK(parser.parse(bytes) == WavHeaderParser::State::data);
        CHECK(parser.format().rate == 8000);
        CHECK(parser.format().channels == 2);
        std::int16_t first[4];
        std::memcpy(first, bytes.data(), sizeof first);
        CHECK(first[0] == 1);
        CHECK(first[1] == 100);
        CHECK(first[2] == 2);
    }

    TEST_CASE("a converter follows a source whose rate changes and loses nothing of it") {
        Pipe pipe;
        PipeSource source(std::move(pipe.out), 16000, true);
        SourceConverter converter;
        std::vector<std::int16_t> frame(160);
        converter.read(source, frame, 8000); // before the header
        const auto header = streaming_wav_header(8000, 1);
        pipe.put(header.data(), header.size());
        pipe.put(counting(320));
        { const Fd closed = std::move(pipe.in); }
        std::vector<std::int16_t> all;
        for (int i = 0; i < 10 && !converter.drained(source); ++i) {
            converter.read(source, frame, 8000);
            all.insert(all.end(), frame.begin(), frame.end());
        }
        CHECK(converter.drained(source));
        const auto expected = counting(320);
        CHECK(std::search(all.begin(), all.end(), expected.begin(), expected.end()) != all.end());
    }

} // TEST_SUITE
