// What a capture file (pcap, pcapng) or a --trace file tells of SIP: its messages in order, and the UDP
// datagrams that are something else.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sip/transport.hpp"

namespace offhook::sip {

struct CapturedMessage {
    std::chrono::system_clock::time_point time;
    TransportKind kind = TransportKind::udp;
    Address from, to;
    std::string bytes;
};

struct CaptureSink {
    std::function<void(CapturedMessage)> message;
    // RTP, RTCP, DNS …; may be empty.
    std::function<void(std::chrono::system_clock::time_point, const Address &from, const Address &to,
                       std::string_view payload)>
        datagram;
};

struct CaptureReport {
    std::size_t packets = 0;
    std::vector<std::string> warnings; // what could not be read, for people
};

// `file` is the whole file. Errors: Errc::parse (neither a capture nor a trace).
Result<CaptureReport> read_capture(std::string_view file, const CaptureSink &sink);

} // namespace offhook::sip
