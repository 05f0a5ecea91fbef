#include "bridge/call.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "bridge/rewrite.hpp"
#include "bridge/upstream_lines.hpp"
#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

using sip::HeaderId;

std::uint32_t cseq_of(const sip::Message &message) {
    return message.cseq().value_or(sip::CSeq{}).number;
}

std::string tag_of(const Result<sip::NameAddr> &address) {
    return address ? std::string(address->tag()) : std::string();
}

// Where media towards a party goes, as far as it is known: chooses our own address.
Address media_address(const Party &party) {
    if (party.flow.remote.is_set()) return party.flow.remote;
    if (party.near.is_set()) return party.near;
    if (party.hop)
        if (auto numeric = Address::parse(party.hop->host)) return *numeric;
    return {};
}

} // namespace

Call::Call(Core &core, Host &host, sip::ServerTransaction server, Party caller, unsigned number)
    : core_(core), host_(host), server_(std::move(server)), request_(server_.request()),
      call_id_(request_.call_id()), caller_tag_(tag_of(request_.from())), caller_(std::move(caller)),
      number_(number), invite_(request_.method() == sip::Method::invite),
      makes_dialog_(invite_ || request_.method() == sip::Method::subscribe ||
                    request_.method() == sip::Method::refer),
      caller_cseq_(cseq_of(request_)), caller_allows_update_(!request_.has(HeaderId::allow) ||
                                                             request_.lists_token(HeaderId::allow, "UPDATE")),
      linger_(core.loop), renew_again_(core.loop), started_(core.loop.now()) {}

Call::~Call() {
    for (auto &branch : branches_)
        if (branch.courier) branch.courier->forget();
    for (const auto &exchange : exchanges_)
        if (exchange->courier) exchange->courier->forget();
    for (const auto &info : info_)
        if (info) info->forget();
    if (renewing_courier_) renewing_courier_->forget();
}

void Call::start(std::vector<Target> targets) {
    if (invite_) {
        if (core_.settings.hide_forks && caller_.web)
            hidden_ = std::make_unique<HiddenForks>(core_.hidden, call_id_, party_id(caller_),
                                                    sip::random_token(12));
        tell("bridge.call", caller_.name + " calls " + std::string(request_.request_uri()),
             Json::object()
                 .add("from", caller_.name)
                 .add("to", request_.request_uri())
                 .add("devices", targets.size()));
    }
    for (auto &target : targets)
        static_cast<void>(target), fork_.add();
    branches_.reserve(targets.size());
    for (auto &target : targets)
        add_branch(std::move(target));
}

void Call::add_branch(Target target) {
    const auto index = static_cast<unsigned>(branches_.size());
    branches_.push_back({.target = std::move(target)});
    Branch &branch = branches_.back();
    auto draft = forwardable(
        request_, [this](const sip::Uri &uri) { return core_.is_ours(uri); }, core_.realm());
    draft.uri = branch.target.uri;
    if (const auto *line = caller_.line != nullptr ? caller_.line : branch.target.party.line; line != nullptr)
        upstream_.emplace(line->dialog());
    if (branch.target.party.line != nullptr) upstream_->outward(draft, true);
    adapt(draft, branch);
    if (no_reliable(branch) && request_.lists_token(HeaderId::require, "100rel"))
        return on_failure(index, 420, "100rel");
    if (!invite_ || (!caller_.web && !branch.target.party.web)) return send_branch(index, std::move(draft));
    if (has_parts(request_))
        return on_failure(index, 415, "descriptions inside of other bodies are not read");
    if (!media_) {
        auto media = core_.media.open(call_id_, caller_.web, media_address(caller_), *this);
        if (!media) return on_failure(index, 503, media.error().what);
        media_ = std::move(*media);
    }
    branch.anchored = true;
    media_->add_branch(index, branch.target.party.web, media_address(branch.target.party));
    if (!has_sdp(request_)) return send_branch(index, std::move(draft));
    serial_.add([this, index, draft = std::move(draft)](const Serial::Next &next) {
        media_->offer(
            End::caller, index, draft.body, [this, index, draft, next](Result<std::string> sdp) mutable {
                if (sdp) {
                    described_[bridge::index(End::caller)] = std::exchange(draft.body, *sdp);
                    send_branch(index, std::move(draft));
                } else {
                    on_failure(index, sdp.error().sip != 0 ? sdp.error().sip : 500, sdp.error().what);
                }
                next();
            });
    });
}

// Browsers answer no PRACK, and reliable provisional responses of several forks cannot be one dialog's.
bool Call::no_reliable(const Branch &branch) const {
    return branch.target.party.web || hidden_;
}

// What this target would not understand.
void Call::adapt(sip::Draft &draft, const Branch &branch) {
    const Party &to = branch.target.party;
    if (no_reliable(branch)) drop_token(draft, "Supported", "100rel");
    if (to.web) without_sips(draft);
    if (caller_.web && !to.web) fix_timers_towards_phone(draft, session_seconds_);
    if (caller_.web) core_.hidden.outward(draft);
    if (to.web) core_.hidden.inward(draft, party_id(to));
}

void Call::send_branch(unsigned index, sip::Draft draft) {
    Branch &branch = branches_[index];
    if (branch.cancelled) return on_failure(index, 487, "cancelled");
    branch.sent = draft;
    Courier::Order order;
    order.draft = std::move(draft);
    order.to = branch.target.party;
    if (makes_dialog_)
        order.prepare = [this, index](sip::Draft &out, const sip::Flow &flow) {
            Party &party = branches_[index].target.party;
            party.flow = flow;
            if (party.line != nullptr) return show_contact(out, *party.line, flow);
            if (caller_.line == nullptr) core_.add_record_route(out, caller_, party, flow);
        };
    order.response = [this, index](const sip::Message &response, const sip::Flow &flow) {
        on_response(index, response, flow);
    };
    order.failure = [this, index](const Error &error) { on_failure(index, error.sip, error.what); };
    branch.courier = Courier::send(core_, std::move(order));
}

void Call::learn(Branch &branch, const sip::Message &response, const sip::Flow &flow) {
    branch.target.party.flow = flow;
    branch.dialogs.learn(response, [this](const sip::Uri &uri) { return core_.is_ours(uri); });
    const auto &dialog = branch.dialogs.current();
    if (auto uri = sip::Uri::parse(dialog.contact); uri && !branch.target.party.web)
        branch.target.party.hop = std::move(*uri);
}

void Call::on_response(unsigned index, const sip::Message &response, const sip::Flow &flow) {
    const auto keep = shared_from_this();
    Branch &branch = branches_[index];
    learn(branch, response, flow);
    if (over_) return answered_late(index, response);
    branch.last = response;
    if (branch.target.party.line != nullptr) upstream_->answered(response);
    if (refused_line(response.status(), End::callee, index))
        return on_failure(index, 403, "refused by the upstream");
    if (response.status() == 422 && ask_longer(index, response)) return;
    if (response.status() >= 300 && branch.anchored) media_->release(index); // others may ring on for long
    perform(fork_.received(index, response.status()), "SIP;cause=200;text=\"Call completed elsewhere\"");
}

void Call::on_failure(unsigned index, unsigned status, const std::string &reason) {
    const auto keep = shared_from_this();
    if (over_) {
        static_cast<void>(fork_.received(index, 500));
        return leave();
    }
    if (branches_[index].anchored) media_->release(index);
    branches_[index].failure = status != 0 ? status : 500;
    branches_[index].failure_reason = reason;
    log_debug("bridge: " + name() + ": branch " + std::to_string(index) + ": " + reason);
    perform(fork_.received(index, branches_[index].failure), "");
}

void Call::perform(const std::vector<Fork::Action> &actions, const std::string &reason) {
    for (const auto &action : actions) {
        const auto index = static_cast<unsigned>(action.branch);
        if (action.kind == Fork::Action::Kind::forward) {
            forward_response(index);
            continue;
        }
        branches_[index].cancelled = true;
        if (branches_[index].courier) branches_[index].courier->cancel(reason);
    }
}

bool Call::cancelled(const sip::ServerTransaction &server, const sip::Message &cancel) {
    const std::string reason(cancel.value(HeaderId::reason));
    if (server == server_) {
        perform(fork_.cancel(), reason);
        return true;
    }
    const auto found = std::ranges::find(exchanges_, server, [](const ExchangePtr &e) { return e->server; });
    if (found == exchanges_.end()) return false;
    const ExchangePtr exchange = *found;
    if (exchange->courier) {
        exchange->courier->cancel(reason);
        return true;
    }
    exchange->cancelled = true; // it waits, or its description is still being made
    if (exchange->offered && media_)
        serial_.add([this, exchange](const Serial::Next &next) {
            media_->roll_back(exchange->branch);
            next();
        });
    server.respond(487);
    exchanges_.remove(exchange);
    return true;
}

void Call::tell(const char *event, const std::string &text, const Json &fields) const {
    auto whole = Json::object().add("call", name());
    for (const auto &[key, value] : *fields.as_object())
        whole.add(key, value);
    core_.tell(event, name() + ": " + text, std::move(whole));
}

void Call::on_media_up(Duration after_start) {
    tell("bridge.media", "media is up after " + std::to_string(after_start.count()) + " ms",
         Json::object().add("after_ms", after_start.count()));
}

Json Call::describe() const {
    auto out = Json::object()
                   .add("call", name())
                   .add("from", caller_.name)
                   .add("to", request_.request_uri())
                   .add("state", winner_ ? "answered" : "ringing")
                   .add("seconds", std::chrono::duration_cast<std::chrono::seconds>(
                                       core_.loop.now() - (winner_ ? answered_ : started_))
                                       .count());
    if (media_) {
        out.add("packets_from_caller", media_->facts(End::caller).packets_in);
        out.add("packets_from_callee", media_->facts(End::callee).packets_in);
    }
    return out;
}

} // namespace offhook::bridge
