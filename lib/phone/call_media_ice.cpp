// CallMedia: what comes before the media can flow: STUN and TURN servers, ICE, DTLS.
#include "phone/call_media.hpp"

namespace offhook {

namespace {

sip::Uri host_uri(const std::string &host, std::uint16_t port) {
    sip::Uri uri;
    uri.scheme = "sip";
    uri.host = host;
    uri.port = port;
    return uri;
}

} // namespace

void CallMedia::prepare(bool offerer, std::function<void()> done) {
    offerer_ = offerer;
    prepared_ = std::move(done);
    lookups_open_ = 1; // ours, so that numeric servers do not end it early
    for (const auto *server : {&account_.stun, &account_.turn})
        if (server->given()) look_up(*server);
    looked_up({}, {});
}

void CallMedia::look_up(const IceServerSettings &server) {
    ++lookups_open_;
    if (const auto address =
            Address::parse(server.host, server.port != 0 ? server.port : default_port(server)))
        return looked_up(server, std::vector<sip::Hop>{{sip::TransportKind::udp, *address}});
    const auto done = [this, server](const Result<std::vector<sip::Hop>> &hops) { looked_up(server, hops); };
    auto &resolver = host_.user_agent().resolver();
    if (server.port != 0)
        lookups_.push_back(
            resolver.resolve(host_uri(server.host, server.port), sip::TransportKind::udp, done));
    else
        lookups_.push_back(
            resolver.resolve_service(server.host, service_of(server), default_port(server), done));
}

// Of a host that the peer names instead of an address (mDNS).
void CallMedia::look_up(const std::string &host, std::function<void(const std::vector<Address> &)> found) {
    constexpr std::uint16_t any_port = 9; // with a port there is nothing to ask but addresses
    lookups_.push_back(host_.user_agent().resolver().resolve(
        host_uri(host, any_port), sip::TransportKind::udp,
        [found = std::move(found)](const Result<std::vector<sip::Hop>> &hops) {
            std::vector<Address> addresses;
            for (const auto &hop : hops.value_or(std::vector<sip::Hop>{}))
                addresses.push_back(hop.address);
            found(addresses);
        }));
}

void CallMedia::looked_up(const IceServerSettings &server, const Result<std::vector<sip::Hop>> &hops) {
    if (!hops) listener_.on_transport_trouble(server.host + ": " + hops.error().what);
    const int family = leg_->local_rtp().family();
    for (const auto &hop : hops.value_or(std::vector<sip::Hop>{})) {
        if (hop.address.family() != family) continue;
        const auto &tls = host_.settings().tls;
        servers_.push_back({server.kind,
                            server.way,
                            hop.address,
                            server.user.empty() ? account_.turn_user : server.user,
                            account_.turn_password,
                            {server.host, tls.ca_file, tls.insecure}});
        break;
    }
    if (--lookups_open_ > 0 || !prepared_) return;
    leg_->gather(offerer_, servers_, [this] {
        if (prepared_) std::exchange(prepared_, nullptr)();
    });
}

// ICE gives up by itself; a DTLS handshake that nobody takes part in does not end.
void CallMedia::watch_transport(TimePoint now) {
    if (!transport_due_ || leg_->transport_ready() || now < *transport_due_) return;
    transport_due_.reset();
    listener_.on_transport_failed(Error{Errc::media, "no DTLS handshake, and so no keys for the media", 0});
}

} // namespace offhook
