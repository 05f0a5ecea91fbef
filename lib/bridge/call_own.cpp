// Requests of our own inside the dialog of a Call, in the name of one end: BYE, and the INFO that asks for a
// key frame. What that end sends afterwards is counted on.
#include <utility>

#include "base/log.hpp"
#include "base/random.hpp"
#include "bridge/call.hpp"
#include "bridge/rewrite.hpp"

namespace offhook::bridge {

namespace {

using sip::HeaderId;

// RFC 5168 §5
constexpr std::string_view fast_update =
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<media_control><vc_primitive><to_encoder>"
    "<picture_fast_update/></to_encoder></vc_primitive></media_control>\r\n";

} // namespace

void Call::info_done(End from) {
    core_.loop.post([weak = weak_from_this(), from] {
        if (const auto keep = weak.lock()) keep->info_[index(from)].reset();
    });
}

// RFC 3261 §12.2.1.1: the numbers that one side sees only rise.
void Call::count_on(const ExchangePtr &exchange, sip::Draft &draft) {
    const auto &request = exchange->request;
    const std::uint32_t raise = raise_of(exchange->from, exchange->branch);
    if (request.method() == sip::Method::invite) invite_raised_[index(exchange->from)] = raise;
    const auto cseq = request.cseq();
    if (raise == 0 || !cseq) return;
    draft.set("CSeq", std::to_string(cseq->number + raise) + " " + std::string(request.method_token()));
    exchange->counted_on = true;
    raise_rack(draft, raise);
}

std::uint32_t Call::raise_of(End from, unsigned branch) const {
    return inserted_[index(from)] + (from == End::caller ? branches_[branch].raised : 0);
}

// In the name of the other end.
sip::Draft Call::own_request(std::string_view method, End to) {
    const CalleeDialog &dialog = branches_[*winner_].dialogs.current();
    const std::string contact =
        to == End::callee ? dialog.contact : std::string(raw_uri(request_.value(HeaderId::contact)));
    auto draft = sip::Draft::request(method, contact);
    const bool callee = to == End::callee;
    if (callee) {
        for (const auto &route : dialog.routes)
            draft.add("Route", route);
    } else {
        for (const auto element : request_.list(HeaderId::record_route))
            draft.add("Route", element);
    }
    draft.add("From", callee ? request_.value(HeaderId::from) : std::string_view(dialog.to));
    draft.add("To", callee ? std::string_view(dialog.to).empty() ? request_.value(HeaderId::to)
                                                                 : std::string_view(dialog.to)
                           : request_.value(HeaderId::from));
    if (!callee && hidden_) set_tag(draft, "From", hidden_->shown());
    draft.add("Call-ID", call_id_);
    ++inserted_[index(other(to))];
    const std::uint32_t number = (callee ? caller_cseq_ : callee_cseq_) + raise_of(other(to), *winner_);
    draft.add("CSeq", std::to_string(number) + " " + std::string(method));
    draft.add("Max-Forwards", "70");
    if (upstream_ && party(to, *winner_).line != nullptr) upstream_->outward(draft, callee);
    return draft;
}

// By INFO, where RTCP feedback may not be understood; one at a time, and never again to whoever refuses it.
void Call::on_key_frame_wanted(End from) {
    if (over_) return;
    key_frame_due_[index(from)] = !acknowledged_;
    auto &courier = info_[index(from)];
    if (!winner_ || !acknowledged_ || courier || info_refused_[index(from)]) return;
    const bool allowed = from == End::callee ? branches_[*winner_].dialogs.current().allows_info
                                             : request_.lists_token(HeaderId::allow, "INFO");
    if (!allowed) return;
    Courier::Order order;
    order.draft = own_request("INFO", from);
    order.draft.set_body("application/media_control+xml", std::string(fast_update));
    order.to = party(from, *winner_);
    order.to.path.clear();
    order.response = [this, from](const sip::Message &response, const sip::Flow &) {
        if (response.status() < 200) return;
        info_refused_[index(from)] = response.status() >= 300;
        info_done(from);
    };
    order.failure = [this, from](const Error &error) {
        log_debug("bridge: INFO: " + error.what);
        info_done(from);
    };
    courier = Courier::send(core_, std::move(order));
}

void Call::renew(Renewal renewal) {
    renewing_ = renewal;
    renewal_answered_ = false;
    serial_.add([this, renewal](const Serial::Next &next) {
        const End from = other(renewal.to);
        media_->offer(from, *winner_, described_[index(from)], [this, next](const Result<std::string> &sdp) {
            if (sdp)
                send_renewal(*sdp);
            else
                not_renewed(sdp.error().what);
            next();
        });
    });
}

void Call::send_renewal(const std::string &sdp) {
    const Renewal renewal = *renewing_;
    const End to = renewal.to;
    Courier::Order order;
    order.draft = own_request("INVITE", to);
    order.draft.add("Contact", "<" + contact_of(other(to), *winner_) + ">");
    order.draft.set_body("application/sdp", sdp);
    order.to = party(to, *winner_);
    order.to.path.clear();
    order.wait = true;
    if (const auto *line = order.to.line; line != nullptr)
        order.prepare = [this, line](sip::Draft &out, const sip::Flow &flow) {
            show_contact(out, *line, flow);
        };
    order.response = [this, renewal, invite = order.draft](const sip::Message &response, const sip::Flow &) {
        if (!over_ && response.status() >= 200) on_renewal(renewal, invite, response);
    };
    order.failure = [this](const Error &error) {
        if (over_) return;
        media_->roll_back(*winner_);
        not_renewed(error.what);
    };
    renewing_courier_ = Courier::send(core_, std::move(order));
}

void Call::on_renewal(const Renewal &renewal, const sip::Draft &invite, const sip::Message &response) {
    const auto keep = shared_from_this();
    const bool accepted = response.status() < 300;
    if (accepted) send_ack(core_, party(renewal.to, *winner_), ack_of(invite, response));
    if (std::exchange(renewal_answered_, true)) return; // it was repeated
    if (accepted && has_sdp(response)) {
        serial_.add([this, renewal, sdp = std::string(response.body())](const Serial::Next &next) {
            media_->answer(renewal.to, *winner_, sdp,
                           [this, renewal, sdp, next](const Result<std::string> &out) {
                               if (out) {
                                   described_[index(renewal.to)] = sdp;
                                   end_renewal();
                               } else {
                                   media_->roll_back(*winner_);
                                   not_renewed("its answer cannot be used: " + out.error().what);
                               }
                               next();
                           });
        });
        return;
    }
    media_->roll_back(*winner_);
    if (response.status() == 491) { // RFC 3261 §14.1
        renew_again_.start(Duration{random_u32() % 200 * 10}, [this, renewal] {
            if (!renewing_) renew(renewal);
        });
        return end_renewal();
    }
    not_renewed("it said " + std::to_string(response.status()));
}

void Call::not_renewed(const std::string &why) {
    const Renewal renewal = *renewing_;
    const std::string &who = party(renewal.to, *winner_).name;
    log_warning("bridge: " + name() + ": " + who + " cannot be offered anew: " + why);
    if (renewal.needed) return hang_up("what " + who + " answered cannot be used");
    end_renewal();
}

void Call::end_renewal() {
    renewing_.reset();
    for (const auto &exchange : std::exchange(waiting_, {}))
        if (!exchange->cancelled) forward(exchange);
}

} // namespace offhook::bridge
