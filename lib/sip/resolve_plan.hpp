// The pure parts of RFC 3263: what to look up for a URI, and in which order to try what was found.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sip/transport.hpp"
#include "sip/uri.hpp"

namespace offhook::sip {

struct NaptrRecord {
    std::uint16_t order = 0, preference = 0;
    std::string flags, service, replacement;
};

struct SrvRecord {
    std::uint16_t priority = 0, weight = 0, port = 0;
    std::string target;
};

// A name whose SRV records are to be asked for, and the transport they mean.
struct SrvLookup {
    TransportKind kind = TransportKind::udp;
    std::string name; // "_sips._tcp.example.com"
    friend bool operator==(const SrvLookup &, const SrvLookup &) = default;
};

struct ResolvePlan {
    std::string host;                        // maddr wins over the host (RFC 3263 §4)
    TransportKind kind = TransportKind::udp; // for addresses of the host itself
    std::uint16_t port = 0;                  // 0: none given
    bool secure_only = false;                // sips
    bool ask_naptr = false;                  // no transport, no port, a name
    std::vector<SrvLookup> srv;              // to be asked (when NAPTR, if asked, brings nothing)
};

// Errors: Errc::invalid_argument (not a SIP URI, unknown transport, sips over UDP).
Result<ResolvePlan> plan_resolution(const Uri &uri, std::optional<TransportKind> preferred);

// The NAPTR records we can use, best first (RFC 3263 §4.1); SIPS only when `secure_only`.
std::vector<SrvLookup> select_naptr(std::vector<NaptrRecord> records, bool secure_only);

// RFC 2782: by priority, within it a weighted random order. `random(n)` gives a number in 0..n. A single
// record with target "." means that the service is not offered: nothing is left.
std::vector<SrvRecord> order_srv(std::vector<SrvRecord> records,
                                 const std::function<std::uint32_t(std::uint32_t)> &random);

} // namespace offhook::sip
