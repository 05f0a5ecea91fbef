#include <algorithm>

#include "base/text.hpp"
#include "media/dtmf.hpp"
#include "phone/call.hpp"
#include "sip/grammar.hpp"
#include "sip/headers.hpp"
#include "sip/status.hpp"

namespace offhook {

namespace {

using LocalTone = media::CallAudio::LocalTone;

std::int64_t ms_between(const std::optional<TimePoint> &from, const std::optional<TimePoint> &to) {
    if (!from || !to) return -1;
    return std::chrono::duration_cast<Duration>(*to - *from).count();
}

// RFC 3326: the media failed at the peer, which says so as we do (Call::on_transport_failed).
bool blames_media(std::string_view reasons) {
    return std::ranges::any_of(sip::split_list(reasons), [](std::string_view reason) {
        const auto semicolon = std::min(reason.find(';'), reason.size());
        sip::grammar::Scanner scanner(reason.substr(semicolon));
        sip::Params params;
        return sip::iequals(sip::trim(reason.substr(0, semicolon)), "SIP") &&
               sip::grammar::parse_params(scanner, params) && params.get("cause") == "488";
    });
}

EndedBy by_of(sip::SessionEnd::By by) {
    switch (by) {
    case sip::SessionEnd::By::remote:
        return EndedBy::remote;
    case sip::SessionEnd::By::network:
        return EndedBy::network;
    case sip::SessionEnd::By::timeout:
        return EndedBy::timeout;
    case sip::SessionEnd::By::local:
        break;
    }
    return EndedBy::local;
}

std::string software_of(const sip::Message &message) {
    const auto server = message.value(sip::HeaderId::server);
    return sanitise(server.empty() ? message.value(sip::HeaderId::user_agent) : server);
}

} // namespace

Result<std::string> Call::on_offer(std::string_view sdp) {
    auto answer = media_->leg().answer(sdp);
    if (!answer) return answer;
    media_->leg().connect();
    media_->leg_changed();
    note_remote_hold();
    if (answered_at_) choose_dtmf_reception();
    return answer;
}

Result<std::string> Call::make_offer() {
    return media_->leg().offer();
}

Result<> Call::on_answer(std::string_view sdp) {
    // The 2xx repeats the answer of an earlier 18x, or brings that of another fork, which counts (RFC 3261
    // §13.2.1).
    const bool repeated =
        direction_ == CallDirection::outgoing && !answered_at_ && media_->leg().negotiated();
    if (repeated && sdp == answer_) return {};
    if (repeated)
        if (auto reopened = media_->leg().offer(); !reopened) return fail(reopened.error());
    auto answered = media_->leg().answered(sdp);
    if (!answered)
        cause_ = Cause::media_failed;
    else if (cause_ == Cause::media_failed)
        cause_ = Cause::none;
    if (!answered) return answered;
    answer_ = sdp;
    media_->leg_changed();
    if (answered_at_) note_remote_hold();
    if (answered_at_) choose_dtmf_reception();
    return answered;
}

void Call::note_remote_hold() {
    const bool now = media_->leg().remote_hold();
    if (std::exchange(remote_held_, now) != now) host_.tell(event::CallRemoteHold{view(), now});
}

void Call::on_reinvited(const Result<> &outcome) {
    if (!outcome) {
        media_->leg().roll_back();
        // Both sides at once, or too short an interval: the session tries again by itself.
        if (outcome.error().sip == 491 || outcome.error().sip == 422)
            return media_->leg().set_hold(hold_wanted_);
        media_->leg().set_hold(held_);
        media_->use_device(!held_);
        host_.tell(event::Log{"warning", to_string(id_) + ": " +
                                             (hold_wanted_ == held_ ? "ICE restart"
                                              : hold_wanted_        ? "hold"
                                                                    : "resume") +
                                             " failed: " + sanitise(outcome.error().what)});
        hold_wanted_ = held_;
        return host_.on_hold_ended(*this, false);
    }
    if (std::exchange(held_, hold_wanted_) == hold_wanted_) return;
    if (held_)
        host_.tell(event::CallHeld{view()});
    else
        host_.tell(event::CallResumed{view()});
    host_.on_hold_ended(*this, true);
}

void Call::on_progress(const sip::Message &provisional) {
    const auto status = provisional.status();
    if (status == 100) {
        host_.tell(event::CallTrying{view()});
        return;
    }
    if (!progress_at_) progress_at_ = host_.loop().now();
    const bool with_media = media_->leg().negotiated().has_value();
    if (!with_media)
        media_->start_early(LocalTone::ringback);
    else if (options_.early_media == EarlyMedia::play)
        media_->start_early(LocalTone::none);
    if (with_media && !provisional.body().empty()) {
        host_.tell(event::CallEarly{view(), status});
        return;
    }
    host_.tell(event::CallRinging{view(), status, sanitise(provisional.reason())});
}

void Call::on_confirmed(const sip::Message &message) {
    if (direction_ == CallDirection::outgoing) answered_at_ = host_.loop().now();
    established(message);
}

void Call::established(const sip::Message &message) {
    ring_timer_.cancel();
    note_allow(message);
    media_->start();
    media_->watch_arrivals();
    choose_dtmf_reception();
    event::CallAnswered event{view(),
                              ms_between(invited_at_, progress_at_),
                              ms_between(invited_at_, answered_at_),
                              software_of(message),
                              {}};
    if (direction_ == CallDirection::outgoing)
        for (const auto &header : message.headers())
            event.headers.emplace_back(sanitise(header.name), sanitise(header.value));
    const bool in_the_clear = event.call.srtp.empty();
    host_.tell(std::move(event));
    if (in_the_clear && account_.settings().srtp == media::SrtpPolicy::optional)
        host_.tell(event::Log{"warning", to_string(id_) +
                                             ": the peer does not encrypt: anybody on the way can "
                                             "listen in (--srtp required refuses such calls)"});
    // RFC 4568 §7: the keys are as secret as what carries them.
    if (media_->leg().keys_in_sdp() && !sip::is_secure(session_->flow().kind))
        host_.tell(event::Log{"warning", to_string(id_) +
                                             ": the keys of the media went through unencrypted signalling (" +
                                             std::string(sip::uri_token(session_->flow().kind)) +
                                             "): who reads it can listen in (use TLS, or --srtp dtls)"});
    note_remote_hold();
}

unsigned Call::on_info(const sip::Message &info) {
    const auto type = info.value(sip::HeaderId::content_type);
    if (info.body().empty() && type.empty()) return 200; // a keep-alive of old session timers
    const auto digit = media::parse_dtmf_info(type, info.body());
    if (!digit) return digit.error().sip != 0 ? digit.error().sip : 415;
    digit_heard(digit->digit, digit->length, "info");
    return 200;
}

void Call::on_other_usage(const sip::Message &request, const sip::ServerTransaction &transaction) {
    host_.on_other_usage(*this, request, transaction);
}

void Call::on_digit(char digit, Duration length, std::string_view method) {
    digit_heard(digit, length, method);
}

void Call::digit_heard(char digit, Duration length, std::string_view method) {
    if (digits_heard_.heard(digit, method, host_.loop().now()))
        host_.tell(event::CallDtmf{view(), digit, false, std::string(method), length.count()});
}

void Call::note_allow(const sip::Message &message) {
    peer_takes_info_ = peer_takes_info_ || message.lists_token(sip::HeaderId::allow, "INFO");
}

DtmfMode Call::dtmf_mode() const {
    return options_.dtmf_mode != DtmfMode::automatic ? options_.dtmf_mode : host_.settings().dtmf_mode;
}

// In the sound itself digits are looked for when asked to, or when there is no better way: a voice is
// mistaken for a key now and then.
void Call::choose_dtmf_reception() {
    const auto mode = dtmf_mode();
    const auto &agreed = media_->leg().negotiated();
    const bool events = agreed && !agreed->receive_events.empty();
    const bool listen = mode == DtmfMode::inband || (mode == DtmfMode::automatic && agreed && !events);
    const auto done = media_->listen_inband(listen);
    if (!done && mode == DtmfMode::inband)
        host_.tell(event::Log{"warning", to_string(id_) + ": " + done.error().what});
}

void Call::on_media(std::string_view what, Duration silent) {
    const auto &leg = media_->leg();
    const bool one_way = what == "lost" && leg.sending_allowed() && leg.stats().sent.packets > 0;
    host_.tell(event::CallMedia{view(), std::string(what), media_->local_rtp(), media_->remote_rtp(),
                                silent.count(), one_way});
}

void Call::on_rtp_timeout(Duration) {
    end_by(Cause::rtp_timeout, "SIP;cause=408;text=\"No RTP received\"");
}

// One side is enough; the caller.
void Call::on_transport_faltering() {
    if (direction_ == CallDirection::incoming || !answered_at_) return;
    later([this] {
        if (over()) return;
        host_.tell(event::Log{"warning",
                              to_string(id_) + ": the peer's consent is overdue; looking for another way"});
        media_->leg().restart_ice();
        session_->reinvite();
    });
}

void Call::on_transport_failed(const Error &error) {
    later([this, what = error.what] {
        if (over()) return;
        host_.tell(event::Log{"error", to_string(id_) + ": " + sanitise(what)});
        end_by(Cause::media_failed, "SIP;cause=488;text=\"No media\"");
    });
}

void Call::on_transport_trouble(const std::string &what) {
    host_.tell(event::Log{"warning", to_string(id_) + ": " + sanitise(what)});
}

void Call::on_quality() {
    host_.tell(event::CallQuality{view(), media_->leg().stats(), media_->leg().take_interval()});
}

void Call::on_play_ended(const std::string &path) {
    host_.tell(event::CallPlayback{view(), path});
}

void Call::on_record_failed(const std::string &path, const Error &error) {
    host_.tell(event::CallRecording{view(), path, false, sanitise(error.what)});
}

void Call::on_ended(const sip::SessionEnd &end) {
    if (over() || follow(end)) return;
    tell_ended(end);
}

int Call::exit_of(const sip::SessionEnd &end) const {
    if (cause_ == Cause::rtp_timeout || cause_ == Cause::media_failed)
        return sip::exit_code(Error{Errc::media, {}}, sip::Purpose::call);
    if (answered_at_ && !end.error)
        return blames_media(end.reason_header) ? sip::exit_code(Error{Errc::media, {}}, sip::Purpose::call)
                                               : 0;
    if (cause_ == Cause::ring_timeout) return sip::exit_code(487, sip::Purpose::call);
    if (end.error) return sip::exit_code(*end.error, sip::Purpose::call);
    if (direction_ == CallDirection::incoming && end.by == sip::SessionEnd::By::local)
        return 0; // as we wished
    return sip::exit_code(end.status, sip::Purpose::call, end.authenticated);
}

void Call::tell_ended(const sip::SessionEnd &end) {
    if (over()) return;
    ended_at_ = host_.loop().now();
    ring_timer_.cancel();
    dialler_.stop();
    query_.reset();
    if (direction_ == CallDirection::outgoing) tell_outgoing();
    host_.on_call_over(*this);
    event::CallEnded event;
    if (media_) {
        const auto recording = media_->stop_record();
        media_->stop();
        if (recording) host_.tell(event::CallRecording{view(), *recording, false, {}});
        event.stats = media_->leg().stats();
    }
    event.call = view();
    event.answered = answered_at_.has_value();
    event.code = end.status;
    event.reason = sanitise(end.reason);
    event.reason_header = sanitise(end.reason_header);
    const bool by_timer =
        cause_ == Cause::ring_timeout || cause_ == Cause::rtp_timeout || cause_ == Cause::time_limit;
    event.by = by_timer ? EndedBy::timeout : by_of(end.by);
    if (cause_ == Cause::rtp_timeout) event.reason = "no RTP received";
    if (cause_ == Cause::ring_timeout) event.reason = "no answer";
    if (cause_ == Cause::replaced) event.reason = "replaced by another call";
    event.exit = exit_of(end);
    event.pdd_ms = ms_between(invited_at_, progress_at_);
    event.setup_ms = ms_between(invited_at_, answered_at_);
    event.talk_ms = std::max<std::int64_t>(0, ms_between(answered_at_, ended_at_));
    if (!end.redirect.empty()) event.redirect = sanitise(end.redirect.front());
    host_.tell(std::move(event));
}

} // namespace offhook
