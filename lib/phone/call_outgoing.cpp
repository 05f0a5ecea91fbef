#include <algorithm>

#include "base/text.hpp"
#include "phone/call.hpp"

namespace offhook {

namespace {
constexpr std::size_t most_redirections = 5;
} // namespace

std::unique_ptr<Call> Call::outgoing(CallHost &host, CallId id, Account &account, const sip::Uri &target,
                                     std::string typed, DialOptions options) {
    std::unique_ptr<Call> call(new Call(host, id, CallDirection::outgoing, account));
    call->target_ = target;
    call->typed_ = std::move(typed);
    call->options_ = std::move(options);
    call->local_ = account.settings().aor;
    call->remote_ = plain_uri(target);
    call->visited_.insert(target.encode());
    if (call->options_.ring_timeout.count() > 0)
        call->ring_timer_.start(call->options_.ring_timeout, [raw = call.get()] { raw->ring_timed_out(); });
    call->resolve();
    return call;
}

// The media's address must be known before the offer is made, so the next hop is resolved first.
void Call::resolve() {
    const auto local_for = [this](const Address &remote) {
        const auto local = local_address_towards(remote);
        if (!local) return fail_to_start(local.error());
        start(*local, remote);
    };
    if (const auto flow = account_.flow_for(target_)) {
        const auto local = flow->local;
        const auto remote = flow->remote;
        return later(
            [this, local, remote, local_for] { local.is_any() ? local_for(remote) : start(local, remote); });
    }
    query_ =
        host_.user_agent().resolver().resolve(account_.next_hop(target_), account_.settings().transport,
                                              [this, local_for](const Result<std::vector<sip::Hop>> &hops) {
                                                  if (!hops) return fail_to_start(hops.error());
                                                  local_for(hops->front().address);
                                              });
}

void Call::fail_to_start(const Error &error) {
    tell_outgoing();
    later([this, error] {
        sip::SessionEnd end;
        end.by = sip::SessionEnd::By::network;
        end.status = error.sip;
        end.reason = error.what;
        end.error = error;
        tell_ended(end);
    });
}

void Call::start(const Address &local_ip, const Address &sip_peer) {
    if (over()) return;
    auto media = CallMedia::open(host_, id_, local_ip, account_.settings(), *this);
    if (!media) return fail_to_start(media.error());
    media_ = std::move(*media);
    media_->leg().set_sip_peer(sip_peer);
    media_->prepare(true, [this, local_ip] {
        if (!over()) start_session(local_ip);
    });
}

void Call::start_session(const Address &local_ip) {
    auto offer = media_->leg().offer();
    if (!offer) return fail_to_start(offer.error());
    auto options = account_.session_options(target_, local_ip);
    options.headers.insert(options.headers.end(), options_.headers.begin(), options_.headers.end());
    if (!options_.subject.empty()) options.headers.emplace_back("Subject", options_.subject);
    local_ = plain_uri(options.from.uri);
    invited_at_ = host_.loop().now();
    sip::NameAddr to;
    to.uri = target_;
    session_ =
        sip::InviteSession::outgoing(host_.user_agent(), to, std::move(*offer), std::move(options), *this);
    tell_outgoing();
}

void Call::tell_outgoing() {
    if (std::exchange(outgoing_told_, true)) return; // a redirected call goes out once
    host_.tell(event::CallOutgoing{view(), sanitise(typed_)});
}

void Call::ring_timed_out() {
    // RFC 3326; 487 is what the callee answers, the cause tells it why.
    end_by(Cause::ring_timeout, "SIP;cause=408;text=\"No answer\"");
}

// A 3xx that the user wants followed: the next target nobody has refused yet.
bool Call::follow(const sip::SessionEnd &end) {
    if (!options_.follow || end.redirect.empty() || cause_ != Cause::none ||
        visited_.size() > most_redirections)
        return false;
    for (const auto &text : end.redirect) {
        auto uri = sip::Uri::parse(text);
        if (!uri || !uri->is_sip() || (target_.is_sips() && !uri->is_sips()))
            continue;         // never from TLS to less
        uri->headers.clear(); // not ours to obey
        if (!visited_.insert(uri->encode()).second) continue;
        target_ = *uri;
        later([this] {
            if (over()) return;
            session_.reset();
            media_.reset();
            resolve();
        });
        return true;
    }
    return false;
}

} // namespace offhook
