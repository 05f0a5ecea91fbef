// What --pcap and --trace record of a command: the messages of its transports, and datagrams of media.
#pragma once

#include <cstdio>
#include <memory>

#include "cmd/options.hpp"
#include "cmd/output.hpp"
#include "sip/trace.hpp"

namespace offhook::cmd {

class Taps {
public:
    explicit Taps(Output &output) noexcept : output_(output) {}

    // Opens the files that the options name. Errors: theirs, with the name of the option.
    Result<> open(const GlobalOptions &options);
    // Whether there is anything to record messages for.
    [[nodiscard]] bool wanted() const noexcept { return pcap_ || trace_ || to_stderr_; }
    void write_sip(const sip::Flow &flow, bool sent, std::string_view bytes) const;
    // Null without --pcap.
    [[nodiscard]] sip::PcapWriter *pcap() const noexcept { return pcap_.get(); }

private:
    Output &output_;
    std::unique_ptr<sip::PcapWriter> pcap_;
    std::unique_ptr<std::FILE, int (*)(std::FILE *)> trace_{nullptr, &std::fclose};
    bool to_stderr_ = false;
};

} // namespace offhook::cmd
