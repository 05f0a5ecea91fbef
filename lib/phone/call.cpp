#include "phone/call.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "media/sdp.hpp"
#include "sip/grammar.hpp"
#include "sip/headers.hpp"
#include "sip/identity_headers.hpp"

namespace offhook {

std::string plain_uri(const sip::Uri &uri) {
    auto plain = uri;
    plain.params = {};
    plain.headers.clear();
    plain.password.clear();
    return sanitise(plain.encode());
}

Call::Call(CallHost &host, CallId id, CallDirection direction, Account &account)
    : host_(host), id_(id), direction_(direction), account_(account), dialler_(host.loop(), *this),
      ring_timer_(host.loop()) {}

Call::~Call() = default;

void Call::later(std::function<void()> task) {
    host_.loop().post([still = std::weak_ptr<char>(alive_), task = std::move(task)] {
        if (!still.expired()) task();
    });
}

namespace {

bool is_sdp(const sip::Message &message) {
    const auto type = message.value(sip::HeaderId::content_type);
    return sip::iequals(sip::trim(type.substr(0, type.find(';'))), "application/sdp");
}

// Where the peer can reach our RTP: the address its INVITE came to.
Result<Address> local_ip_of(const sip::Flow &flow) {
    if (flow.local.is_set() && !flow.local.is_any()) return flow.local.with_port(0);
    return local_address_towards(flow.remote);
}

void add_caller_facts(event::CallIncoming &event, const sip::CallerFacts &facts) {
    if (!facts.asserted.empty()) event.asserted = plain_uri(facts.asserted.front().uri);
    event.wants_privacy = facts.wants_privacy;
    for (const auto &diversion : facts.diversions) {
        event.diverted.push_back(plain_uri(diversion.from.uri));
        event.diverted_why.push_back(sanitise(diversion.reason));
    }
}

} // namespace

std::unique_ptr<Call> Call::received(CallHost &host, CallId id, Account &account, const sip::Message &invite,
                                     const sip::Flow &flow, const sip::ServerTransaction &transaction,
                                     Result<> &offered) {
    const auto refuse = [&](unsigned status, const std::string &why) {
        const auto from = invite.from();
        host.tell(event::Log{"warning", "refused a call" +
                                            (from ? " from " + plain_uri(from->uri) : std::string{}) + ": " +
                                            sanitise(why)});
        auto response = sip::Draft::response(invite, status, {}, sip::random_token(8));
        if (status == 415) response.add("Accept", "application/sdp");
        transaction.respond(response);
        return nullptr;
    };
    if (!invite.body().empty() && !is_sdp(invite)) return refuse(415, "its body is not SDP");
    std::unique_ptr<Call> call(new Call(host, id, CallDirection::incoming, account));
    const auto local_ip = local_ip_of(flow);
    if (!local_ip) return refuse(500, local_ip.error().what);
    auto media = CallMedia::open(host, id, *local_ip, account.settings(), *call);
    if (!media) return refuse(500, media.error().what);
    call->media_ = std::move(*media);
    call->media_->leg().set_sip_peer(flow.remote);
    call->note_allow(invite);
    if (!invite.body().empty()) offered = call->media_->leg().take_offer(invite.body());
    call->invited_at_ = host.loop().now();
    if (const auto from = invite.from()) {
        call->remote_ = plain_uri(from->uri);
        call->remote_name_ = sanitise(from->display);
    }
    if (const auto to = invite.to()) call->local_ = plain_uri(to->uri);
    auto session = sip::InviteSession::incoming(host.user_agent(), invite, flow, transaction,
                                                account.answering_options(invite, flow), *call);
    if (!session) return nullptr;
    call->session_ = std::move(*session);
    return call;
}

std::unique_ptr<Call> Call::incoming(CallHost &host, CallId id, Account &account, const sip::Message &invite,
                                     const sip::Flow &flow, const sip::ServerTransaction &transaction) {
    Result<> offered;
    auto call = received(host, id, account, invite, flow, transaction, offered);
    if (!call) return nullptr;
    if (offered) call->session_->ring();
    event::CallIncoming event{call->view(), sanitise(invite.value(sip::HeaderId::user_agent)),
                              sanitise(invite.value(sip::HeaderId::subject)),
                              std::string(sip::uri_token(flow.kind)) + ":" + flow.remote.to_string()};
    if (account.is_server(flow.remote)) add_caller_facts(event, sip::caller_facts(invite));
    host.tell(std::move(event));
    if (offered)
        call->prepare_answer();
    else
        call->refuse_offer(offered.error(), invite.body());
    return call;
}

std::unique_ptr<Call> Call::replacing(CallHost &host, CallId id, Call &old, const sip::Message &invite,
                                      const sip::Flow &flow, const sip::ServerTransaction &transaction) {
    Result<> offered;
    auto call = received(host, id, old.account_, invite, flow, transaction, offered);
    if (!call) return nullptr;
    if (!offered) {
        call->ended_at_ = host.loop().now(); // nobody has heard of it
        call->refuse_offer(offered.error(), invite.body());
        return nullptr;
    }
    call->prepare_answer();
    call->take_place_of(old);
    host.tell(event::CallTransfer{.call = call->view(),
                                  .role = TransferRole::target,
                                  .attended = true,
                                  .target = call->remote_,
                                  .code = 200,
                                  .reason = "OK",
                                  .done = true});
    if (auto answered = call->answer(); !answered) (void)call->reject(500, {});
    old.end_by(Cause::replaced, {});
    return call;
}

void Call::prepare_answer() {
    media_->prepare(false, [this] {
        prepared_ = true;
        if (answer_wanted_) later([this] { (void)answer(); });
    });
}

void Call::take_place_of(Call &old) {
    std::swap(id_, old.id_);
    options_ = old.options_;
    if (media_ && old.media_) {
        media_->take_over(*old.media_);
        if (old.held_) media_->use_device(true); // the new one is not on hold
    }
    host_.on_renumbered(id_, old.id_);
}

// RFC 3261 §20.43: 304 the kind of media is not available, 305 its formats are not.
void Call::refuse_offer(const Error &error, std::string_view offer) {
    cause_ = Cause::media_failed;
    host_.tell(event::Log{"warning", "refused a call from " + remote_ + ": " + sanitise(error.what)});
    const unsigned status = error.sip >= 400 ? error.sip : 488;
    const auto sdp = media::Sdp::parse(offer);
    const bool audio = sdp && std::ranges::any_of(sdp->media, [](const media::SdpMedia &m) {
                           return m.type == "audio" && m.port != 0;
                       });
    std::vector<std::pair<std::string, std::string>> headers;
    if (status == 488)
        headers.emplace_back("Warning", std::string(audio ? "305" : "304") + " offhook " +
                                            sip::grammar::quote(error.what));
    session_->reject(status, {}, headers);
}

sip::DialogState Call::state() const {
    if (over()) return sip::DialogState::terminated;
    return session_ ? session_->state() : sip::DialogState::trying;
}

bool Call::waits_for_us() const {
    return direction_ == CallDirection::incoming && !over() && !answered_at_;
}

std::vector<sip::ReplaceableDialog> Call::dialogs() const {
    std::vector<sip::ReplaceableDialog> dialogs;
    if (!session_) return dialogs;
    for (auto &id : session_->dialogs())
        dialogs.push_back(
            {std::move(id), state(), direction_ == CallDirection::outgoing, account_.settings().name});
    return dialogs;
}

CallView Call::view() const {
    CallView view;
    view.id = id_;
    view.direction = direction_;
    view.account = account_.settings().name;
    view.local = local_;
    view.remote = remote_;
    view.remote_name = remote_name_;
    view.sip_call_id = session_ ? sanitise(session_->call_id()) : std::string{};
    view.state = state();
    view.held_locally = held_;
    view.held_remotely = remote_held_;
    view.started = started_;
    if (media_) {
        view.muted = media_->muted();
        view.recording = media_->recording();
        view.codec = media_->codec();
        view.in_conference = media_->conference() != nullptr;
        view.srtp = media_->leg().srtp();
        view.early_media = !answered_at_ && media_->audio() != nullptr && !view.codec.empty();
    }
    if (answered_at_)
        view.talk =
            std::chrono::duration_cast<Duration>(ended_at_.value_or(host_.loop().now()) - *answered_at_);
    return view;
}

} // namespace offhook
