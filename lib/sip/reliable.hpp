// Reliable provisional responses (RFC 3262) as values and pure machines: RAck, what a caller makes of RSeq,
// and when a callee repeats or gives up. No I/O, no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace offhook::sip {

// "776656 1 INVITE": RSeq and CSeq of the response that is acknowledged (§7.2). Errors: Errc::parse, 400.
struct RAck {
    std::uint32_t rseq = 0, cseq = 0;
    std::string method;

    static Result<RAck> parse(std::string_view text);
    [[nodiscard]] std::string encode() const;
    friend bool operator==(const RAck &, const RAck &) = default;
};

// RSeq: 1 … 2^32-1 (§7.1).
std::optional<std::uint32_t> parse_rseq(std::string_view text) noexcept;

// The caller's side of one early dialog (§4).
class ReliableReceiver {
public:
    enum class Verdict : std::uint8_t {
        acknowledge, // new and in order: PRACK
        repeated,    // PRACK is on its way already
        out_of_order // one before it was lost: it will come again
    };
    Verdict receive(std::uint32_t rseq) noexcept;

private:
    std::uint32_t last_ = 0;
};

// The callee's side (§3): one response at a time, repeated at T1, 2*T1, 4*T1 … until its PRACK, given up
// after 64*T1.
class ReliableSender {
public:
    // `first`: RSeq of the first response, 1 … 2^31-1 at random.
    explicit ReliableSender(std::uint32_t first) noexcept : next_(first) {}

    [[nodiscard]] bool busy() const noexcept { return open_; } // the next response has to wait
    // A 2xx has to wait too: what is unacknowledged holds a session description.
    [[nodiscard]] bool holds_back_success() const noexcept { return open_ && session_; }
    // A response goes out; its RSeq.
    std::uint32_t send(bool with_session, Duration t1) noexcept;
    // How long until the next repetition; nothing: nobody acknowledges, give up.
    std::optional<Duration> next_wait(Duration t1) noexcept;
    // False: it acknowledges nothing of ours (481).
    bool acknowledge(const RAck &rack, std::uint32_t invite_cseq) noexcept;

private:
    std::uint32_t next_;
    bool open_ = false, session_ = false;
    Duration wait_{0}, spent_{0};
};

} // namespace offhook::sip
