#include "bridge/upstream_lines.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"

namespace offhook::bridge {

namespace {

sip::Uri line_address(const UserSettings &user, const sip::Uri &upstream) {
    if (user.upstream.aor) return *user.upstream.aor;
    sip::Uri out;
    out.scheme = "sip";
    out.user = sip::escape_user(user.upstream.user);
    out.host = upstream.host;
    out.port = upstream.port;
    return out;
}

std::shared_ptr<sip::Authenticator> authenticator_for(const UserSettings &user, const std::string &realm) {
    sip::Authenticator::Options options;
    options.credentials = {user.upstream.user, user.upstream.password};
    options.realm = realm;
    return std::make_shared<sip::Authenticator>(std::move(options));
}

} // namespace

UpstreamLine::UpstreamLine(Core &core, const UserSettings &user, const sip::Uri &upstream,
                           UpstreamDialog::Outside outside)
    : core_(core), user_(user), upstream_uri_(upstream), aor_(line_address(user, upstream)),
      contact_user_(core.tokens.seal({core.epoch, 0, device_hash("line " + user.name)})),
      outside_(std::move(outside)), registrar_(authenticator_for(user, user.upstream.realm)),
      registration_(core.loop, core.layer, core.resolver, options(upstream), *this) {
    if (!user.upstream.realm.empty()) calls_ = authenticator_for(user, user.upstream.realm);
}

sip::Registration::Options UpstreamLine::options(const sip::Uri &upstream) const {
    sip::Registration::Options out;
    out.aor = aor_;
    out.registrar.scheme = "sip";
    out.registrar.host = aor_.host;
    out.registrar.port = aor_.port;
    out.next_hop = upstream;
    out.contact_user = contact_user_;
    out.authenticator = registrar_;
    return out;
}

void UpstreamLine::here(bool is_here) {
    if (std::exchange(here_, is_here) == is_here) return;
    if (is_here)
        registration_.start();
    else
        registration_.unregister({});
}

// A challenge that came with a call may be anybody's whom the upstream asked; the one for REGISTER is its
// own.
void UpstreamLine::bind_calls() {
    if (calls_) return;
    auto probe = sip::Draft::request("OPTIONS", "sip:" + aor_.host);
    registrar_->apply_cached(true, probe);
    const auto given = sip::AuthParams::parse(probe.get("Authorization"));
    if (given && !given->params.get("realm").empty())
        calls_ = authenticator_for(user_, std::string(given->params.get("realm")));
}

void UpstreamLine::tell(bool registered, const std::string &text, const std::string &reason) {
    auto fields =
        Json::object().add("user", user_.name).add("line", aor_.encode()).add("registered", registered);
    if (!reason.empty()) fields.add("reason", reason);
    core_.tell("bridge.upstream", text, std::move(fields));
}

Json UpstreamLine::describe() const {
    const auto seconds_to = [&](TimePoint when) {
        return std::max<std::int64_t>(
            0, std::chrono::duration_cast<std::chrono::seconds>(when - core_.loop.now()).count());
    };
    auto out =
        Json::object().add("user", user_.name).add("line", aor_.encode()).add("registered", registered());
    if (registered() && until_) out.add("expires", seconds_to(*until_));
    if (!registered())
        out.add("reason", !reason_.empty() ? reason_
                          : here_          ? "no answer yet"
                                           : user_.name + " is not registered here");
    if (!registered() && again_) out.add("again_in", seconds_to(*again_));
    return out;
}

void UpstreamLine::on_registered(const sip::Registration::Outcome &outcome) {
    reason_.clear();
    again_.reset();
    until_ = core_.loop.now() + outcome.granted;
    bind_calls();
    if (std::exchange(told_registered_, true)) return;
    tell(true, user_.name + " is registered upstream as " + aor_.encode());
}

void UpstreamLine::on_failed(const Error &error, std::optional<Duration> retry_in) {
    told_registered_ = false;
    reason_ = error.what;
    again_ = retry_in ? std::optional(core_.loop.now() + *retry_in) : std::nullopt;
    tell(false,
         user_.name + " is not registered upstream: " + error.what + (retry_in ? "; will try again" : ""),
         error.what);
}

void UpstreamLine::on_unregistered() {
    told_registered_ = false;
    reason_.clear();
    again_.reset();
    tell(false, user_.name + " is no longer registered upstream");
}

UpstreamLines::UpstreamLines(Core &core) : core_(core), host_(core, *core.settings.upstream) {
    for (const auto &user : core.settings.users)
        lines_.push_back(std::make_unique<UpstreamLine>(
            core, user, host_.uri(), [this](const sip::Uri &uri) { return outside(uri); }));
}

void UpstreamLines::start() {
    host_.start();
    core_.location.each([this](const Binding &binding) { here(binding.user, true); });
}

const UpstreamLine *UpstreamLines::of(const std::string &user) const {
    const auto found =
        std::ranges::find_if(lines_, [&](const auto &line) { return line->user().name == user; });
    return found == lines_.end() ? nullptr : found->get();
}

void UpstreamLines::here(const std::string &user, bool is_here) {
    for (const auto &line : lines_)
        if (line->user().name == user) line->here(is_here);
}

void UpstreamLines::sign_off() {
    for (const auto &line : lines_)
        line->here(false);
}

void UpstreamLines::flow_failed(const sip::Flow &flow) {
    for (const auto &line : lines_)
        line->flow_failed(flow);
}

bool UpstreamLines::any_registered() const {
    return std::ranges::any_of(lines_, [](const auto &line) { return line->registered(); });
}

Party UpstreamLines::party(const std::string &user) const {
    Party out = host_.party();
    out.line = of(user);
    return out;
}

const UpstreamLine *UpstreamLines::target(const sip::Message &request) const {
    const auto uri = request.uri();
    const auto to = request.to();
    const auto named = [&](const auto &line) {
        return (uri && uri->user_decoded() == line->aor().user_decoded()) ||
               (to && to->uri.user_decoded() == line->aor().user_decoded());
    };
    auto found = std::ranges::find_if(
        lines_, [&](const auto &line) { return uri && uri->user == line->contact_user(); });
    if (found == lines_.end()) found = std::ranges::find_if(lines_, named);
    return found == lines_.end() ? nullptr : found->get();
}

sip::Uri UpstreamLines::outside(const sip::Uri &uri) const {
    sip::Uri out = uri;
    if (!uri.is_sip() || uri.user.empty()) return out;
    const bool ours =
        sip::iequals(uri.host, core_.settings.domain) || core_.transports().is_local(uri.host, uri.port);
    if (!ours) return out;
    const auto *line = of(uri.user_decoded());
    if (line != nullptr) out.user = line->aor().user;
    out.host = line != nullptr ? line->aor().host : host_.uri().host;
    out.port = line != nullptr ? line->aor().port : host_.uri().port;
    return out;
}

} // namespace offhook::bridge
