// Requests of our own inside the dialog of a Call, in the name of one end: BYE, and the INFO that asks for a
// key frame. What that end sends afterwards is counted on.
#include "base/log.hpp"
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
    const Branch &branch = branches_[*winner_];
    const std::string contact =
        to == End::callee ? branch.contact : std::string(raw_uri(request_.value(HeaderId::contact)));
    auto draft = sip::Draft::request(method, contact);
    const bool callee = to == End::callee;
    if (callee) {
        for (const auto &route : branch.routes)
            draft.add("Route", route);
    } else {
        for (const auto element : request_.list(HeaderId::record_route))
            draft.add("Route", element);
    }
    draft.add("From", callee ? request_.value(HeaderId::from) : std::string_view(branch.to));
    draft.add("To", callee ? std::string_view(branch.to).empty() ? request_.value(HeaderId::to)
                                                                 : std::string_view(branch.to)
                           : request_.value(HeaderId::from));
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
    const bool allowed =
        from == End::callee ? branches_[*winner_].allows_info : request_.lists_token(HeaderId::allow, "INFO");
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

} // namespace offhook::bridge
