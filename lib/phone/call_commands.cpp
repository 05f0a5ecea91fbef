#include "base/text.hpp"
#include "phone/call.hpp"

namespace offhook {

namespace {
// A CANCEL waits for a provisional response (RFC 3261 §9.1); the user does not.
constexpr Duration cancel_patience{2'000};
} // namespace

Result<> Call::need_confirmed() const {
    if (!over() && answered_at_) return {};
    return fail(Errc::invalid_argument, "the call is not answered");
}

Result<> Call::need_media() const {
    if (!over() && media_) return {};
    return fail(Errc::invalid_argument, over() ? "the call is over" : "the call has no audio yet");
}

Result<> Call::answer() {
    if (!waits_for_us()) return fail(Errc::invalid_argument, "the call does not wait for an answer");
    if (!prepared_) { // candidates are still being gathered
        answer_wanted_ = true;
        return {};
    }
    auto &leg = media_->leg();
    Result<std::string> sdp;
    if (!session_->offer().empty())
        sdp = leg.answer();
    else if (!session_->settled()) // else PRACK has brought the answer to our offer already
        sdp = leg.offer();
    if (!sdp) {
        refuse_offer(sdp.error(), session_->offer());
        return fail(sdp.error());
    }
    answered_at_ = host_.loop().now();
    const bool agreed = leg.negotiated().has_value();
    session_->accept(std::move(*sdp));
    if (agreed) leg.connect(), media_->start(); // else the ACK brings the answer
    return {};
}

Result<> Call::reject(unsigned status, std::string_view reason) {
    if (!waits_for_us()) return fail(Errc::invalid_argument, "the call does not wait for an answer");
    if (status < 300 || status > 699)
        return fail(Errc::invalid_argument, "a call is refused with a status of 300 to 699");
    session_->reject(status, reason);
    return {};
}

Result<> Call::hang_up(bool timed_out) {
    if (over()) return fail(Errc::invalid_argument, "the call is over");
    end_by(timed_out ? Cause::time_limit : Cause::none, {});
    return {};
}

void Call::end_by(Cause cause, const std::string &reason_header) {
    if (over()) return;
    if (cause_ == Cause::none) cause_ = cause;
    dialler_.stop();
    const auto give_up = [this] {
        sip::SessionEnd end;
        end.status = 487;
        end.reason = "Request Terminated";
        tell_ended(end);
    };
    if (!session_) {
        query_.reset();
        if (media_) media_->abandon();
        return later(give_up);
    }
    const bool unanswered = direction_ == CallDirection::outgoing && !answered_at_;
    session_->hang_up(reason_header);
    if (unanswered && !over()) ring_timer_.start(cancel_patience, give_up);
}

Result<> Call::hold(bool on) {
    if (auto ready = need_confirmed(); !ready && (!session_ || !session_->modifiable())) return ready;
    if (hold_wanted_ == on)
        return fail(Errc::invalid_argument, on ? "the call is on hold" : "the call is not on hold");
    hold_wanted_ = on;
    media_->leg().set_hold(on);
    if (on) leave_conference();
    media_->use_device(!on);
    session_->reinvite();
    return {};
}

Result<> Call::join(const std::shared_ptr<media::Conference> &room) {
    if (auto ready = need_confirmed(); !ready) return ready;
    if (hold_wanted_)
        if (auto resumed = hold(false); !resumed) return resumed;
    media_->join(room);
    on_media("conference", Duration{0});
    return {};
}

void Call::leave_conference() {
    if (!media_ || !media_->conference()) return;
    media_->join(nullptr);
    on_media("alone", Duration{0});
}

Result<> Call::mute(bool on) {
    if (auto ready = need_media(); !ready) return ready;
    media_->set_mute(on);
    return {};
}

Result<> Call::send_dtmf(std::string_view digits, std::optional<DtmfMode> mode) {
    if (auto ready = need_confirmed(); !ready) return ready;
    auto chosen = mode.value_or(DtmfMode::automatic);
    if (chosen == DtmfMode::automatic) chosen = dtmf_mode();
    const bool events = media_->leg().can_send_dtmf();
    if (chosen == DtmfMode::automatic)
        chosen = events ? DtmfMode::rfc4733 : peer_takes_info_ ? DtmfMode::info : DtmfMode::inband;
    if (chosen == DtmfMode::rfc4733 && !events)
        return fail(Errc::media, "the peer does not take telephone-events; use --dtmf-mode info or inband");
    return dialler_.send(digits, chosen);
}

Result<> Call::play(const std::string &path, bool again) {
    if (auto ready = need_media(); !ready) return ready;
    return media_->play(path, again);
}

Result<> Call::record(const std::string &path) {
    if (auto ready = need_media(); !ready) return ready;
    if (auto started = media_->record(path); !started) return started;
    host_.tell(event::CallRecording{view(), path, true, {}});
    return {};
}

Result<> Call::stop_record() {
    if (auto ready = need_media(); !ready) return ready;
    auto path = media_->stop_record();
    if (!path) return fail(path.error());
    host_.tell(event::CallRecording{view(), *path, false, {}});
    return {};
}

Result<> Call::echo(bool on) {
    if (auto ready = need_media(); !ready) return ready;
    return media_->set_echo(on);
}

Result<> Call::watch_tone(std::vector<double> hz, std::function<void()> heard) {
    if (auto ready = need_media(); !ready) return ready;
    media_->watch_tone(std::move(hz), std::move(heard));
    return {};
}

// In the account's domain the peer is known by name; elsewhere the way that the call found is the one to
// give.
sip::Uri Call::address_for_others() const {
    const auto &dialog = *session_->dialog();
    if (auto identity = sip::NameAddr::parse(dialog.remote); identity && account_.in_domain(identity->uri))
        return std::move(identity->uri);
    return sip::Uri::parse(dialog.remote_target).value_or(target_);
}

void Call::set_rtp_tap(const media::MediaLeg::Tap &tap) {
    if (media_) media_->leg().set_tap(tap);
}

Result<> Call::send_digit(char digit, DtmfMode mode) {
    switch (mode) {
    case DtmfMode::inband:
        return media_->send_inband(digit);
    case DtmfMode::info:
        ++infos_open_;
        session_->send_info(
            "application/dtmf-relay", media::dtmf_relay_body(digit, Duration{160}),
            [this, still = std::weak_ptr<char>(alive_)](const Result<unsigned> &status) {
                if (still.expired()) return;
                --infos_open_;
                if (status && *status < 300) return;
                dialler_.stop();
                on_digits_failed(status
                                     ? Error{Errc::rejected,
                                             "the peer refused INFO with " + std::to_string(*status), *status}
                                     : status.error());
            });
        return {};
    default:
        return media_->leg().send_dtmf(std::string(1, digit));
    }
}

bool Call::digit_busy(DtmfMode mode) const {
    if (mode == DtmfMode::info) return infos_open_ > 0;
    return mode == DtmfMode::inband ? media_->inband_busy() : media_->leg().dtmf_busy();
}

void Call::on_digit_sent(char digit, DtmfMode mode, Duration length) {
    host_.tell(event::CallDtmf{view(), digit, true, std::string(name(mode)), length.count()});
}

void Call::on_digits_failed(const Error &error) {
    host_.tell(event::Log{"warning", to_string(id_) + ": DTMF was not sent: " + sanitise(error.what)});
}

} // namespace offhook
