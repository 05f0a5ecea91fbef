// What both sides of a session share: its life and death, requests inside the dialog. The UAC's INVITE is in
// invite_session_uac.cpp, the UAS's in invite_session_uas.cpp, re-INVITEs in invite_session_modify.cpp.
#include "sip/invite_session.hpp"

#include <algorithm>

#include "base/random.hpp"
#include "sip/status.hpp"

namespace offhook::sip {

namespace {

constexpr Duration bye_patience{32'000}; // 64*T1: timer F of the BYE; then the call is over all the same

constexpr unsigned most_first_rseq = 0x3fff'ffff; // RFC 3262 §7.1: room to count up

constexpr std::size_t max_infos = 32; // INFO requests remembered; older ones are answered long ago

} // namespace

InviteSession::InviteSession(UserAgent &ua, Options options, Listener &listener)
    : ua_(ua), options_(std::move(options)), listener_(&listener),
      reliable_(1 + random_below(most_first_rseq)), session_timer_(options_.session_timer),
      success_timer_(ua.loop()), success_limit_(ua.loop()), retry_timer_(ua.loop()), bye_limit_(ua.loop()),
      provisional_timer_(ua.loop()), refresh_timer_(ua.loop()), expiry_timer_(ua.loop()) {}

InviteSession::~InviteSession() {
    listener_ = nullptr;
    if (state_ != DialogState::terminated && !hanging_up_) hang_up();
    if (dialog_) ua_.remove_usage(dialog_->id, *this);
    drop_early_dialogs();
    ua_.unwatch(*this);
}

std::string_view InviteSession::offer() const noexcept {
    return uas_ ? invite_.body() : std::string_view{};
}

void InviteSession::set_dialog(Dialog dialog) {
    if (dialog_) ua_.remove_usage(dialog_->id, *this);
    dialog_ = std::move(dialog);
    ua_.add_usage(dialog_->id, *this);
}

std::string InviteSession::contact_for(const Flow &flow) const {
    return contact_value(ua_, flow, options_.contact_user, options_.public_address, options_.gruu);
}

DialogContext InviteSession::context() const {
    return {
        *dialog_, options_.contact_user, options_.public_address, options_.authenticator, options_.trusted,
        flow_,    options_.gruu};
}

ClientRequest::Options InviteSession::other_request(std::string_view method) {
    DialogContext here = context();
    auto options = here.request(ua_, method);
    dialog_->local_cseq = here.dialog.local_cseq;
    return options;
}

ClientRequest::Options InviteSession::in_dialog(Draft draft) {
    return in_dialog(std::move(draft), *dialog_);
}

ClientRequest::Options InviteSession::in_dialog(Draft draft, const Dialog &dialog) {
    ClientRequest::Options options;
    if (auto next_hop = dialog.next_hop()) options.next_hop = std::move(*next_hop);
    options.transport = flow_.kind;
    if (ua_.leads_to(flow_, options.next_hop)) options.flow = flow_;
    options.authenticator = options_.authenticator;
    options.trusted = options_.trusted && !dialog.route.empty();
    ua_.add_capabilities(draft);
    options.draft = std::move(draft);
    options.prepare = [this](Draft &request, const Flow &flow) {
        if (request.method == "INVITE" || request.method == "UPDATE")
            request.set("Contact", contact_for(flow));
    };
    return options;
}

void InviteSession::hang_up(std::string_view reason_header) {
    if (hanging_up_ || state_ == DialogState::terminated) return;
    if (uas_ && state_ != DialogState::confirmed && !ack_pending_) return reject(603);
    hanging_up_ = true;
    hang_up_reason_ = reason_header;
    if (!uas_ && state_ != DialogState::confirmed) {
        if (invite_request_) invite_request_->cancel(hang_up_reason_);
        return;
    }
    // RFC 3261 §15: the callee must not send BYE before the ACK came (or 64*T1 passed).
    if (!ack_pending_) send_bye(hang_up_reason_);
}

void InviteSession::send_bye(std::string_view reason_header) {
    hanging_up_ = true;
    Draft bye = dialog_->request("BYE");
    if (!reason_header.empty()) bye.add("Reason", reason_header);
    ClientRequest::Options options = in_dialog(std::move(bye));
    if (listener_ == nullptr) { // destroyed while alive: the user agent sees the BYE through
        options.prepare = nullptr;
        return ua_.keep_until_final(std::move(options));
    }
    bye_limit_.start(bye_patience, [this] { finish({.by = SessionEnd::By::local, .status = 200}); });
    bye_request_ = ua_.request(std::move(options), {}, [this](const ClientRequest::Outcome &) {
        finish({.by = SessionEnd::By::local, .status = 200});
    });
}

void InviteSession::finish(SessionEnd end) {
    if (state_ == DialogState::terminated) return;
    apply(DialogEvent::ended);
    success_timer_.cancel();
    success_limit_.cancel();
    retry_timer_.cancel();
    bye_limit_.cancel();
    provisional_timer_.cancel();
    refresh_timer_.cancel();
    expiry_timer_.cancel();
    if (end.reason.empty() && end.status != 0) end.reason = reason_phrase(end.status);
    if (Listener *listener = std::exchange(listener_, nullptr)) listener->on_ended(end);
}

void InviteSession::send_info(std::string_view content_type, std::string_view body,
                              std::function<void(Result<unsigned>)> done) {
    if (state_ != DialogState::confirmed || hanging_up_) {
        ua_.loop().post(
            [done = std::move(done)] { done(fail(Errc::rejected, "the call is not established")); });
        return;
    }
    Draft info = dialog_->request("INFO");
    info.set_body(content_type, body);
    if (info_requests_.size() >= max_infos) info_requests_.erase(info_requests_.begin());
    info_requests_.push_back(ua_.request(in_dialog(std::move(info)), {},
                                         [done = std::move(done)](const ClientRequest::Outcome &outcome) {
                                             if (outcome.response)
                                                 done(outcome.response->status());
                                             else
                                                 done(fail(outcome.response.error()));
                                         }));
}

void InviteSession::on_request(const Message &request, const Flow &flow, ServerTransaction transaction) {
    if (request.method() == Method::ack) return on_ack(request);
    const auto cseq = request.cseq();
    Dialog *dialog = dialog_of(request);
    if (dialog == nullptr) return transaction.respond(481);
    if (!cseq || !dialog->accept_cseq(cseq->number)) return transaction.respond(500, "CSeq out of order");
    if (is_stream(flow.kind) || !is_stream(flow_.kind)) flow_ = flow; // the peer's newest way to us
    switch (request.method()) {
    case Method::bye:
        return on_bye(request, transaction);
    case Method::invite:
        return dialog_ ? on_reinvite(request, transaction) : transaction.respond(491);
    case Method::prack:
        return on_prack(request, transaction);
    case Method::update:
        return on_update(request, transaction, *dialog);
    case Method::info:
        return transaction.respond(listener_ != nullptr ? listener_->on_info(request) : 481);
    case Method::refer:
    case Method::notify:
    case Method::subscribe:
        if (listener_ == nullptr || !dialog_) return transaction.respond(481);
        return listener_->on_other_usage(request, transaction);
    default: { // OPTIONS inside the dialog
        Draft draft = Draft::response(request, 200);
        ua_.add_capabilities(draft);
        draft.set("Accept", "application/sdp");
        transaction.respond(draft);
    }
    }
}

void InviteSession::on_bye(const Message &request, const ServerTransaction &transaction) {
    if (!dialog_) return transaction.respond(481); // RFC 3261 §15: a callee sends none before its answer
    transaction.respond(200);
    if (server_ && !server_.answered()) server_.respond(487, {}, local_tag_); // RFC 3261 §15.1.2
    finish({.by = hanging_up_ ? SessionEnd::By::local : SessionEnd::By::remote,
            .status = 200,
            .reason_header = std::string(request.value(HeaderId::reason))});
}

} // namespace offhook::sip
