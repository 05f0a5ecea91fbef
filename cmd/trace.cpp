#include <algorithm>

#include <unistd.h>

#include "base/text.hpp"
#include "cmd/cli_values.hpp"
#include "cmd/commands.hpp"
#include "cmd/input.hpp"
#include "cmd/output.hpp"
#include "cmd/terminal.hpp"
#include "cmd/trace_calls.hpp"
#include "sip/headers.hpp"
#include "sip/ladder_formats.hpp"

namespace offhook::cmd {

namespace {

constexpr std::size_t largest_file = 1U << 30U;
constexpr std::size_t width_elsewhere = 100; // not on a terminal

class Printer {
public:
    Printer(Output &output, const TraceOptions &options) : output_(output), options_(options) {}
    void call(std::size_t number, const TracedCall &call);
    void streams(const std::vector<TracedStream> &streams);
    [[nodiscard]] std::size_t shown() const noexcept { return shown_; }

private:
    [[nodiscard]] bool wanted(std::size_t number, const TracedCall &call) const;
    [[nodiscard]] bool wanted(const TracedMessage &message) const;
    void ladder(std::size_t number, const TracedCall &call, const std::vector<sip::LadderEntry> &entries);
    void json(std::size_t number, const TracedMessage &message);
    [[nodiscard]] bool is(const char *format) const { return options_.format == format; }

    Output &output_;
    const TraceOptions &options_;
    std::size_t shown_ = 0;
};

bool Printer::wanted(std::size_t number, const TracedCall &call) const {
    if (options_.call.empty()) return true;
    if (options_.call.find_first_not_of("0123456789") == std::string::npos)
        return options_.call == std::to_string(number);
    return call.id.find(options_.call) != std::string::npos || glob_match(options_.call, call.id);
}

bool Printer::wanted(const TracedMessage &message) const {
    if (options_.method.empty()) return true;
    const auto methods = split(options_.method, ',');
    return std::any_of(methods.begin(), methods.end(),
                       [&](const std::string &method) { return sip::iequals(method, message.method); });
}

void Printer::call(std::size_t number, const TracedCall &call) {
    if (!wanted(number, call)) return;
    std::vector<sip::LadderEntry> entries;
    for (const auto &message : call.messages) {
        if (!wanted(message)) continue;
        entries.push_back(message.entry);
        if (message.repeated) entries.back().label += " (again)";
        if (is("json")) json(number, message);
    }
    if (entries.empty()) return;
    ++shown_;
    if (!is("json")) ladder(number, call, entries);
}

void Printer::ladder(std::size_t number, const TracedCall &call,
                     const std::vector<sip::LadderEntry> &entries) {
    const std::string head = sanitise(call.method.empty() ? "?" : call.method) + " " + call.from + " -> " +
                             call.to +
                             (call.status != 0 ? ": " + std::to_string(call.status) : ": no final answer");
    const std::string tail = std::to_string(entries.size()) +
                             (entries.size() == 1 ? " message, " : " messages, ") +
                             format_number(call.seconds(), 3) + " s, Call-ID " + call.id;
    std::string text;
    if (is("markdown")) {
        text = "## Call " + std::to_string(number) + "\n\n```\n" + head + "\n" + tail + "\n```\n\n" +
               sip::format_markdown(entries);
    } else if (is("mermaid")) {
        text = "%% call " + std::to_string(number) + ": " + head + ", " + tail + "\n" +
               sip::format_mermaid(entries);
    } else {
        const std::size_t width =
            isatty(STDOUT_FILENO) != 0 ? std::max<std::size_t>(60, Terminal::width() - 1) : width_elsewhere;
        text = "call " + std::to_string(number) + "  " + head + "\n        " + tail + "\n" +
               sip::format_ladder(entries, width);
    }
    if (shown_ > 1) output_.text("");
    output_.bytes(text);
}

void Printer::json(std::size_t number, const TracedMessage &message) {
    output_.line("trace.message", Json::object()
                                      .add("time", format_utc(message.entry.time))
                                      .add("call", number)
                                      .add("transport", message.transport)
                                      .add("from", message.entry.from)
                                      .add("to", message.entry.to)
                                      .add("label", sanitise(message.entry.label))
                                      .add("method", sanitise(message.method))
                                      .add("code", message.status == 0 ? Json{} : Json(message.status))
                                      .add("sip_call_id", sanitise(message.call_id))
                                      .add("repeated", message.repeated));
}

std::uint64_t lost_of(const TracedStream &stream) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(stream.stats.lost(), 0));
}

double seconds_of(const TracedStream &stream) {
    return std::chrono::duration<double>(stream.last - stream.first).count();
}

std::string lost_text(const TracedStream &stream) {
    const auto lost = lost_of(stream);
    const double share =
        100.0 * static_cast<double>(lost) / static_cast<double>(stream.stats.packets() + lost);
    return std::to_string(lost) + " (" + format_number(share, 1) + " %)";
}

std::string stream_line(const TracedStream &stream) {
    return "RTP  " + stream.from + " -> " + stream.to + "  " + stream.codec + "  " +
           std::to_string(stream.stats.packets()) + " packets, lost " + lost_text(stream) + ", jitter " +
           format_number(stream.stats.jitter_ms(), 1) + " ms, " + format_number(seconds_of(stream), 1) + " s";
}

std::string stream_row(const TracedStream &stream) {
    std::string row = "|";
    for (const auto &cell :
         {stream.from, stream.to, stream.codec, std::to_string(stream.stats.packets()), lost_text(stream),
          format_number(stream.stats.jitter_ms(), 1) + " ms", format_number(seconds_of(stream), 1) + " s"})
        row.append(" ").append(cell).append(" |");
    return row;
}

Json stream_json(const TracedStream &stream) {
    return Json::object()
        .add("from", stream.from)
        .add("to", stream.to)
        .add("codec", stream.codec)
        .add("packets", stream.stats.packets())
        .add("lost", lost_of(stream))
        .add("jitter_ms", stream.stats.jitter_ms())
        .add("seconds", seconds_of(stream));
}

void Printer::streams(const std::vector<TracedStream> &streams) {
    if (is("mermaid") || !options_.method.empty() || streams.empty()) return;
    if (!is("json")) output_.text("");
    if (is("markdown"))
        output_.text("| RTP from | To | Codec | Packets | Lost | Jitter | Length "
                     "|\n|---|---|---|---:|---:|---:|---:|");
    for (const auto &stream : streams) {
        if (is("json"))
            output_.line("trace.rtp", stream_json(stream));
        else
            output_.text(is("markdown") ? stream_row(stream) : stream_line(stream));
    }
}

} // namespace

Result<int> run(const GlobalOptions &global, const TraceOptions &options) {
    if (options.file.empty())
        return fail(Errc::invalid_argument, "trace: of what? (expected trace FILE, or - for standard input)");
    GlobalOptions wanted = global;
    TraceOptions chosen = options;
    if (chosen.format == "json") wanted.json = true;
    if (wanted.json) chosen.format = "json";
    Output output(wanted);
    const auto file = read_input(options.file, largest_file, global.timeout);
    if (!file) return input_failed(output, file.error());
    CallSorter sorter;
    sip::CaptureSink sink;
    sink.message = [&sorter](const sip::CapturedMessage &message) { sorter.add(message); };
    sink.datagram = [&sorter](auto time, const Address &from, const Address &to, std::string_view payload) {
        sorter.add_datagram(time, from, to, payload);
    };
    const std::string name = options.file == "-" ? "standard input" : options.file;
    const auto report = sip::read_capture(*file, sink);
    if (!report) return fail(Errc::invalid_argument, name + ": " + report.error().what);
    for (const auto &warning : report->warnings)
        output.error(std::string("warning: ").append(name).append(": ").append(warning));
    Printer printer(output, chosen);
    std::size_t number = 0;
    for (const auto &call : sorter.calls())
        printer.call(++number, call);
    if (chosen.call.empty()) printer.streams(sorter.streams());
    if (printer.shown() == 0)
        output.progress(sorter.calls().empty()
                            ? name + ": no SIP message in " + std::to_string(report->packets) + " packets"
                            : name + ": nothing matches");
    output.result(0, Json::object()
                         .add("packets", report->packets)
                         .add("calls", sorter.calls().size())
                         .add("shown", printer.shown()));
    return 0;
}

} // namespace offhook::cmd
