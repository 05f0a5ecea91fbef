#include "sip/session_timer.hpp"

#include <algorithm>

#include "sip/grammar.hpp"

namespace offhook::sip {

namespace {

// What no peer may drive us below, whatever it says: a refresh every second.
constexpr std::uint32_t least_interval = 2;
constexpr std::uint32_t most_grace = 32; // seconds (§10)

std::optional<SessionTimer::Expires> expires_of(const Message &message) {
    const auto *header = message.find(HeaderId::session_expires);
    if (header == nullptr) return std::nullopt;
    const auto parsed = SessionTimer::Expires::parse(header->value);
    return parsed ? std::optional(*parsed) : std::nullopt;
}

std::uint32_t min_se_of(const Message &message) {
    const auto *header = message.find(HeaderId::min_se);
    if (header == nullptr) return 0;
    return parse_delta_seconds(header->value).value_or(0);
}

std::string_view role(bool uac) {
    return uac ? ";refresher=uac" : ";refresher=uas";
}

} // namespace

Result<SessionTimer::Expires> SessionTimer::Expires::parse(std::string_view text) {
    const auto semicolon = text.find(';');
    const auto seconds = parse_delta_seconds(trim(text.substr(0, semicolon)));
    if (!seconds || *seconds == 0) return grammar::malformed("Session-Expires: expected seconds", text);
    Expires expires{*seconds, false, false};
    if (semicolon == std::string_view::npos) return expires;
    grammar::Scanner scanner(text.substr(semicolon));
    Params params;
    if (!grammar::parse_params(scanner, params)) return grammar::malformed("Session-Expires", text);
    expires.uac = iequals(params.get("refresher"), "uac");
    expires.uas = iequals(params.get("refresher"), "uas");
    return expires;
}

void SessionTimer::agree(std::uint32_t seconds, Refresher refresher) noexcept {
    running_ = refresher == Refresher::none ? 0 : std::max(seconds, least_interval);
    refresher_ = refresher;
}

void SessionTimer::ask(Draft &request) const {
    const std::uint32_t seconds = running_ != 0 ? running_ : interval_;
    if (seconds != 0) {
        std::string value = std::to_string(std::max(seconds, learned_minimum_));
        // Inside a session who refreshes stays as it is; at first the callee may choose (§7.1, §7.4).
        if (refresher_ != Refresher::none) value += role(refresher_ == Refresher::us);
        request.set("Session-Expires", value);
    }
    if (learned_minimum_ != 0) request.set("Min-SE", std::to_string(learned_minimum_));
}

void SessionTimer::answered(const Message &response) {
    const auto expires = expires_of(response);
    if (!expires) return agree(0, Refresher::none);
    agree(expires->seconds, expires->uas ? Refresher::peer : Refresher::us);
}

bool SessionTimer::raise(const Message &response) {
    const std::uint32_t wanted = min_se_of(response);
    const std::uint32_t asked = std::max(running_ != 0 ? running_ : interval_, learned_minimum_);
    if (wanted <= asked) return false;
    learned_minimum_ = wanted;
    return true;
}

std::optional<std::uint32_t> SessionTimer::too_small(const Message &request) const {
    const auto expires = expires_of(request);
    // Who cannot understand 422 is served as it wishes: a proxy asked for it (§9).
    if (!expires || expires->seconds >= minimum_ || !request.lists_token(HeaderId::supported, "timer"))
        return std::nullopt;
    return minimum_;
}

void SessionTimer::asked(const Message &request) {
    const auto expires = expires_of(request);
    peer_understands_ = request.lists_token(HeaderId::supported, "timer");
    if (expires && !peer_understands_) return agree(expires->seconds, Refresher::us);
    if (expires) // who asks refreshes, unless it wants us to
        return agree(expires->seconds, expires->uas ? Refresher::us : Refresher::peer);
    if (!peer_understands_ || interval_ == 0) return agree(0, Refresher::none);
    agree(std::max(interval_, min_se_of(request)), Refresher::us);
}

void SessionTimer::reply(Draft &response) const {
    if (refresher_ == Refresher::none) return;
    response.set("Session-Expires",
                 std::to_string(running_) + std::string(role(refresher_ == Refresher::peer)));
    if (peer_understands_) response.set("Require", "timer"); // §9: a must where the caller refreshes
}

std::optional<Duration> SessionTimer::refresh_after() const noexcept {
    if (refresher_ != Refresher::us) return std::nullopt;
    return std::chrono::seconds(running_) / 2;
}

std::optional<Duration> SessionTimer::expires_after() const noexcept {
    if (refresher_ == Refresher::none) return std::nullopt;
    const Duration whole = std::chrono::seconds(running_);
    return whole - std::min<Duration>(std::chrono::seconds(most_grace), whole / 3);
}

} // namespace offhook::sip
