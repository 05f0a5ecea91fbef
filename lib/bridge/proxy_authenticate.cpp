// Who may come in: how often, and who has sent a request, by password, by a web application's token or by its
// cookie.
#include "bridge/proxy.hpp"
#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

// A registration for less would make its client come back at once, again and again.
constexpr std::int64_t least_left_s = 10;
constexpr std::size_t most_proved = 10'000;
constexpr Duration proof_lasts{3'600'000};

} // namespace

bool Proxy::admit(const sip::Message &request, const sip::Flow &flow, const sip::ServerTransaction &server) {
    const auto now = core_.loop.now();
    const auto known = proved_.find(flow.remote.with_port(0));
    if (known != proved_.end() && now - known->second < proof_lasts) return true;
    if ((upstream_ && upstream_->trusts(flow)) || (lines_ && lines_->trusts(flow))) return true;
    switch (flood_.admit(flow.remote, now)) {
    case sip::FloodGuard::Verdict::pass:
        return true;
    case sip::FloodGuard::Verdict::refuse:
        ++counters_.refused;
        too_often(flow);
        server.respond(sip::Draft::response(request, 503, {}, sip::random_token(8)).add("Retry-After", "10"));
        return false;
    default:
        ++counters_.refused;
        too_often(flow);
        server.drop();
        return false;
    }
}

void Proxy::too_often(const sip::Flow &flow) {
    refused(Refusal::rate, flow.remote.ip(),
            "requests of the stranger " + flow.remote.ip() + " are refused: too many", "too many requests",
            503);
}

void Proxy::proved(const sip::Flow &flow) {
    if (is_web(flow.kind)) visitors_.known(flow);
    if (proved_.size() >= most_proved) proved_.clear(); // they prove it again
    proved_[flow.remote.with_port(0)] = core_.loop.now();
}

bool Proxy::admit_visitor(const sip::Message &request, const sip::Flow &flow,
                          const sip::ServerTransaction &server) {
    switch (visitors_.request(flow, core_.loop.now())) {
    case Visitors::Verdict::pass:
        return true;
    case Visitors::Verdict::send_away:
        send_away(flow, "too many messages");
        return false;
    default:
        ++counters_.refused;
        refused(Refusal::browser_rate, flow.remote.ip(),
                "messages of the browser at " + flow.remote.to_string() + " are refused: too many",
                "too many messages at once", 503);
        if (request.method() != sip::Method::ack)
            server.respond(
                sip::Draft::response(request, 503, {}, sip::random_token(8)).add("Retry-After", "2"));
        return false;
    }
}

void Proxy::send_away(const sip::Flow &flow, const std::string &why) {
    ++counters_.refused;
    refused(Refusal::sent_away, flow.remote.ip(),
            "the connection of " + flow.remote.to_string() + " is ended: " + why, why);
    core_.transports().abandon(flow);
}

std::optional<Gatekeeper::Verdict> Proxy::authenticate(const sip::Message &request, const sip::Flow &flow,
                                                       const sip::ServerTransaction &server,
                                                       const std::string &name) {
    const bool registers = request.method() == sip::Method::register_;
    const std::string source = flow.remote.ip();
    const std::int64_t today = unix_time();
    auto login = logins_.judge(request, flow, name, today);
    const UserSettings *user = core_.gate.user(name);
    if (login.proved && registers && login.until < today + least_left_s)
        login = {false, 0, "the login is over in a moment"};
    if (login.proved && user == nullptr) login = {false, 0, "there is no user " + name};
    if (login.proved) {
        proved(flow);
        return Gatekeeper::Verdict{Gatekeeper::Outcome::ok, user, false, login.until};
    }
    const auto now = core_.loop.now();
    const auto verdict = core_.gate.judge(request, !registers, name, source, now);
    if (verdict.outcome == Gatekeeper::Outcome::ok) {
        proved(flow);
        return verdict;
    }
    if (verdict.outcome == Gatekeeper::Outcome::locked) {
        ++counters_.locked;
        refuse(server, 403, "too many wrong passwords", source, "Too Many Wrong Passwords",
               Refusal::guessing);
        return {};
    }
    ++counters_.challenges;
    if (verdict.now_locked)
        core_.tell("bridge.locked", source + " guessed passwords of " + name + ": locked out",
                   Json::object().add("source", source).add("user", name));
    if (!login.why.empty()) // a password would do all the same
        refused(Refusal::login, source,
                std::string(request.method_token()) + " of " + name + " from " + source +
                    " not taken: " + login.why,
                login.why, registers ? 401 : 407);
    server.respond(
        core_.gate.challenge(request, !registers, name, verdict.outcome == Gatekeeper::Outcome::stale, now));
    return {};
}

} // namespace offhook::bridge
