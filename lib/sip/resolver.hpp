// RFC 3263: from a URI to an ordered list of hops, over libre's DNS client (NAPTR, SRV) and getaddrinfo in a
// helper thread (A/AAAA, so that /etc/hosts, localhost and mDNS work and nothing blocks).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/loop.hpp"
#include "sip/resolve_plan.hpp"
#include "sip/transport.hpp"
#include "sip/uri.hpp"

namespace offhook::sip {

class Resolver {
public:
    struct Options {
        // Ask these DNS servers for everything, addresses included. Empty: those of /etc/resolv.conf for
        // NAPTR and SRV, and the system (getaddrinfo) for addresses.
        std::vector<Address> nameservers;
        Duration deadline{5'000};
    };

    explicit Resolver(Loop &loop) : Resolver(loop, Options()) {}
    Resolver(Loop &loop, Options options);
    ~Resolver();
    Resolver(const Resolver &) = delete;
    Resolver &operator=(const Resolver &) = delete;

    // Cancels on destruction: `done` is then never called.
    class Query {
    public:
        virtual ~Query() = default;
    };
    using Done = std::function<void(Result<std::vector<Hop>>)>;

    // Hops in order of preference (NAPTR order, SRV priority and weight, then addresses), at most 16.
    // `preferred`: the account's transport, used when the URI names none (udp if absent; sips and
    // transport=tls mean TLS). Numeric hosts and explicit ports skip NAPTR/SRV (RFC 3263 §4.1, §4.2).
    // Own deadline 5 s. `done` is never called before resolve() returns. Errors: Errc::network
    // ("no address for pbx.example.com: Name or service not known").
    [[nodiscard]] std::unique_ptr<Query> resolve(const Uri &uri, std::optional<TransportKind> preferred,
                                                 Done done);
    // Another service than SIP, by RFC 2782: the SRV records of `service` ("_stun._udp") in the domain
    // `host`; without any, the addresses of `host` itself with `default_port`. The hops' transport says
    // nothing.
    [[nodiscard]] std::unique_ptr<Query> resolve_service(const std::string &host, const std::string &service,
                                                         std::uint16_t default_port, Done done);

private:
    struct Self;
    [[nodiscard]] std::unique_ptr<Query> start(const Result<ResolvePlan> &plan, Done done);

    std::shared_ptr<Self> self_;
};

} // namespace offhook::sip
