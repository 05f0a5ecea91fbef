#include "bridge/web_logins.hpp"

#include <algorithm>

#include "bridge/location.hpp"
#include "bridge/session_cookie.hpp"
#include "sip/headers.hpp"

namespace offhook::bridge {

namespace {

constexpr std::size_t most_cookies = 4; // of our name: other folders and hosts of the site may have set some

} // namespace

std::string_view bearer_token(std::string_view credentials) noexcept {
    credentials = sip::trim(credentials);
    const auto space = credentials.find(' ');
    if (space == std::string_view::npos || !sip::iequals(credentials.substr(0, space), "Bearer")) return {};
    return sip::trim(credentials.substr(space));
}

// Of connections that end before anything was said over them nobody tells.
void WebLogins::forget_closed() {
    if (sessions_.size() < look_at_) return;
    std::erase_if(sessions_, [this](const auto &entry) { return !alive_(entry.second.flow); });
    look_at_ = std::max<std::size_t>(64, 2 * sessions_.size());
}

void WebLogins::opened(const sip::Flow &flow, std::string_view cookies, std::int64_t unix_now) {
    if (settings_.cookie_key.empty()) return;
    forget_closed();
    for (std::size_t which = 0; which < most_cookies; ++which) {
        const auto value = cookie_value(cookies, session_cookie_name, which);
        if (value.empty()) return;
        const auto proof = check_session(value, settings_.cookie_key, unix_now);
        sessions_[flow.connection] =
            proof ? Session{proof->user, {}, proof->until, flow} : Session{{}, proof.error().what, 0, flow};
        if (proof) return;
    }
}

WebLogins::Verdict WebLogins::by_token(std::string_view token, std::string_view claimed,
                                       std::int64_t unix_now) const {
    const auto proof = check_jwt(token, *settings_.jwt, unix_now);
    if (!proof) return {false, 0, proof.error().what};
    if (proof->user != claimed) return {false, 0, "the token is another user's"};
    return {true, proof->until, {}};
}

WebLogins::Verdict WebLogins::by_session(std::uint64_t connection, std::string_view claimed,
                                         std::int64_t unix_now) const {
    const auto known = sessions_.find(connection);
    if (connection == 0 || known == sessions_.end()) return {};
    const Session &session = known->second;
    if (!session.why.empty()) return {false, 0, session.why};
    if (session.user != claimed) return {false, 0, "the cookie is another user's"};
    if (session.until <= unix_now) return {false, 0, "the cookie has expired"};
    return {true, session.until, {}};
}

WebLogins::Verdict WebLogins::judge(const sip::Message &request, const sip::Flow &flow,
                                    std::string_view claimed, std::int64_t unix_now) const {
    if (!settings_.any()) return {};
    Verdict verdict = by_session(flow.connection, claimed, unix_now);
    if (verdict.proved || !settings_.jwt) return verdict;
    for (const auto &header : request.headers()) {
        if (header.id != sip::HeaderId::authorization && header.id != sip::HeaderId::proxy_authorization)
            continue;
        const auto token = bearer_token(header.value);
        if (token.empty()) continue;
        if (!is_web(flow.kind) && !sip::is_secure(flow.kind)) return {false, 0, "a token came in the clear"};
        return by_token(token, claimed, unix_now);
    }
    return verdict;
}

} // namespace offhook::bridge
