// Session timers (RFC 4028) as a pure machine: what to ask for, what to make of the peer's wishes, who
// refreshes and when. Each side of a dialog has one; it serves every INVITE and UPDATE of the dialog. No I/O,
// no clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "sip/draft.hpp"
#include "sip/message.hpp"

namespace offhook::sip {

class SessionTimer {
public:
    enum class Refresher : std::uint8_t { none, us, peer };

    struct Options {
        std::uint32_t interval = 1800; // seconds to ask for; 0: ask for none, serve who asks
        std::uint32_t minimum = 90;    // seconds; who wants less and can understand it gets 422 (§4)
    };
    // The value of a Session-Expires header.
    struct Expires {
        std::uint32_t seconds = 0;
        bool uac = false, uas = false; // refresher=
        static Result<Expires> parse(std::string_view text);
    };

    explicit SessionTimer(Options options) noexcept
        : minimum_(options.minimum), interval_(options.interval) {}

    // A request of ours, INVITE or UPDATE: Session-Expires and Min-SE (§7.1, §7.4).
    void ask(Draft &request) const;
    // Its 2xx (§7.2).
    void answered(const Message &response);
    // Its 422: what it wants is asked for from now on. False: it said nothing that helps (§7.3).
    bool raise(const Message &response);

    // A request of the peer: what 422 has to say in Min-SE when its interval is too small (§9).
    [[nodiscard]] std::optional<std::uint32_t> too_small(const Message &request) const;
    // What we agree to; `reply` says it in the 2xx.
    void asked(const Message &request);
    void reply(Draft &response) const;

    [[nodiscard]] Refresher refresher() const noexcept { return refresher_; }
    [[nodiscard]] std::uint32_t interval() const noexcept { return running_; } // seconds; 0: no timer
    // From the 2xx on: when to refresh (if we do), and when the session is over for want of a refresh (§10).
    [[nodiscard]] std::optional<Duration> refresh_after() const noexcept;
    [[nodiscard]] std::optional<Duration> expires_after() const noexcept;

private:
    void agree(std::uint32_t seconds, Refresher refresher) noexcept;

    std::uint32_t minimum_, interval_;
    std::uint32_t learned_minimum_ = 0; // of the peer or a proxy
    std::uint32_t running_ = 0;
    Refresher refresher_ = Refresher::none;
    bool peer_understands_ = false; // Supported: timer in its last request
};

} // namespace offhook::sip
