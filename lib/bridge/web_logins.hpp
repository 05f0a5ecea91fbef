// Who somebody is without a password of ours: by a token in the request (RFC 8898) or by the cookie that the
// connection began with. Both are made by a web application that shares a key with the bridge. Pure: the time
// is given.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "bridge/settings.hpp"
#include "sip/message.hpp"
#include "sip/transport.hpp"

namespace offhook::bridge {

class WebLogins {
public:
    struct Verdict {
        bool proved = false;
        std::int64_t until = 0; // with proved: seconds since 1970
        std::string why;        // why what was shown proves nothing; empty: nothing was shown
    };

    using Alive = std::function<bool(const sip::Flow &flow)>; // is it still open?

    WebLogins(const LoginSettings &settings, Alive alive) : settings_(settings), alive_(std::move(alive)) {}

    // A WebSocket was opened with this Cookie header.
    void opened(const sip::Flow &flow, std::string_view cookies, std::int64_t unix_now);
    // Does the request come from `claimed`? A token counts for its own user alone, and only where nobody on
    // the way could read it or where the operator has put a web socket without encryption.
    [[nodiscard]] Verdict judge(const sip::Message &request, const sip::Flow &flow, std::string_view claimed,
                                std::int64_t unix_now) const;

private:
    struct Session {
        std::string user, why; // one of the two
        std::int64_t until = 0;
        sip::Flow flow;
    };
    void forget_closed();
    [[nodiscard]] Verdict by_token(std::string_view token, std::string_view claimed,
                                   std::int64_t unix_now) const;
    [[nodiscard]] Verdict by_session(std::uint64_t connection, std::string_view claimed,
                                     std::int64_t unix_now) const;

    const LoginSettings &settings_;
    Alive alive_;
    std::size_t look_at_ = 64;                            // sessions: then those of closed connections go
    std::unordered_map<std::uint64_t, Session> sessions_; // by connection
};

// The token of "Bearer TOKEN" (RFC 6750 §2.1); "" for another scheme.
std::string_view bearer_token(std::string_view credentials) noexcept;

} // namespace offhook::bridge
