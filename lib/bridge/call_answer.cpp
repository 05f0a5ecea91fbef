// Responses to the INVITE (or whatever made the Call) on their way back to the caller.
#include <algorithm>
#include <utility>

#include "bridge/call.hpp"
#include "bridge/rewrite.hpp"
#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

using sip::HeaderId;

constexpr Duration subscription_linger{3'700'000};

std::string tag_of(const Result<sip::NameAddr> &address) {
    return address ? std::string(address->tag()) : std::string();
}

} // namespace

sip::Draft Call::failure(unsigned status, const std::string &reason) const {
    auto draft = sip::Draft::response(request_, status, {}, sip::random_token(8));
    if (status == 420) draft.add("Unsupported", reason);
    if (status == 415) draft.add("Accept", "application/sdp");
    if (status == 488 || status == 503) draft.add("Warning", "399 offhook \"" + reason.substr(0, 100) + "\"");
    return draft;
}

void Call::forward_response(unsigned index) {
    const Branch &branch = branches_[index];
    if (branch.failure == 0) return relay(index, branch.last);
    respond(index, failure(branch.failure == 430 ? 480 : branch.failure, branch.failure_reason));
}

// The first 2xx has the call. False: this is another one.
bool Call::claim(unsigned index, const sip::Message &response) {
    std::pair mine(index, tag_of(response.to()));
    if (!claimed_) {
        branches_[index].dialogs.choose(mine.second);
        claimed_ = std::move(mine);
        return true;
    }
    return *claimed_ == mine;
}

void Call::relay(unsigned index, const sip::Message &response) {
    Branch &branch = branches_[index];
    const bool success = response.status() / 100 == 2;
    const bool first = success && !claimed_;
    if (success && !claim(index, response) && media_) return refuse_answer(index, response);
    if (success && !first && invite_ && branch.anchored) { // it was repeated
        if (winner_) server_.respond(success_);
        return;
    }
    if (hidden_ && response.status() < 300) hidden_->learn(branch.dialogs.at(tag_of(response.to())).tag);
    auto draft = backward(response);
    dress_response(draft, request_, End::caller, index);
    if (branch.raised != 0) draft.set("CSeq", request_.value(HeaderId::cseq));
    if (caller_.web && !branch.target.party.web)
        fix_timers_towards_browser(draft, request_, session_seconds_);
    if (branch.anchored && ((response.status() >= 300 && has_sdp(response)) || has_parts(response)))
        strip_body(draft);
    if (!branch.anchored || response.status() >= 300) return respond(index, std::move(draft));
    // A reliable 18x carried the answer: browsers want it in the 2xx too.
    const auto &answer = branch.dialogs.at(tag_of(response.to())).answer;
    if (!has_sdp(response) && success && caller_.web && has_sdp(request_) && !answer.empty())
        draft.set_body("application/sdp", std::string(answer));
    else if (!has_sdp(response)) {
        serial_.add([this, index, draft = std::move(draft)](const Serial::Next &next) mutable {
            respond(index, std::move(draft));
            next();
        });
        return;
    }
    relay_description(index, std::move(draft), response);
}

void Call::relay_description(unsigned index, sip::Draft draft, const sip::Message &response) {
    const bool answers = has_sdp(request_);
    if (!answers && draft.status / 100 == 2) {
        ack_answers_ = true;
        ack_answer_from_ = End::caller;
    }
    serial_.add([this, index, draft = std::move(draft), response, answers](const Serial::Next &next) {
        const auto done = [this, index, draft, response, next](Result<std::string> sdp) mutable {
            if (!over_) {
                take_description(index, draft, response, std::move(sdp));
                respond(index, std::move(draft));
            }
            next();
        };
        if (answers)
            media_->answer(End::callee, index, draft.body, done);
        else
            media_->offer(End::callee, index, draft.body, done);
    });
}

// Browsers take one answer; phones hear the early media of whoever is chosen through our own address.
void Call::take_description(unsigned index, sip::Draft &draft, const sip::Message &response,
                            Result<std::string> sdp) {
    const bool provisional = draft.status < 200;
    if (!sdp && provisional) return strip_body(draft);
    if (!sdp) { // a call without sound helps nobody
        told_unusable(End::callee, index, sdp.error());
        refuse_answer(index, response);
        draft = failure(sdp.error().sip != 0 ? sdp.error().sip : 488, sdp.error().what);
        return;
    }
    if (provisional && caller_.web && early_answer_sent_) return strip_body(draft);
    if (!provisional) described_[bridge::index(End::callee)] = draft.body;
    draft.body = std::move(*sdp);
    if (!caller_.web) return;
    if (!provisional) { // where the caller sees one dialog it takes this for the answer that it has
        renewal_due_ = hidden_ && !media_->answer_holds(index);
        return;
    }
    early_answer_sent_ = true;
    media_->keep_answer(index, hidden_ != nullptr);
}

void Call::respond(unsigned index, sip::Draft draft) {
    const auto keep = shared_from_this();
    const unsigned status = draft.status;
    if (status / 100 == 2) establish(index);
    disguise(draft, request_, caller_);
    server_.respond(draft);
    if (status < 200) return;
    if (status < 300 && media_) success_ = draft;
    if (status >= 300 || !makes_dialog_)
        over(status >= 300 ? std::to_string(status) + " " + draft.reason : "");
}

void Call::establish(unsigned index) {
    if (std::exchange(winner_, index) == index) return;
    invite_raised_[bridge::index(End::caller)] = branches_[index].raised;
    answered_ = refreshed_ = core_.loop.now();
    if (media_) media_->settle(index);
    if (!invite_) return linger();
    const auto setup = std::chrono::duration_cast<Duration>(answered_ - started_);
    const std::string &who = branches_[index].target.party.name;
    tell("bridge.answered", who + " answered " + caller_.name,
         Json::object().add("by", who).add("setup_ms", setup.count()));
}

// Of a subscription: it may be refreshed, or told of, for as long as it likes.
void Call::linger() {
    linger_.start(subscription_linger, [this] { over("expired"); });
}

void Call::told_unusable(End by, unsigned branch, const Error &error) {
    const Party &who = party(by, branch);
    tell("bridge.refused", "what " + who.name + " described cannot be used: " + error.what,
         Json::object()
             .add("source", who.flow.remote.ip())
             .add("code", error.sip != 0 ? error.sip : 488)
             .add("reason", error.what));
}

// Two phones answered at once; the media belongs to the first. RFC 3261 §13.2.2.4 in the caller's place.
void Call::refuse_answer(unsigned index, const sip::Message &response) {
    Branch &branch = branches_[index];
    const std::string tag = tag_of(response.to());
    const auto &dialog = branch.dialogs.at(tag);
    const auto cseq = response.cseq();
    const std::uint32_t number = cseq ? cseq->number : caller_cseq_;
    const bool again = std::ranges::find(branch.refused, tag) != branch.refused.end();
    if (!again) branch.refused.push_back(tag);
    for (const char *method : {"ACK", "BYE"}) {
        const bool ack = std::string_view(method) == "ACK";
        if (!ack && again) break; // its ACK was lost
        auto draft = sip::Draft::request(method, dialog.contact);
        for (const auto &route : dialog.routes)
            draft.add("Route", route);
        draft.add("From", response.value(HeaderId::from)).add("To", response.value(HeaderId::to));
        draft.add("Call-ID", call_id_);
        draft.add("CSeq", std::to_string(number + (ack ? 0 : 1)) + " " + method);
        if (ack)
            static_cast<void>(core_.layer.send_ack(std::move(draft), branch.target.party.flow));
        else
            static_cast<void>(core_.layer.request(
                std::move(draft), branch.target.party.flow, [](const auto &, const auto &) {},
                [](const auto &) {}));
    }
    if (branch.anchored && (!claimed_ || claimed_->first != index)) media_->release(index);
}

} // namespace offhook::bridge
