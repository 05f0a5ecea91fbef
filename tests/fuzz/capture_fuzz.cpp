// A capture or trace file of anybody: what is read of it is in it, and is told in order.
#include <string>

#include "sip/capture.hpp"
#include "tests/fuzz/body.hpp"

using namespace offhook;
using namespace offhook::fuzz;
using namespace offhook::sip;

FUZZ_BODY(capture) {
    const auto file = text_of(input);
    std::size_t told = 0, messages = 0;
    CaptureSink sink;
    sink.message = [&](const CapturedMessage &message) {
        require(!message.bytes.empty() && message.from.family() == message.to.family());
        told += message.bytes.size();
        ++messages;
        (void)Message::parse(message.bytes);
    };
    sink.datagram = [&](std::chrono::system_clock::time_point, const Address &, const Address &,
                        std::string_view payload) { told += payload.size(); };
    const auto report = read_capture(file, sink);
    // Line ends may have been put back in where a trace was indented; nothing else is added, nothing told
    // twice.
    require(told <= 2 * file.size());
    if (!report) return require(messages == 0 && !report.error().what.empty());
    require(report->packets <= file.size());
    for (const auto &warning : report->warnings)
        require(!warning.empty() && warning.find('\n') == std::string::npos);
}
