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

// RFC 3261 §12.2.1.1: the numbers that one side sees only rise.
void Call::count_on(const ExchangePtr &exchange, sip::Draft &draft) {
    const auto &request = exchange->request;
    const std::uint32_t raise = inserted_[index(exchange->from)];
    if (request.method() == sip::Method::invite) invite_raised_[index(exchange->from)] = raise;
    const auto cseq = request.cseq();
    if (raise == 0 || !cseq) return;
    draft.set("CSeq", std::to_string(cseq->number + raise) + " " + std::string(request.method_token()));
    exchange->counted_on = true;
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
    const std::uint32_t number = (callee ? caller_cseq_ : callee_cseq_) + ++inserted_[index(other(to))];
    draft.add("CSeq", std::to_string(number) + " " + std::string(method));
    draft.add("Max-Forwards", "70");
    if (upstream_ && party(to, *winner_).line != nullptr) upstream_->outward(draft, callee);
    return draft;
}

void Call::bye(End to) {
    Courier::Order order;
    order.draft = own_request("BYE", to);
    order.to = party(to, *winner_);
    order.to.path.clear();
    // Outlives the call: it keeps itself until the outcome is known.
    const auto holder = std::make_shared<std::shared_ptr<Courier>>();
    order.response = [holder](const sip::Message &response, const sip::Flow &) {
        if (response.status() >= 200) holder->reset();
    };
    order.failure = [holder](const Error &) { holder->reset(); };
    *holder = Courier::send(core_, std::move(order));
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
        core_.loop.post([keep = shared_from_this(), from] { keep->info_[index(from)].reset(); });
    };
    order.failure = [this, from](const Error &error) {
        log_debug("bridge: INFO: " + error.what);
        core_.loop.post([keep = shared_from_this(), from] { keep->info_[index(from)].reset(); });
    };
    courier = Courier::send(core_, std::move(order));
}

void Call::renew() {
    renewing_ = true;
    serial_.add([this](const Serial::Next &next) {
        const auto &dialog = branches_[*winner_].dialogs.current();
        media_->offer(End::callee, *winner_, dialog.answer, [this, next](const Result<std::string> &sdp) {
            if (sdp) {
                send_renewal(*sdp);
            } else {
                log_warning("bridge: the caller cannot be offered what was answered: " + sdp.error().what);
                end_renewal();
            }
            next();
        });
    });
}

void Call::send_renewal(const std::string &sdp) {
    Courier::Order order;
    order.draft = own_request("INVITE", End::caller);
    order.draft.add("Contact", "<" + branches_[*winner_].dialogs.current().contact + ">");
    order.draft.set_body("application/sdp", sdp);
    order.to = caller_;
    order.wait = true;
    order.response = [this, invite = order.draft](const sip::Message &response, const sip::Flow &) {
        if (!over_ && response.status() >= 200) on_renewal(invite, response);
    };
    order.failure = [this](const Error &error) {
        if (over_) return;
        log_debug("bridge: the caller was not offered anew: " + error.what);
        media_->roll_back(*winner_);
        end_renewal();
    };
    renewal_ = Courier::send(core_, std::move(order));
}

void Call::on_renewal(const sip::Draft &invite, const sip::Message &response) {
    const bool accepted = response.status() < 300;
    if (accepted) send_ack(core_, caller_, ack_of(invite, response));
    if (!renewing_) return; // it was repeated
    if (accepted && has_sdp(response))
        media_->answer(End::caller, *winner_, std::string(response.body()),
                       [](const Result<std::string> &sdp) {
                           if (!sdp)
                               log_warning("bridge: the caller's answer cannot be used: " + sdp.error().what);
                       });
    else
        media_->roll_back(*winner_);
    if (response.status() == 491) // RFC 3261 §14.1
        renew_again_.start(Duration{random_u32() % 200 * 10}, [this] {
            if (!renewing_) renew();
        });
    else if (!accepted)
        log_warning("bridge: the caller refuses to be offered anew: " + std::to_string(response.status()));
    end_renewal();
}

void Call::end_renewal() {
    renewing_ = false;
    for (const auto &exchange : std::exchange(waiting_, {}))
        forward(exchange);
}

} // namespace offhook::bridge
