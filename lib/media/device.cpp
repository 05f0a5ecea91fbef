#include "media/device.hpp"

#include <cerrno>
#include <system_error>

#include <fcntl.h>

#include "base/fd.hpp"
#include "media/alsa.hpp"
#include "media/file_source.hpp"
#include "media/pipe.hpp"

namespace offhook::media {

namespace {

Result<Fd> duplicate(int fd, const char *name) {
    Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy) return fail(Errc::device, std::string(name) + ": " + std::generic_category().message(errno));
    return copy;
}

Result<Device> open_pipe(std::string_view format) {
    const auto rate = parse_pipe_format(format);
    if (!rate) return fail(rate.error());
    auto in = duplicate(STDIN_FILENO, "stdin"), out = duplicate(STDOUT_FILENO, "stdout");
    if (!in) return fail(in.error());
    if (!out) return fail(out.error());
    return Device{std::make_unique<PipeSource>(std::move(*in), *rate, false),
                  std::make_unique<PipeSink>(std::move(*out), *rate), "pipe"};
}

Result<Device> open_files(std::string_view names, std::string_view format) {
    const auto comma = names.find(',');
    const std::string in(names.substr(0, comma));
    const std::string out(comma == std::string_view::npos ? "" : names.substr(comma + 1));
    Device device{nullptr, nullptr, "file:" + std::string(names)};
    if (!in.empty()) {
        auto source = in == "-" ? open_stdin_source(format) : open_file_source(in);
        if (!source) return fail(source.error());
        device.source = std::move(*source);
    }
    if (!out.empty()) {
        auto sink = open_file_sink(out);
        if (!sink) return fail(sink.error());
        device.sink = std::move(*sink);
    }
    return device;
}

} // namespace

Result<std::unique_ptr<Source>> open_stdin_source(std::string_view format) {
    const auto rate = parse_pipe_format(format);
    if (!rate) return fail(rate.error());
    auto in = duplicate(STDIN_FILENO, "stdin");
    if (!in) return fail(in.error());
    return std::make_unique<PipeSource>(std::move(*in), *rate, true);
}

Result<Device> open_device(std::string_view spec, std::string_view pipe_format, std::string &warning) {
    constexpr std::string_view alsa = "alsa:", file = "file:";
    if (spec == "none") return Device{nullptr, nullptr, "none"};
    if (spec == "pipe") return open_pipe(pipe_format);
    if (spec.starts_with(file)) return open_files(spec.substr(file.size()), pipe_format);
    if (spec.starts_with(alsa) && spec.size() > alsa.size())
        return open_alsa(std::string(spec.substr(alsa.size())));
    if (spec != "auto")
        return fail(Errc::invalid_argument,
                    "audio '" + std::string(spec) + "': auto, none, alsa:NAME, file:IN,OUT or pipe expected");
    auto card = open_alsa("default");
    if (card) return card;
    warning = "no sound card (" + card.error().what + "); see --audio";
    return Device{nullptr, nullptr, "none"};
}

} // namespace offhook::media
