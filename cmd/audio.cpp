// offhook audio list|test|play|record: sound devices by themselves, without a call.
#include <algorithm>
#include <csignal>
#include <memory>

#include "base/text.hpp"
#include "cmd/column.hpp"
#include "cmd/commands.hpp"
#include "cmd/output.hpp"
#include "cmd/setup.hpp"
#include "media/device.hpp"
#include "media/file_source.hpp"
#include "media/loop_measure.hpp"
#include "media/resample.hpp"

namespace offhook::cmd {

namespace {

constexpr int exit_interrupted = 130, exit_timeout = 124, exit_audio = 31;
constexpr Duration tick{20}, drain{300}; // drain: what the card still has when a file has ended
constexpr unsigned record_rate = 48000;

int list(const GlobalOptions &global, Output &output) {
    for (const auto &device : media::list_devices()) {
        const std::string ways = device.capture && device.playback ? "both"
                                 : device.capture                  ? "capture"
                                                                   : "playback";
        if (global.json)
            output.text(Json::object()
                            .add("device", device.name)
                            .add("description", device.description)
                            .add("capture", device.capture)
                            .add("playback", device.playback)
                            .dump());
        else
            output.text(column(device.name, 36) + column(ways, 8) + sanitise(device.description));
    }
    if (!global.json) output.text(column("none", 36) + column("both", 8) + "no sound card: silence");
    output.result(0, Json::object());
    return 0;
}

// A sound card and a loop that ends by itself, by a signal or by --timeout.
class Bench {
public:
    explicit Bench(const GlobalOptions &global)
        : signals_({SIGINT, SIGTERM, SIGHUP}, [this](int) { end(exit_interrupted); }), tick_(loop_),
          limit_(loop_) {
        if (global.timeout) limit_.start(*global.timeout, [this] { end(exit_timeout); });
    }
    Result<> open(const GlobalOptions &global) {
        auto setup = prepare(global);
        if (!setup) return fail(setup.error());
        std::string warning;
        auto device = media::open_device(setup->phone.audio, setup->phone.pipe_format, warning);
        if (!device) return fail(device.error());
        if (!warning.empty()) return fail(Errc::device, warning);
        device_ = std::move(*device);
        return {};
    }
    [[nodiscard]] media::Device &device() { return device_; }
    Loop &loop() { return loop_; }
    // Calls `step` every 20 ms until it says no.
    int run(std::function<bool()> step) {
        step_ = std::move(step);
        due_ = loop_.now();
        again();
        return loop_.run() ? exit_ : 1;
    }

private:
    void again() {
        if (!step_()) return end(0);
        due_ += tick;
        tick_.start_at(due_, [this] { again(); });
    }
    void end(int exit) {
        exit_ = exit;
        loop_.stop();
    }

    Loop loop_;
    SignalWatch signals_;
    Timer tick_, limit_;
    media::Device device_;
    std::function<bool()> step_;
    TimePoint due_{};
    int exit_ = 0;
};

Result<int> measure(const GlobalOptions &global, Output &output) {
    Bench bench(global);
    if (auto opened = bench.open(global); !opened) return tl::unexpected(opened.error());
    auto &device = bench.device();
    if (!device.source || !device.sink)
        return fail(Errc::device, device.name + ": a loudspeaker and a microphone are needed");
    output.progress("playing noise on " + device.name + " for two seconds");
    const media::LoopMeasure measure;
    constexpr std::size_t frame_size = media::LoopMeasure::rate / 50;
    std::vector<std::int16_t> recorded, frame(frame_size);
    media::SinkConverter out;
    media::SourceConverter in;
    std::size_t at = 0;
    const int exit = bench.run([&] {
        out.write(*device.sink, measure.to_play().subspan(at, frame_size), media::LoopMeasure::rate);
        in.read(*device.source, frame, media::LoopMeasure::rate);
        recorded.insert(recorded.end(), frame.begin(), frame.end());
        at += frame_size;
        return at + frame_size <= measure.to_play().size();
    });
    if (exit != 0) return exit;
    const auto result = measure.result(recorded);
    Json line = Json::object().add("device", device.name).add("heard", result.heard);
    line.add("noise_dbfs", result.noise_dbfs);
    if (result.heard)
        line.add("round_trip_ms", result.round_trip_ms).add("echo_return_loss_db", result.return_loss_db);
    if (result.heard && !global.json)
        output.text("round trip " + format_number(result.round_trip_ms, 0) + " ms, echo return loss " +
                    format_number(result.return_loss_db, 1) + " dB, background " +
                    format_number(result.noise_dbfs, 0) + " dBFS");
    else if (!result.heard)
        output.error(device.name + ": the microphone does not hear the loudspeaker (background " +
                     format_number(result.noise_dbfs, 0) + " dBFS)");
    output.result(result.heard ? 0 : exit_audio, line);
    return result.heard ? 0 : exit_audio;
}

Result<int> play(const GlobalOptions &global, const std::string &path, Output &output) {
    auto source = path == "-" ? media::open_stdin_source("s16le,16000") : media::open_file_source(path);
    if (!source) return tl::unexpected(source.error());
    Bench bench(global);
    if (auto opened = bench.open(global); !opened) return tl::unexpected(opened.error());
    auto &device = bench.device();
    if (!device.sink) return fail(Errc::device, device.name + ": has no loudspeaker");
    media::SourceConverter converter;
    std::vector<std::int16_t> frame;
    Duration left = drain;
    const int exit = bench.run([&] {
        const unsigned rate = device.sink->rate();
        frame.resize(rate / 50);
        converter.read(**source, frame, rate);
        device.sink->write(frame);
        if (converter.drained(**source)) left -= tick;
        return left.count() > 0;
    });
    output.result(exit, Json::object().add("device", device.name).add("file", path));
    return exit;
}

Result<int> record(const GlobalOptions &global, const std::string &path, Output &output) {
    Bench bench(global);
    if (auto opened = bench.open(global); !opened) return tl::unexpected(opened.error());
    auto &device = bench.device();
    if (!device.source) return fail(Errc::device, device.name + ": has no microphone");
    auto sink = media::open_file_sink(path);
    if (!sink) return tl::unexpected(sink.error());
    output.progress("recording " + device.name + " into " + sanitise(path) + "; Ctrl-C ends it");
    media::SourceConverter converter;
    std::vector<std::int16_t> frame(record_rate / 50);
    int exit = bench.run([&] {
        converter.read(*device.source, frame, record_rate);
        (*sink)->write(frame);
        return (*sink)->failure() == nullptr;
    });
    if (const auto *failure = (*sink)->failure()) {
        output.error(failure->what);
        exit = exit_audio;
    } else if (exit == exit_interrupted || exit == exit_timeout) {
        exit = 0; // that is how a recording ends
    }
    output.result(exit, Json::object().add("device", device.name).add("file", path));
    return exit;
}

} // namespace

Result<int> run(const GlobalOptions &global, const AudioOptions &options) {
    const std::vector<std::string> verbs{"list", "test", "play", "record"};
    if (std::ranges::find(verbs, options.verb) == verbs.end())
        return fail(
            Errc::invalid_argument,
            (options.verb.empty() ? "audio: what?" : "audio: unknown \"" + sanitise(options.verb) + "\"") +
                " (expected list, test, play FILE or record FILE)" + suggestion(options.verb, verbs));
    const bool needs_file = options.verb == "play" || options.verb == "record";
    if (needs_file == options.file.empty())
        return fail(Errc::invalid_argument,
                    "audio " + options.verb + (needs_file ? ": FILE expected" : " takes no FILE"));
    Output output(global);
    if (options.verb == "list") return list(global, output);
    if (options.verb == "test") return measure(global, output);
    return options.verb == "play" ? play(global, options.file, output) : record(global, options.file, output);
}

} // namespace offhook::cmd
