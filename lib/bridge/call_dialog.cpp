// Requests inside the dialog of a Call.
#include <algorithm>

#include "base/log.hpp"
#include "base/random.hpp"
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

} // namespace

std::optional<End> Call::sender(const sip::Message &request) const {
    if (request.call_id() != call_id_) return {};
    const std::string from = tag_in(request.from()), to = tag_in(request.to());
    const auto known = [&](const std::string &tag) {
        return std::ranges::any_of(branches_, [&](const Branch &b) { return b.dialogs.known(tag); }) ||
               (!invite_ && makes_dialog_); // a NOTIFY may overtake the 2xx that tells the tag
    };
    if (from == caller_tag_ && (hidden_ ? to == hidden_->shown() : known(to))) return End::caller;
    if (to == caller_tag_ && known(from)) return End::callee;
    return {};
}

Party &Call::party(End end, unsigned branch) {
    return end == End::caller ? caller_ : branches_[branch].target.party;
}

unsigned Call::branch_of(std::string_view tag) const {
    const auto found = std::ranges::find_if(branches_, [&](const Branch &b) { return b.dialogs.known(tag); });
    return found != branches_.end() ? static_cast<unsigned>(found - branches_.begin()) : winner_.value_or(0);
}

CalleeDialog &Call::dialog_of(const Exchange &exchange) {
    return branches_[exchange.branch].dialogs.at(exchange.tag);
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
    std::string tag = *from == End::callee ? tag_in(request.from()) : tag_in(request.to());
    if (*from == End::caller && hidden_) tag = hidden_->outside(tag);
    auto exchange = std::make_shared<Exchange>(
        Exchange{.server = server, .request = request, .from = *from, .branch = branch_of(tag), .tag = tag});
    if (!belongs_to(party(*from, exchange->branch), request, flow)) {
        if (!ack) server.respond(481);
        return;
    }
    if (*from == End::caller)
        caller_cseq_ = std::max(caller_cseq_, number_of(request));
    else
        callee_cseq_ = std::max(callee_cseq_, number_of(request));
    if (ack) return forward_ack(*exchange);
    if (max_forwards(request) == 0) return server.respond(483);
    if (anchored(exchange->branch) && describes(request) && has_parts(request))
        return server.respond(sip::Draft::response(request, 415).add("Accept", "application/sdp"));
    if (serve_here(exchange)) return;
    exchanges_.push_back(exchange);
    if (renewing_ && has_sdp(request)) return waiting_.push_back(exchange);
    forward(exchange);
}

// The browser knows one tag, and where the fork is that it heard of first.
void Call::address_fork(sip::Draft &draft, const Exchange &exchange) {
    if (!hidden_) return;
    if (exchange.from == End::callee) return set_tag(draft, "From", hidden_->shown());
    const CalleeDialog &dialog = dialog_of(exchange);
    set_tag(draft, "To", dialog.tag);
    if (!dialog.contact.empty()) draft.uri = dialog.contact;
    draft.erase("Route");
    for (const auto &route : dialog.routes)
        draft.add("Route", route);
}

// The response as the asker expects it.
void Call::disguise(sip::Draft &response, const sip::Message &request, const Party &asker) const {
    if (hidden_ || names_sips(request)) restore_names(response, request);
    const bool caller = &asker == &caller_;
    if (const auto to = sip::NameAddr::parse(response.get("To"));
        hidden_ && caller && to && !to->tag().empty())
        set_tag(response, "To", hidden_->shown());
    if (!asker.web) return;
    core_.hidden.inward(response, party_id(asker));
    if ((response.status == 401 || response.status == 407) && !keep_md5_challenges(response))
        log_warning("bridge: " + std::string(request.method_token()) +
                    " is challenged for what browsers' phones cannot answer: expected MD5");
}

// A request of one end as the other one may see it.
sip::Draft Call::passed_on(const Exchange &exchange) {
    auto draft = forwardable(
        exchange.request, [this](const sip::Uri &uri) { return core_.is_ours(uri); }, core_.realm());
    const Party &from = party(exchange.from, exchange.branch),
                &to = party(other(exchange.from), exchange.branch);
    address_fork(draft, exchange);
    if (from.web) core_.hidden.outward(draft);
    if (to.web) core_.hidden.inward(draft, party_id(to));
    if (to.web) without_sips(draft);
    return draft;
}

void Call::forward_ack(const Exchange &exchange) {
    const auto &ack = exchange.request;
    const End from = exchange.from;
    if (own_answer_ == std::pair(from, number_of(ack)) || max_forwards(ack) == 0) return;
    auto draft = passed_on(exchange);
    if (const auto raised = invite_raised_[index(from)]; raised != 0)
        draft.set("CSeq", std::to_string(number_of(ack) + raised) + " ACK");
    dress_request(draft, from, exchange.branch);
    if (!std::exchange(acknowledged_, true))
        for (const End end : {End::caller, End::callee})
            if (key_frame_due_[index(end)]) on_key_frame_wanted(end);
    if (ack_answers_ && ack_answer_from_ == from) return answer_in_ack(exchange, std::move(draft));
    serial_.add([this, to = party(other(from), exchange.branch), number = number_of(ack),
                 anchored = anchored(exchange.branch),
                 draft = std::move(draft)](const Serial::Next &next) mutable {
        if (anchored && !draft.body.empty()) { // the answer again, or one to nothing
            draft.body = number == acked_.first ? acked_.second : std::string();
            if (draft.body.empty()) strip_body(draft);
        }
        send_ack(core_, to, std::move(draft));
        next();
    });
    if (from == End::caller && std::exchange(renewal_due_, false)) renew({from, false});
}

// The ACK goes out whatever its answer is worth: who waits for it would repeat its offer.
void Call::answer_in_ack(const Exchange &exchange, sip::Draft draft) {
    ack_answers_ = false;
    serial_.add([this, from = exchange.from, branch = exchange.branch, number = number_of(exchange.request),
                 draft = std::move(draft)](const Serial::Next &next) {
        const auto done = [this, from, branch, number, draft, next](const Result<std::string> &sdp) {
            auto out = draft;
            if (sdp) {
                described_[index(from)] = std::exchange(out.body, *sdp);
                acked_ = {number, *sdp};
            } else {
                strip_body(out);
            }
            send_ack(core_, party(other(from), branch), std::move(out));
            if (!sdp) {
                told_unusable(from, branch, sdp.error());
                hang_up("what " + party(from, branch).name + " answered cannot be used: " + sdp.error().what);
            }
            next();
        };
        if (draft.body.empty()) return done(fail(Errc::media, "the ACK has no answer", 488));
        media_->answer(from, branch, draft.body, done);
    });
}

// Of the side that an exchange is meant for.
std::string Call::contact_beyond(const Exchange &exchange) const {
    const Party &asker = exchange.from == End::caller ? caller_ : branches_[exchange.branch].target.party;
    if (asker.line != nullptr) return "<" + asker.line->contact(asker.flow) + ">";
    return exchange.from == End::caller ? "<" + branches_[exchange.branch].dialogs.current().contact + ">"
                                        : std::string(request_.value(HeaderId::contact));
}

bool Call::serve_here(const ExchangePtr &exchange) {
    const auto &request = exchange->request;
    if (request.method() == Method::info && (take_digit(exchange) || take_media_control(exchange)))
        return true;
    return refresh_here(exchange);
}

bool Call::take_digit(const ExchangePtr &exchange) {
    const auto &request = exchange->request;
    if (!anchored(exchange->branch) || party(other(exchange->from), exchange->branch).web) return false;
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
    if (!anchored(exchange->branch) || !asks || !media_->request_key_frame(other(exchange->from)))
        return false;
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
    fix_timers_towards_browser(ok, request, session_seconds_);
    ok.set_body("application/sdp", *answer);
    if (request.method() == Method::invite) own_answer_ = {exchange->from, number_of(request)};
    exchange->server.respond(ok);
    exchanges_.remove(exchange);
    return true;
}

// One offer at a time (RFC 3261 §14.2, RFC 3311 §5.2): two on their way at once would be taken for each
// other's.
bool Call::collides(const ExchangePtr &exchange) {
    const auto open = std::ranges::find_if(exchanges_, [&](const ExchangePtr &e) {
        return e != exchange && e->offered && !e->answer && !e->cancelled;
    });
    if (open == exchanges_.end() && !ack_answers_) return false;
    const bool own = open != exchanges_.end() && (*open)->from == exchange->from;
    auto later = sip::Draft::response(exchange->request, own ? 500 : 491);
    if (own) later.add("Retry-After", std::to_string(random_u32() % 10));
    exchange->server.respond(later);
    exchanges_.remove(exchange);
    return true;
}

void Call::forward(const ExchangePtr &exchange) {
    const auto &request = exchange->request;
    const bool described = anchored(exchange->branch) && describes(request) && has_sdp(request);
    if (described && !exchange->offered && collides(exchange)) return;
    auto draft = passed_on(*exchange);
    count_on(exchange, draft);
    dress_request(draft, exchange->from, exchange->branch);
    const bool to_web = party(other(exchange->from), exchange->branch).web;
    const bool from_web = party(exchange->from, exchange->branch).web;
    if (to_web) drop_token(draft, "Supported", "100rel");
    if (from_web && !to_web) fix_timers_towards_phone(draft, session_seconds_);
    if (described && from_web && restart_ice(exchange)) return;
    if (describes(request)) refreshed_ = core_.loop.now();
    if (!described) return send(exchange, std::move(draft));
    forward_description(exchange, std::move(draft));
}

void Call::forward_description(const ExchangePtr &exchange, sip::Draft draft) {
    // Only in a PRACK: the offer was in what it acknowledges (RFC 3262 §5).
    const bool answers = exchange->request.method() == Method::prack && !winner_ && !has_sdp(request_);
    exchange->offered = !answers;
    serial_.add([this, exchange, answers, draft = std::move(draft)](const Serial::Next &next) {
        const auto done = [this, exchange, draft, next](Result<std::string> sdp) mutable {
            if (sdp) {
                draft.body = *sdp;
                send(exchange, std::move(draft));
            } else {
                exchange->server.respond(sdp.error().sip != 0 ? sdp.error().sip : 488);
                exchanges_.remove(exchange);
            }
            next();
        };
        if (answers)
            media_->answer(exchange->from, exchange->branch, draft.body, done);
        else
            media_->offer(exchange->from, exchange->branch, draft.body, done);
    });
}

void Call::send(const ExchangePtr &exchange, sip::Draft draft) {
    if (exchange->request.method() == Method::update && has_sdp(exchange->request) && winner_ &&
        !knows_update(*exchange)) {
        as_invite(draft);
        exchange->as_invite = true;
    }
    if (exchange->cancelled) return; // while its description was being made
    exchange->sent = draft;
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

} // namespace offhook::bridge
