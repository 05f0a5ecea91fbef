#include "media/latch.hpp"

namespace offhook::media {

void RtpLatch::signal(const Address &rtp) {
    if (locked_ && !(signalled_ == rtp)) locked_.reset();
    signalled_ = rtp;
}

bool RtpLatch::is_candidate(const Address &from) const {
    return (signalled_.is_set() && from.same_ip(signalled_)) ||
           (sip_peer_.is_set() && from.same_ip(sip_peer_));
}

bool RtpLatch::admit(const Address &from, TimePoint now) {
    if (!signalled_.is_set()) return false;
    if (locked_ && !(*locked_ == from) && now - last_ < silence_frees) return false;
    if (!locked_ || !(*locked_ == from)) {
        if (!is_candidate(from)) return false;
        locked_ = from;
    }
    last_ = now;
    return true;
}

bool RtpLatch::admits_report(const Address &from) const {
    if (!signalled_.is_set()) return false;
    return locked_ ? from.same_ip(*locked_) : is_candidate(from);
}

} // namespace offhook::media
