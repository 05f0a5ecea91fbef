// What --trace and --pcap write: SIP messages as readable text, and packets that Wireshark and sngrep open.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "sip/transport.hpp"

namespace offhook::sip {

// One message with a line on top saying when, how and where to. Digest responses in Authorization and
// Proxy-Authorization are hidden; control characters are escaped (\x1b), so that a terminal can be trusted
// with it.
std::string format_trace(const Flow &flow, bool sent, std::string_view bytes,
                         std::chrono::system_clock::time_point when);

// The same without that line; ends with a line end.
std::string format_message(std::string_view bytes);

// Writes a capture file of link type RAW. Every packet becomes IP + UDP, TCP and TLS messages too
// (decrypted); for those our side is shown on port 5060, by which decoders know SIP. A message larger than a
// datagram is cut, with its true length noted.
class PcapWriter {
public:
    // Creates or truncates `path`, readable by its owner only. Errors: Errc::config.
    static Result<std::unique_ptr<PcapWriter>> open(const std::string &path);

    using Time = std::chrono::system_clock::time_point;
    void write_sip(const Flow &flow, bool sent, std::string_view bytes, Time when);
    // RTP, RTCP or anything else that really was a UDP datagram.
    void write_datagram(const Address &from, const Address &to, std::string_view bytes, Time when);
    [[nodiscard]] bool failed() const { return failed_; } // e.g. the disk is full
    void flush();

private:
    struct Close {
        void operator()(std::FILE *file) const noexcept { (void)std::fclose(file); }
    };
    explicit PcapWriter(std::FILE *file) : file_(file) {}
    void put(std::string_view bytes);

    std::unique_ptr<std::FILE, Close> file_;
    bool failed_ = false;
};

} // namespace offhook::sip
