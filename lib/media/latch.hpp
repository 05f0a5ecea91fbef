// Symmetric RTP (RFC 4961): where a peer's packets may come from, and so where ours go. Pure.
//
// RTP bleed (CVE-2017-14099): a packet is taken only from the host that the SDP names or, for a peer behind
// NAT, the host that its SIP comes from. The first valid packet locks its address; everything else is refused
// from then on, unless the SDP moves the stream or the locked address has been silent for two seconds.
#pragma once

#include <optional>

#include "base/address.hpp"
#include "base/clock.hpp"

namespace offhook::media {

class RtpLatch {
public:
    static constexpr Duration silence_frees{2000};

    // The address of the peer's SDP. Another one than before frees the lock.
    void signal(const Address &rtp);
    // The host that the peer's SIP messages come from; its port means nothing here.
    void trust_host(const Address &sip_peer) { sip_peer_ = sip_peer; }

    // Ask only for packets that are valid in every other respect (payload type, authentication): they lock.
    bool admit(const Address &from, TimePoint now);
    // RTCP: from the host of the stream; never locks.
    [[nodiscard]] bool admits_report(const Address &from) const;
    // Where to send RTP: the locked address, else the signalled one.
    [[nodiscard]] const Address &destination() const { return locked_ ? *locked_ : signalled_; }
    [[nodiscard]] const std::optional<Address> &locked() const { return locked_; }

private:
    [[nodiscard]] bool is_candidate(const Address &from) const;

    Address signalled_, sip_peer_;
    std::optional<Address> locked_;
    TimePoint last_{};
};

} // namespace offhook::media
