#include "media/ice_lite.hpp"

namespace offhook::media {

void IceLite::restart(IceCredentials local) {
    auto old = std::exchange(local_, std::move(local));
    if (selected_ && !before_) before_ = std::move(old); // the session that carries the media until now
    remote_ufrag_.clear();
}

IceLite::Outcome IceLite::received(const Address &from, Bytes datagram, TimePoint now, std::uint32_t path) {
    const auto message = StunMessage::parse(datagram);
    if (!message || !message->is(StunClass::request, StunMethod::binding)) return {};
    auto check = judge_check(*message, from, local_);
    bool current = check.accepted;
    if (!check.accepted && before_) {
        check = judge_check(*message, from, *before_);
        current = false;
    }
    Outcome outcome{std::move(check.response), check.accepted, false};
    if (!check.accepted) return outcome;
    if (current && !remote_ufrag_.empty() && check.peer_ufrag != remote_ufrag_) {
        outcome.reply = StunWriter::error(*message, 401, "Unauthenticated").finish();
        outcome.accepted = false;
        return outcome;
    }
    if (check.controlling == false) { // a lite agent never controls (RFC 8445 §7.3.1.1)
        outcome.reply = StunWriter::error(*message, 487, "Role Conflict").finish_signed(local_.password);
        return outcome;
    }
    last_check_ = now;
    if (!check.use_candidate || is_selected(from, path)) return outcome;
    if (!current && selected_) return outcome; // the old session may keep its pair, not move it
    if (current) before_.reset();
    outcome.moved = true;
    selected_ = from;
    path_ = path;
    return outcome;
}

} // namespace offhook::media
