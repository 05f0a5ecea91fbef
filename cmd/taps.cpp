#include "cmd/taps.hpp"

#include <cerrno>
#include <chrono>

namespace offhook::cmd {

Result<> Taps::open(const GlobalOptions &options) {
    if (!options.pcap.empty()) {
        auto pcap = sip::PcapWriter::open(options.pcap);
        if (!pcap) return fail(Errc::invalid_argument, "--pcap " + pcap.error().what);
        pcap_ = std::move(*pcap);
    }
    if (!options.trace) return {};
    to_stderr_ = *options.trace == "-";
    if (to_stderr_) return {};
    trace_.reset(std::fopen(options.trace->c_str(), "we"));
    if (!trace_) return fail_errno(Errc::invalid_argument, errno, "--trace " + *options.trace);
    return {};
}

void Taps::write_sip(const sip::Flow &flow, bool sent, std::string_view bytes) const {
    const auto now = std::chrono::system_clock::now();
    if (pcap_) pcap_->write_sip(flow, sent, bytes, now);
    if (!to_stderr_ && !trace_) return;
    const std::string text = sip::format_trace(flow, sent, bytes, now);
    if (to_stderr_) output_.trace(text);
    if (!trace_) return;
    (void)std::fwrite(text.data(), 1, text.size(), trace_.get());
    (void)std::fflush(trace_.get());
}

} // namespace offhook::cmd
