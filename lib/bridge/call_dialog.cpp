// Requests inside the dialog of a Call.
#include <algorithm>

#include "base/log.hpp"
#include "bridge/call.hpp"
#include "bridge/cluster.hpp"
#include "bridge/rewrite.hpp"
#include "bridge/upstream_lines.hpp"
#include "media/dtmf.hpp"
#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

using sip::HeaderId;
using sip::Method;

// A re-INVITE refreshes the session too: not all of them may end here (fix_timers_towards_phone()).
constexpr std::chrono::minutes refresh_at_least{10};

std::string tag_in(const Result<sip::NameAddr> &address) {
    return address ? std::string(address->tag()) : std::string();
}

std::uint32_t number_of(const sip::Message &message) {
    return message.cseq().value_or(sip::CSeq{}).number;
}

bool ends_subscription(const sip::Message &request) {
    return request.method() == Method::notify &&
           request.value(HeaderId::subscription_state).starts_with("terminated");
}

} // namespace

std::optional<End> Call::sender(const sip::Message &request) const {
    if (request.call_id() != call_id_) return {};
    const std::string from = tag_in(request.from()), to = tag_in(request.to());
    const auto known = [&](const std::string &tag) {
        return std::ranges::any_of(branches_, [&](const Branch &b) { return b.tag == tag; }) ||
               (!invite_ && makes_dialog_); // a NOTIFY may overtake the 2xx that tells the tag
    };
    if (from == caller_tag_ && known(to)) return End::caller;
    if (to == caller_tag_ && known(from)) return End::callee;
    return {};
}

Party &Call::party(End end, unsigned branch) {
    return end == End::caller ? caller_ : branches_[branch].target.party;
}

unsigned Call::branch_of(const sip::Message &request, End from) const {
    const std::string tag = from == End::caller ? tag_in(request.to()) : tag_in(request.from());
    const auto found = std::ranges::find(branches_, tag, &Branch::tag);
    if (found != branches_.end()) return static_cast<unsigned>(found - branches_.begin());
    return winner_.value_or(0);
}

// A browser speaks for its own calls only: over its connection, or over the one it came back with, here or at
// another bridge.
bool Call::belongs_to(Party &party, const sip::Message &request, const sip::Flow &flow) {
    if (!party.web) {
        if (sip::is_stream(flow.kind) || !sip::is_stream(party.flow.kind)) party.flow = flow;
        return true;
    }
    if (party.flow.kind == flow.kind && party.flow.connection == flow.connection) return true;
    if (!is_web(flow.kind))
        return core_.cluster != nullptr && core_.cluster->brought(request, flow, party.device);
    const Binding *binding = core_.location.by_flow(flow);
    const bool same_device = binding != nullptr && binding->device == party.device;
    // Back again, and not registered yet: the tags are its proof, as nobody else is connected as this device.
    if (!same_device && (binding != nullptr || core_.transports().alive(party.flow))) return false;
    party.flow = flow;
    return true;
}

void Call::in_dialog(const sip::Message &request, const sip::Flow &flow,
                     const sip::ServerTransaction &server) {
    const auto keep = shared_from_this();
    const auto from = sender(request);
    const bool ack = request.method() == Method::ack;
    if (!from || over_ || branches_.empty()) {
        if (!ack) server.respond(481);
        return;
    }
    const unsigned branch = branch_of(request, *from);
    if (!belongs_to(party(*from, branch), request, flow)) {
        if (!ack) server.respond(481);
        return;
    }
    if (*from == End::caller)
        caller_cseq_ = std::max(caller_cseq_, number_of(request));
    else
        callee_cseq_ = std::max(callee_cseq_, number_of(request));
    if (ack) return forward_ack(request, *from, branch);
    if (max_forwards(request) == 0) return server.respond(483);
    auto exchange = std::make_shared<Exchange>(Exchange{server, request, *from, branch, {}, false});
    if (serve_here(exchange)) return;
    exchanges_.push_back(exchange);
    forward(exchange);
}

void Call::forward_ack(const sip::Message &ack, End from, unsigned branch) {
    if (own_answer_ == std::pair(from, number_of(ack))) return;
    auto draft = forwardable(
        ack, [this](const sip::Uri &uri) { return core_.is_ours(uri); }, core_.realm());
    if (const auto raised = invite_raised_[index(from)]; raised != 0)
        draft.set("CSeq", std::to_string(number_of(ack) + raised) + " ACK");
    dress_request(draft, from, branch);
    if (!std::exchange(acknowledged_, true))
        for (const End end : {End::caller, End::callee})
            if (key_frame_due_[index(end)]) on_key_frame_wanted(end);
    const Party to = party(other(from), branch);
    const auto send = [core = &core_, to](sip::Draft out) { send_ack(*core, to, std::move(out)); };
    const bool answers = ack_answers_ && ack_answer_from_ == from && has_sdp(ack) && media_;
    if (!answers) {
        serial_.add([send, draft = std::move(draft)](const Serial::Next &next) {
            send(draft);
            next();
        });
        return;
    }
    ack_answers_ = false;
    serial_.add([this, send, from, branch, draft = std::move(draft)](const Serial::Next &next) {
        media_->answer(from, branch, draft.body, [send, draft, next](Result<std::string> sdp) mutable {
            if (sdp) draft.body = *sdp;
            send(std::move(draft));
            next();
        });
    });
}

// Of the side that an exchange is meant for.
std::string Call::contact_beyond(const Exchange &exchange) const {
    const Party &asker = exchange.from == End::caller ? caller_ : branches_[exchange.branch].target.party;
    if (asker.line != nullptr) return "<" + asker.line->contact(asker.flow) + ">";
    return exchange.from == End::caller ? "<" + branches_[exchange.branch].contact + ">"
                                        : std::string(request_.value(HeaderId::contact));
}

bool Call::serve_here(const ExchangePtr &exchange) {
    const auto &request = exchange->request;
    if (request.method() == Method::info && (take_digit(exchange) || take_media_control(exchange)))
        return true;
    // A session refresh for a peer that does not know UPDATE (JsSIP sends it whatever Allow says).
    if (request.method() != Method::update || has_sdp(request)) return false;
    const bool known = exchange->from == End::callee || branches_[exchange->branch].allows_update;
    const bool caller_knows = exchange->from == End::caller || !request_.has(HeaderId::allow) ||
                              request_.lists_token(HeaderId::allow, "UPDATE");
    if (known && caller_knows) return false;
    auto ok = sip::Draft::response(request, 200);
    if (request.has(HeaderId::session_expires))
        ok.add("Session-Expires", request.value(HeaderId::session_expires)).add("Require", "timer");
    ok.add("Contact", contact_beyond(*exchange));
    exchange->server.respond(ok);
    return true;
}

bool Call::take_digit(const ExchangePtr &exchange) {
    const auto &request = exchange->request;
    if (!media_ || party(other(exchange->from), exchange->branch).web) return false;
    const auto digit = media::parse_dtmf_info(request.value(HeaderId::content_type), request.body());
    if (!digit || !media_->send_digit(other(exchange->from), digit->digit, digit->length)) return false;
    exchange->server.respond(200);
    return true;
}

// RFC 5168: "picture_fast_update". A browser knows it as RTCP alone; a phone may understand both.
bool Call::take_media_control(const ExchangePtr &exchange) {
    const auto &request = exchange->request;
    const bool asks = request.value(HeaderId::content_type).find("media_control") != std::string_view::npos &&
                      request.body().find("picture_fast_update") != std::string_view::npos;
    if (!media_ || !asks || !media_->request_key_frame(other(exchange->from))) return false;
    if (!party(other(exchange->from), exchange->branch).web) return false;
    exchange->server.respond(200);
    return true;
}

// A browser on another network starts ICE anew, between itself and us.
bool Call::restart_ice(const ExchangePtr &exchange) {
    if (core_.loop.now() - refreshed_ > refresh_at_least) return false;
    const auto &request = exchange->request;
    const auto answer = media_->restart(exchange->from, exchange->branch, std::string(request.body()));
    if (!answer) return false;
    auto ok = sip::Draft::response(request, 200);
    ok.add("Contact", contact_beyond(*exchange));
    fix_timers_towards_browser(ok, request);
    ok.set_body("application/sdp", *answer);
    if (request.method() == Method::invite) own_answer_ = {exchange->from, number_of(request)};
    exchange->server.respond(ok);
    exchanges_.remove(exchange);
    return true;
}

void Call::forward(const ExchangePtr &exchange) {
    const auto &request = exchange->request;
    auto draft = forwardable(
        request, [this](const sip::Uri &uri) { return core_.is_ours(uri); }, core_.realm());
    count_on(exchange, draft);
    dress_request(draft, exchange->from, exchange->branch);
    const bool to_web = party(other(exchange->from), exchange->branch).web;
    const bool from_web = party(exchange->from, exchange->branch).web;
    if (to_web) drop_token(draft, "Supported", "100rel");
    if (from_web && !to_web) fix_timers_towards_phone(draft);
    const bool describes = request.method() == Method::invite || request.method() == Method::update;
    if (media_ && describes && from_web && has_sdp(request) && restart_ice(exchange)) return;
    if (describes) refreshed_ = core_.loop.now();
    if (!media_ || !describes || !has_sdp(request)) return send(exchange, std::move(draft));
    exchange->offered = true;
    serial_.add([this, exchange, draft = std::move(draft)](const Serial::Next &next) {
        media_->offer(exchange->from, exchange->branch, draft.body,
                      [this, exchange, draft, next](Result<std::string> sdp) mutable {
                          if (sdp) {
                              draft.body = *sdp;
                              send(exchange, std::move(draft));
                          } else {
                              exchange->server.respond(sdp.error().sip != 0 ? sdp.error().sip : 488);
                              exchanges_.remove(exchange);
                          }
                          next();
                      });
    });
}

void Call::send(const ExchangePtr &exchange, sip::Draft draft) {
    Courier::Order order;
    order.draft = std::move(draft);
    order.to = party(other(exchange->from), exchange->branch);
    order.to.path.clear(); // the route set of the dialog is in the request
    order.wait = true;
    if (const auto *line = order.to.line; line != nullptr)
        order.prepare = [this, line](sip::Draft &out, const sip::Flow &flow) {
            show_contact(out, *line, flow);
        };
    const std::weak_ptr<Exchange> weak = exchange; // the exchange owns the courier
    order.response = [this, weak](const sip::Message &response, const sip::Flow &flow) {
        if (const auto known = weak.lock()) on_reply(known, response, flow);
    };
    order.failure = [this, weak](const Error &error) {
        if (const auto known = weak.lock()) on_reply_failure(known, error);
    };
    exchange->courier = Courier::send(core_, std::move(order));
}

void Call::on_reply(const ExchangePtr &exchange, const sip::Message &response, const sip::Flow &flow) {
    const auto keep = shared_from_this();
    if (over_ && response.status() < 200) return;
    Party &answerer = party(other(exchange->from), exchange->branch);
    if (answerer.web == is_web(flow.kind)) answerer.flow = flow;
    if (answerer.line != nullptr) upstream_->answered(response);
    if (refused_line(response.status(), other(exchange->from), exchange->branch))
        return on_reply_failure(exchange, {Errc::authentication, "refused by the upstream", 403});
    auto draft = backward(response);
    dress_response(draft, exchange->request, exchange->from, exchange->branch);
    if (exchange->counted_on) draft.set("CSeq", exchange->request.value(HeaderId::cseq));
    const bool invite = exchange->request.method() == Method::invite;
    if (party(exchange->from, exchange->branch).web) fix_timers_towards_browser(draft, exchange->request);
    if (response.status() >= 300 && exchange->offered && media_) media_->roll_back(exchange->branch);
    const bool describes = media_ && has_sdp(response) && response.status() < 300 &&
                           (invite || exchange->request.method() == Method::update);
    if (!describes) {
        serial_.add([this, exchange, draft = std::move(draft)](const Serial::Next &next) {
            reply(exchange, draft);
            next();
        });
        return;
    }
    if (!exchange->offered && invite) {
        ack_answers_ = true;
        ack_answer_from_ = exchange->from;
    }
    serial_.add([this, exchange, draft = std::move(draft)](const Serial::Next &next) {
        const auto done = [this, exchange, draft, next](Result<std::string> sdp) mutable {
            if (sdp) draft.body = *sdp;
            reply(exchange, std::move(draft));
            next();
        };
        const End by = other(exchange->from);
        if (exchange->offered)
            media_->answer(by, exchange->branch, draft.body, done);
        else
            media_->offer(by, exchange->branch, draft.body, done);
    });
}

void Call::reply(const ExchangePtr &exchange, sip::Draft draft) {
    const auto keep = shared_from_this();
    exchange->server.respond(draft);
    if (draft.status < 200) return;
    const bool success = draft.status / 100 == 2;
    // A re-INVITE stays for its repeated 2xx; the next one replaces it.
    if (exchange->request.method() != Method::invite || !success) exchanges_.remove(exchange);
    if (exchange->request.method() == Method::invite)
        exchanges_.remove_if([&](const ExchangePtr &e) {
            return e != exchange && e->request.method() == Method::invite && e->server.answered();
        });
    if (exchange->request.method() == Method::bye)
        over(exchange->from == End::caller ? "the caller hung up" : "the callee hung up");
    else if (!invite_ && ends_subscription(exchange->request))
        over("the subscription ended");
}

void Call::on_reply_failure(const ExchangePtr &exchange, const Error &error) {
    const auto keep = shared_from_this();
    log_debug("bridge: " + std::string(exchange->request.method_token()) + ": " + error.what);
    if (exchange->offered && media_) media_->roll_back(exchange->branch);
    // Whoever hangs up on somebody who is gone has done so.
    if (exchange->request.method() == Method::bye) {
        exchange->server.respond(200);
        exchanges_.remove(exchange);
        return over("hung up; the other side could not be reached");
    }
    exchange->server.respond(error.sip == 430 || error.sip == 0 ? 480 : error.sip);
    exchanges_.remove(exchange);
}

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

} // namespace offhook::bridge
