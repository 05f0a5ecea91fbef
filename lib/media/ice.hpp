// What both kinds of ICE agent (RFC 8445) share: credentials, candidates, and the answer to a connectivity
// check. Values in, values out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "media/sdp.hpp"
#include "media/stun.hpp"

namespace offhook::media {

struct IceCredentials {
    std::string ufrag, password;

    static IceCredentials random(); // 48 and 144 bits (RFC 8445 §5.3 asks for 24 and 128)
    friend bool operator==(const IceCredentials &, const IceCredentials &) = default;
};

enum class IceCandidateType : std::uint8_t { host, peer_reflexive, server_reflexive, relayed };
std::string_view name(IceCandidateType type) noexcept; // "host", "prflx", "srflx", "relay"

struct IceCandidate {
    std::string foundation;
    unsigned component = 1; // 1 RTP, 2 RTCP
    std::uint32_t priority = 0;
    Address address;
    IceCandidateType type = IceCandidateType::host;
    Address related; // raddr and rport; unset for host candidates
};

// RFC 8445 §5.1.2.1. `local_preference`: 65535 for the only or best address.
std::uint32_t ice_priority(IceCandidateType type, std::uint16_t local_preference,
                           unsigned component) noexcept;

// A host that is named instead of its address, which stays private (mDNS, RFC 8828 §5.2).
struct NamedCandidate {
    IceCandidate candidate; // without an address
    std::string host;       // "….local"
    std::uint16_t port = 0;
};

// The value of a=candidate. Nothing for what we cannot use: TCP, host names, components beyond 2, and
// addresses that nothing may be sent to.
std::optional<IceCandidate> parse_candidate(std::string_view value);
std::optional<NamedCandidate> parse_named_candidate(std::string_view value);
// Not of a group, nor of nobody: checks must not be steered there.
bool may_be_checked(const Address &address);
std::string encode(const IceCandidate &candidate);

// One side's ICE in the description of one media section.
struct IceDescription {
    IceCredentials credentials;
    std::vector<IceCandidate> candidates; // at most 64 are read
    bool lite = false;
    std::vector<NamedCandidate> named; // at most 2 are read: each is a question to the network
};
// Attributes of the media section, else of the session. Nothing without both a ufrag and a password in
// RFC 8839's bounds.
std::optional<IceDescription> ice_description(const SdpMedia &media, const Sdp &sdp);
void add_attributes(SdpMedia &media, const IceDescription &ice); // all but a=ice-lite, which is the session's

// A connectivity check that arrived, judged and answered.
struct IceCheck {
    std::vector<std::uint8_t> response; // to be sent where the check came from; may be empty
    bool accepted = false;              // its MESSAGE-INTEGRITY was made with our password
    bool use_candidate = false;
    std::uint32_t priority = 0;
    std::optional<bool> controlling; // what the peer says it is
    std::uint64_t tie_breaker = 0;
    std::string peer_ufrag; // the second half of USERNAME
};
// `message`: a Binding request. Not accepted: answered 401 (not our user or password) or 420, and not at all
// without MESSAGE-INTEGRITY: we are nobody's reflector.
IceCheck judge_check(const StunMessage &message, const Address &from, const IceCredentials &local);

} // namespace offhook::media
