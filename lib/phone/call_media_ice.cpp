// CallMedia: what comes before the media can flow: STUN and TURN servers, ICE, DTLS.
#include "phone/call_media.hpp"

namespace offhook {

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
    if (const auto address = Address::parse(server.host, server.port))
        return looked_up(server, std::vector<sip::Hop>{{sip::TransportKind::udp, *address}});
    sip::Uri uri; // with a port there is nothing to ask but addresses (RFC 3263 §4.2)
    uri.scheme = "sip";
    uri.host = server.host;
    uri.port = server.port;
    lookups_.push_back(host_.user_agent().resolver().resolve(
        uri, sip::TransportKind::udp,
        [this, server](const Result<std::vector<sip::Hop>> &hops) { looked_up(server, hops); }));
}

void CallMedia::looked_up(const IceServerSettings &server, const Result<std::vector<sip::Hop>> &hops) {
    if (!hops) listener_.on_transport_trouble(server.host + ": " + hops.error().what);
    const int family = leg_->local_rtp().family();
    for (const auto &hop : hops.value_or(std::vector<sip::Hop>{})) {
        if (hop.address.family() != family) continue;
        const auto &tls = host_.settings().tls;
        servers_.push_back({server.kind,
                            server.way,
                            hop.address.with_port(server.port),
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
