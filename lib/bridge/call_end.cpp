// How a Call ends: by its own parties in call_reply.cpp, from the middle here.
#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "bridge/call.hpp"
#include "bridge/rewrite.hpp"

namespace offhook::bridge {

namespace {

std::string format_seconds(Duration time) { // "12.3 s"
    const auto tenths = time.count() / 100;
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " s";
}

} // namespace

void Call::hang_up(const std::string &reason) {
    const auto keep = shared_from_this();
    if (over_) return;
    if (!winner_) {
        perform(fork_.cancel(), {});
        server_.respond(480);
        return over(reason);
    }
    bye(End::caller);
    bye(End::callee);
    over(reason);
}

void Call::flow_lost(const sip::Flow &flow) {
    if (over_) return;
    const auto lost = [&](const Party &party) {
        return party.web && party.flow.kind == flow.kind && party.flow.connection == flow.connection;
    };
    if (!winner_) { // one that only rings ends with its caller
        if (lost(caller_)) hang_up("the caller's connection is gone");
        return;
    }
    // Established calls survive: the browser comes back, or its media stops.
    for (const End end : {End::caller, End::callee})
        if (media_ && lost(party(end, *winner_))) media_->impatient(end, true);
}

void Call::device_back(const std::string &device) {
    if (over_ || !winner_ || !media_) return;
    for (const End end : {End::caller, End::callee})
        if (party(end, *winner_).device == device) media_->impatient(end, false);
}

void Call::bye(End to) {
    Party there = party(to, *winner_);
    there.path.clear();
    Courier::send_off(core_, own_request("BYE", to), std::move(there));
}

void Call::on_media_lost(End end, const std::string &why) {
    log_info("bridge: " + name() + ": media: " + why);
    hang_up(end == End::caller ? "the caller's media is gone" : "the callee's media is gone");
}

// How long, how much and why.
void Call::tell_end(const std::string &why) const {
    auto fields =
        Json::object().add("reason", why).add("from", caller_.name).add("to", request_.request_uri());
    const auto ms = std::chrono::duration_cast<Duration>(core_.loop.now() - (winner_ ? answered_ : started_));
    std::string text = "ended after " + format_seconds(ms) + (winner_ ? "" : " without an answer");
    fields.add(winner_ ? "talk_ms" : "ring_ms", ms.count());
    if (media_ && core_.settings.rtpengines.empty()) { // it counts them, we do not
        const auto caller = media_->facts(End::caller), callee = media_->facts(End::callee);
        fields.add("packets_from_caller", caller.packets_in).add("packets_from_callee", callee.packets_in);
        if (winner_)
            text += ", " + std::to_string(caller.packets_in) + " packets from " + caller_.name + " and " +
                    std::to_string(callee.packets_in) + " from " + branches_[*winner_].target.party.name;
    }
    if (winner_) fields.add("by", branches_[*winner_].target.party.name);
    tell("bridge.ended", text + ": " + why, fields);
}

void Call::over(const std::string &why) {
    if (std::exchange(over_, true)) return;
    const auto keep = shared_from_this();
    linger_.cancel();
    renew_again_.cancel();
    serial_.clear();
    if (invite_) tell_end(why);
    drop_exchanges();
    if (claimed_ && !winner_) refuse_answer(claimed_->first, branches_[claimed_->first].last);
    leave();
}

// What is still asked for inside the dialog (RFC 3261 §15.1.2).
void Call::drop_exchanges() {
    for (const auto &exchange : exchanges_) {
        if (exchange->server.answered()) continue;
        const auto method = exchange->request.method();
        if (exchange->courier) exchange->courier->cancel({});
        exchange->cancelled = true;
        exchange->server.respond(method == sip::Method::bye      ? 200
                                 : method == sip::Method::invite ? 487
                                                                 : 481);
    }
}

// Somebody who was called off may have answered at the same moment, and is to be hung up on.
void Call::answered_late(unsigned index, const sip::Message &response) {
    if (invite_ && response.status() / 100 == 2 && (!winner_ || !claim(index, response)))
        refuse_answer(index, response);
    static_cast<void>(fork_.received(index, response.status()));
    if (response.status() >= 200) leave();
}

void Call::leave() {
    const bool awaited =
        invite_ && std::ranges::any_of(branches_, [this](const Branch &branch) {
            return branch.courier && fork_.pending(static_cast<std::size_t>(&branch - branches_.data()));
        });
    if (awaited || std::exchange(left_, true)) return;
    core_.loop.post([weak = weak_from_this()] {
        if (const auto keep = weak.lock()) keep->host_.on_over(keep);
    });
}

} // namespace offhook::bridge
