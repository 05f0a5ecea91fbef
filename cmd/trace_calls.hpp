// Messages of a capture by call (Call-ID), with the RTP that their SDP announced. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "media/rtp.hpp"
#include "sip/capture.hpp"
#include "sip/ladder.hpp"

namespace offhook::cmd {

struct TracedMessage {
    sip::LadderEntry entry;
    std::string transport, call_id, method; // method of CSeq
    unsigned status = 0;                    // 0: a request
    std::size_t hash = 0;                   // of its bytes
    bool repeated = false;                  // the same bytes by the same way before
};

struct TracedCall {
    std::string id, from, to, method; // URIs and method of its first request
    std::vector<TracedMessage> messages;
    unsigned status = 0; // the last final one to that method
    [[nodiscard]] double seconds() const;
};

struct TracedStream { // one SSRC of one way
    std::string from, to, codec;
    media::ReceiverStats stats;
    std::chrono::system_clock::time_point first, last;
};

class CallSorter {
public:
    void add(const sip::CapturedMessage &captured);
    void add_datagram(std::chrono::system_clock::time_point time, const Address &from, const Address &to,
                      std::string_view payload);

    [[nodiscard]] const std::vector<TracedCall> &calls() const noexcept { return calls_; }
    [[nodiscard]] std::vector<TracedStream>
    streams() const; // of at least two packets, in order of appearance

private:
    void learn_media(std::string_view body);
    struct Codec {
        std::string name;
        unsigned rate = 8000;
    };
    std::vector<TracedCall> calls_;
    std::map<std::string, std::size_t> by_id_;
    std::map<std::string, std::map<unsigned, Codec>> announced_; // "ADDRESS:PORT": payload types
    std::vector<TracedStream> streams_;
    std::map<std::string, std::size_t> stream_by_key_;
};

} // namespace offhook::cmd
