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
constexpr Duration timer_c_length{185'000}; // RFC 3261 §16.6: more than 3 min
constexpr Duration subscription_linger{3'700'000};

std::uint32_t cseq_of(const sip::Message &message) {
    return message.cseq().value_or(sip::CSeq{}).number;
}

std::string tag_of(const Result<sip::NameAddr> &address) {
    return address ? std::string(address->tag()) : std::string();
}

void strip_body(sip::Draft &draft) {
    draft.body.clear();
    draft.erase("Content-Type").erase("Content-Disposition");
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
      caller_cseq_(cseq_of(request_)), timer_c_(core.loop), linger_(core.loop), started_(core.loop.now()) {}

Call::~Call() {
    for (auto &branch : branches_)
        if (branch.courier) branch.courier->forget();
    for (const auto &exchange : exchanges_)
        if (exchange->courier) exchange->courier->forget();
    for (const auto &info : info_)
        if (info) info->forget();
}

void Call::start(std::vector<Target> targets) {
    if (invite_) {
        core_.tell("bridge.call", caller_.name + " calls " + std::string(request_.request_uri()),
                   Json::object()
                       .add("call", "b" + std::to_string(number_))
                       .add("from", caller_.name)
                       .add("to", request_.request_uri())
                       .add("devices", targets.size()));
        restart_timer_c();
    }
    for (auto &target : targets)
        static_cast<void>(target), fork_.add();
    branches_.reserve(targets.size());
    for (auto &target : targets)
        add_branch(std::move(target));
}

void Call::add_branch(Target target) {
    const auto index = static_cast<unsigned>(branches_.size());
    branches_.push_back({std::move(target), {}, {}, 0, {}, {}, {}, {}, {}, {}, false, true, false});
    Branch &branch = branches_.back();
    auto draft = forwardable(
        request_, [this](const sip::Uri &uri) { return core_.is_ours(uri); }, core_.realm());
    draft.uri = branch.target.uri;
    if (const auto *line = caller_.line != nullptr ? caller_.line : branch.target.party.line; line != nullptr)
        upstream_.emplace(line->dialog());
    if (branch.target.party.line != nullptr) upstream_->outward(draft, true);
    if (branch.target.party.web) drop_token(draft, "Supported", "100rel");
    if (caller_.web && !branch.target.party.web) fix_timers_towards_phone(draft);
    branch.anchored = invite_ && (caller_.web || branch.target.party.web);
    if (!branch.anchored) return send_branch(index, std::move(draft));
    if (!media_) {
        auto media = core_.media.open(call_id_, caller_.web, media_address(caller_), *this);
        if (!media) return on_failure(index, 503, media.error().what);
        media_ = std::move(*media);
    }
    media_->add_branch(index, branch.target.party.web, media_address(branch.target.party));
    if (!has_sdp(request_)) return send_branch(index, std::move(draft));
    serial_.add([this, index, draft = std::move(draft)](const Serial::Next &next) {
        media_->offer(
            End::caller, index, draft.body, [this, index, draft, next](Result<std::string> sdp) mutable {
                if (sdp) {
                    draft.body = *sdp;
                    send_branch(index, std::move(draft));
                } else {
                    on_failure(index, sdp.error().sip != 0 ? sdp.error().sip : 500, sdp.error().what);
                }
                next();
            });
    });
}

void Call::send_branch(unsigned index, sip::Draft draft) {
    Branch &branch = branches_[index];
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

void Call::restart_timer_c() {
    timer_c_.start(timer_c_length, [this] { perform(fork_.cancel(), "SIP;cause=408;text=\"No answer\""); });
}

void Call::learn(Branch &branch, const sip::Message &response, const sip::Flow &flow) {
    branch.target.party.flow = flow;
    if (const auto to = response.to(); to && !to->tag().empty()) {
        branch.tag = to->tag();
        branch.to = response.value(HeaderId::to);
    }
    if (response.has(HeaderId::allow)) {
        branch.allows_update = response.lists_token(HeaderId::allow, "UPDATE");
        branch.allows_info = response.lists_token(HeaderId::allow, "INFO");
    }
    const auto contacts = response.list(HeaderId::contact);
    if (!contacts.empty()) {
        branch.contact = raw_uri(contacts.front());
        if (auto uri = sip::Uri::parse(branch.contact); uri && !branch.target.party.web)
            branch.target.party.hop = std::move(*uri);
    }
    branch.routes.clear();
    for (const auto element : response.list(HeaderId::record_route)) {
        const auto route = sip::NameAddr::parse(element);
        if (!route || core_.is_ours(route->uri)) break;
        branch.routes.insert(branch.routes.begin(), std::string(element));
    }
}

void Call::on_response(unsigned index, const sip::Message &response, const sip::Flow &flow) {
    const auto keep = shared_from_this();
    if (over_) return;
    Branch &branch = branches_[index];
    learn(branch, response, flow);
    branch.last = response;
    if (branch.target.party.line != nullptr) upstream_->answered(response);
    if (refused_line(response.status(), End::callee, index))
        return on_failure(index, 403, "refused by the upstream");
    if (response.status() > 100 && response.status() < 200 && invite_ && !fork_.finished()) restart_timer_c();
    perform(fork_.received(index, response.status()), "SIP;cause=200;text=\"Call completed elsewhere\"");
}

void Call::on_failure(unsigned index, unsigned status, const std::string &reason) {
    const auto keep = shared_from_this();
    if (over_) return;
    branches_[index].failure = status != 0 ? status : 500;
    branches_[index].failure_reason = reason;
    log_debug("bridge: branch " + std::to_string(index) + ": " + reason);
    perform(fork_.received(index, branches_[index].failure), "");
}

void Call::perform(const std::vector<Fork::Action> &actions, const std::string &reason) {
    for (const auto &action : actions) {
        const auto index = static_cast<unsigned>(action.branch);
        if (action.kind == Fork::Action::Kind::forward)
            forward_response(index);
        else if (branches_[index].courier)
            branches_[index].courier->cancel(reason);
    }
}

void Call::forward_response(unsigned index) {
    Branch &branch = branches_[index];
    if (branch.failure == 0) return relay(index, branch.last);
    const unsigned status = branch.failure == 430 ? 480 : branch.failure;
    auto draft = sip::Draft::response(request_, status, {}, sip::random_token(8));
    if (status == 488 || status == 503)
        draft.add("Warning", "399 offhook \"" + branch.failure_reason.substr(0, 100) + "\"");
    respond(index, std::move(draft));
}

void Call::relay(unsigned index, const sip::Message &response) {
    Branch &branch = branches_[index];
    const bool success = response.status() / 100 == 2;
    if (success && winner_ && *winner_ != index && media_) return refuse_second_answer(index, response);
    auto draft = backward(response);
    dress_response(draft, request_, End::caller, index);
    if (caller_.web && !branch.target.party.web) fix_timers_towards_browser(draft, request_);
    if (!branch.anchored || response.status() >= 300) return respond(index, std::move(draft));
    if (has_sdp(response)) {
        // Browsers take one answer; phones hear the early media of whoever is chosen through our own address.
        const bool spare = response.status() < 200 && caller_.web && std::exchange(early_answer_sent_, true);
        const bool answers = has_sdp(request_);
        if (!answers && success) {
            ack_answers_ = true;
            ack_answer_from_ = End::caller;
        }
        serial_.add([this, index, draft, spare, answers](const Serial::Next &next) {
            const auto done = [this, index, draft, spare, next](Result<std::string> sdp) mutable {
                if (!sdp) {
                    log_warning("bridge: the answer cannot be used: " + sdp.error().what);
                    strip_body(draft);
                } else if (spare) {
                    strip_body(draft);
                } else {
                    draft.body = *sdp;
                    branches_[index].answer = *sdp;
                }
                respond(index, std::move(draft));
                next();
            };
            if (answers)
                media_->answer(End::callee, index, draft.body, done);
            else
                media_->offer(End::callee, index, draft.body, done);
        });
        return;
    }
    // A reliable 18x carried the answer: browsers want it in the 2xx too.
    if (success && caller_.web && !branch.answer.empty())
        draft.set_body("application/sdp", std::string(branch.answer));
    serial_.add([this, index, draft = std::move(draft)](const Serial::Next &next) mutable {
        respond(index, std::move(draft));
        next();
    });
}

void Call::respond(unsigned index, sip::Draft draft) {
    const auto keep = shared_from_this();
    const unsigned status = draft.status;
    if (status / 100 == 2) establish(index);
    server_.respond(draft);
    if (status < 200) return;
    if (status >= 300 || !makes_dialog_)
        over(status >= 300 ? std::to_string(status) + " " + draft.reason : "");
}

void Call::establish(unsigned index) {
    timer_c_.cancel();
    if (std::exchange(winner_, index) == index) return;
    answered_ = refreshed_ = core_.loop.now();
    if (media_) media_->settle(index);
    if (!invite_) {
        linger_.start(subscription_linger, [this] { over("expired"); });
        return;
    }
    core_.tell("bridge.answered", branches_[index].target.party.name + " answered " + caller_.name,
               Json::object()
                   .add("call", "b" + std::to_string(number_))
                   .add("by", branches_[index].target.party.name)
                   .add("setup_ms", std::chrono::duration_cast<Duration>(answered_ - started_).count()));
}

// Two phones answered at once; the media belongs to the first. RFC 3261 §13.2.2.4 in the caller's place.
void Call::refuse_second_answer(unsigned index, const sip::Message &response) {
    Branch &branch = branches_[index];
    for (const char *method : {"ACK", "BYE"}) {
        const bool ack = std::string_view(method) == "ACK";
        auto draft = sip::Draft::request(method, branch.contact);
        for (const auto &route : branch.routes)
            draft.add("Route", route);
        draft.add("From", request_.value(HeaderId::from)).add("To", response.value(HeaderId::to));
        draft.add("Call-ID", call_id_);
        draft.add("CSeq", std::to_string(caller_cseq_ + (ack ? 0 : 1)) + " " + method);
        if (ack)
            static_cast<void>(core_.layer.send_ack(std::move(draft), branch.target.party.flow));
        else
            static_cast<void>(core_.layer.request(
                std::move(draft), branch.target.party.flow, [](const auto &, const auto &) {},
                [](const auto &) {}));
    }
    media_->release(index);
}

bool Call::cancelled(const sip::ServerTransaction &server, const sip::Message &cancel) {
    const std::string reason(cancel.value(HeaderId::reason));
    if (server == server_) {
        perform(fork_.cancel(), reason);
        return true;
    }
    for (const auto &exchange : exchanges_)
        if (exchange->server == server) {
            if (exchange->courier) exchange->courier->cancel(reason);
            return true;
        }
    return false;
}

void Call::on_media_up(Duration after_start) {
    core_.tell(
        "bridge.media", "media of call b" + std::to_string(number_) + " is up",
        Json::object().add("call", "b" + std::to_string(number_)).add("after_ms", after_start.count()));
}

void Call::on_media_lost(End end) {
    hang_up(end == End::caller ? "the caller's media is gone" : "the callee's media is gone");
}

void Call::over(const std::string &why) {
    if (std::exchange(over_, true)) return;
    const auto keep = shared_from_this();
    timer_c_.cancel();
    linger_.cancel();
    serial_.clear();
    if (invite_) {
        auto facts = Json::object().add("call", "b" + std::to_string(number_)).add("reason", why);
        if (winner_)
            facts.add("talk_ms", std::chrono::duration_cast<Duration>(core_.loop.now() - answered_).count());
        if (media_) {
            const auto caller = media_->facts(End::caller), callee = media_->facts(End::callee);
            facts.add("packets_from_caller", caller.packets_in).add("packets_from_callee", callee.packets_in);
        }
        core_.tell("bridge.ended", "call b" + std::to_string(number_) + " ended: " + why, std::move(facts));
    }
    core_.loop.post([keep] { keep->host_.on_over(keep); });
}

Json Call::describe() const {
    auto out = Json::object()
                   .add("call", "b" + std::to_string(number_))
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
