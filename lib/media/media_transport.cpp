#include "media/media_transport.hpp"

#include <algorithm>

#include "base/local_addresses.hpp"

namespace offhook::media {

namespace {
constexpr std::size_t most_early = 4;
constexpr std::uint8_t first_channel = 0x40, last_channel = 0x4F; // ChannelData (RFC 7983)

void offer_found(IceTransport &ice, const NamedCandidate &named, const std::vector<Address> &found) {
    for (const Address &address : found) {
        IceCandidate candidate = named.candidate;
        candidate.address = address.with_port(named.port);
        if (may_be_checked(candidate.address)) ice.add_remote(candidate);
    }
}

} // namespace

Result<std::unique_ptr<MediaTransport>> MediaTransport::open(Loop &loop, const Address &ip,
                                                             std::uint16_t port_min, std::uint16_t port_max,
                                                             IceTransport::Options ice) {
    auto sockets = RtpSockets::open(ip, port_min, port_max);
    if (!sockets) return fail(sockets.error());
    std::unique_ptr<MediaTransport> transport(new MediaTransport(loop, std::move(*sockets)));
    if (!ice.ice && !ice.mapped_address) return transport;
    if (ice.ice && !ice.relay_only) transport->open_others(port_min, port_max);
    MediaTransport *raw = transport.get();
    IceTransport::Events events;
    events.send = [raw](std::size_t socket, const Address &to, Bytes datagram) {
        raw->send_from(socket, to, datagram);
    };
    events.relayed = [raw](unsigned component, const Address &from, std::span<std::uint8_t> datagram) {
        raw->from_peer(component, from, datagram);
    };
    events.selected = [raw] {
        raw->start_dtls();
        if (raw->events_.changed) raw->events_.changed();
    };
    events.faltering = [raw] {
        if (raw->events_.faltering) raw->events_.faltering();
    };
    events.failed = [raw](const Error &error) {
        if (!std::exchange(raw->failed_, true) && raw->events_.failed) raw->events_.failed(error);
    };
    events.trouble = [raw](const std::string &what) {
        if (raw->events_.trouble) raw->events_.trouble(what);
    };
    transport->ice_ = std::make_unique<IceTransport>(loop, std::move(ice), std::move(events));
    return transport;
}

// Calls within the host stay there: who is reached by the loopback needs no other address of it.
void MediaTransport::open_others(std::uint16_t port_min, std::uint16_t port_max) {
    if (rtp().is_loopback()) return;
    for (const Address &address : local_addresses()) {
        if (sockets_.size() == most_addresses) return;
        if (address.same_ip(rtp())) continue;
        if (auto sockets = RtpSockets::open(address, port_min, port_max))
            sockets_.push_back(
                std::move(*sockets)); // else one address less: an IPv6 one may still be tentative
    }
}

void MediaTransport::send_from(std::size_t socket, const Address &to, Bytes datagram) const {
    if (socket / 2 >= sockets_.size()) return; // closed: the peer has no ICE
    const auto &sockets = sockets_[socket / 2];
    if (socket % 2 == 0)
        sockets->send_rtp(to, datagram);
    else
        sockets->send_rtcp(to, datagram);
}

void MediaTransport::set_paced(bool paced) {
    for (auto &sockets : sockets_)
        sockets->set_paced(paced);
}

void MediaTransport::poll() {
    for (auto &sockets : sockets_)
        sockets->poll();
}

// DTLS says good-bye over what is destroyed after it.
MediaTransport::~MediaTransport() {
    for (auto &link : dtls_)
        link.reset();
    ice_.reset();
}

Result<> MediaTransport::start(Events events) {
    events_ = std::move(events);
    for (std::size_t address = 0; address < sockets_.size(); ++address) {
        const auto arrives = [this, address](unsigned component) {
            return [this, address, component](const Address &from, std::span<std::uint8_t> datagram) {
                arrived(address, component, from, datagram);
            };
        };
        if (auto started = sockets_[address]->start(arrives(1), arrives(2)); !started) return started;
    }
    return {};
}

void MediaTransport::gather(bool offerer, const std::vector<IceServer> &servers, std::function<void()> done) {
    if (!ice_) return done();
    ice_->set_controlling(offerer);
    std::vector<IceTransport::Socket> sockets;
    for (const auto &one : sockets_) {
        sockets.push_back({1, one->rtp()});
        sockets.push_back({2, one->rtcp()});
    }
    ice_->gather(std::move(sockets), servers, std::move(done));
}

MediaTransport::Local MediaTransport::local() const {
    if (!ice_ || !ice_->gathered()) return {rtp(), {}, {}};
    const Address rtp = ice_->default_address(1), rtcp = ice_->default_address(2);
    const bool next_port = rtcp == rtp.with_port(static_cast<std::uint16_t>(rtp.port() + 1));
    return {rtp, ice_->description(), next_port ? std::nullopt : std::optional(rtcp)};
}

void MediaTransport::offered(const AgreedTransport &offer) {
    if (!ice_ || !configured_ || !offer.ice || !agreed_.ice) return;
    if (!(offer.ice->credentials == agreed_.ice->credentials)) ice_->restart();
}

Result<> MediaTransport::configure(const AgreedTransport &agreed, const Address &rtp, const Address &rtcp) {
    const bool same_dtls = configured_ && agreed.dtls == agreed_.dtls && agreed.rtcp_mux == agreed_.rtcp_mux;
    const bool moved = !configured_ || !(agreed_.dtls && same_dtls);
    agreed_ = agreed;
    configured_ = true;
    if (moved) peer_ = {rtp, rtcp};
    if (ice_ && !agreed.ice && !ice_->active()) {
        if (ice_->relay_only())
            return fail(Errc::media, "the peer has no ICE, and media may go through the relay only", 488);
        ice_->give_up();
        delivering_ = 0;
        sockets_.resize(1);
    }
    if (agreed.sdes) return channels_[0].use(*agreed.sdes);
    if (!agreed.dtls || same_dtls) return {};
    return open_dtls(*agreed.dtls);
}

Result<> MediaTransport::open_dtls(const AgreedDtls &dtls) {
    for (unsigned component = 1; component <= rtcp_component(); ++component) {
        DtlsLink::Events events;
        events.send = [this, component](Bytes datagram) {
            send_raw(component, peer_[component - 1], datagram);
        };
        events.keyed = [this, component](const SrtpKeys &keys) {
            if (auto used = channel(component).use(keys); !used && events_.failed)
                events_.failed(used.error());
            if (events_.changed) events_.changed();
        };
        events.failed = [this](const Error &error) {
            if (!std::exchange(failed_, true) && events_.failed) events_.failed(error);
        };
        channel(component).close_until_keyed();
        auto link = DtlsLink::open(loop_, dtls.role, dtls.fingerprints, std::move(events));
        if (!link) return fail(link.error());
        dtls_[component - 1] = std::move(*link);
    }
    if (agreed_.rtcp_mux) dtls_[1].reset();
    return {};
}

void MediaTransport::connect() {
    connected_ = true;
    if (ice_ && agreed_.ice) {
        ice_->set_remote(*agreed_.ice, rtcp_component());
        look_up_named(*agreed_.ice);
    }
    if (!ice()) start_dtls();
}

// Candidates by mDNS name (RFC 8828 §5.2). Until an address is known, and without one, the peer's own checks
// make up for it.
void MediaTransport::look_up_named(const IceDescription &ice) {
    if (!events_.look_up || looked_up_ == ice.credentials.ufrag) return;
    looked_up_ = ice.credentials.ufrag;
    std::vector<std::string> asked; // RTP and RTCP are at one host
    for (const NamedCandidate &named : ice.named) {
        if (std::ranges::find(asked, named.host) != asked.end()) continue;
        asked.push_back(named.host);
        events_.look_up(named.host, [this, all = ice.named, host = named.host,
                                     ufrag = looked_up_](const std::vector<Address> &found) {
            if (looked_up_ != ufrag) return; // ICE has been restarted since
            if (found.empty() && events_.trouble)
                events_.trouble("the peer's candidate " + host + " is left out: it has no address here");
            for (const NamedCandidate &one : all)
                if (one.host == host) offer_found(*ice_, one, found);
        });
    }
}

void MediaTransport::start_dtls() {
    if (!connected_ || !agreed_.dtls) return;
    for (unsigned component = 1; component <= rtcp_component(); ++component)
        if (dtls_[component - 1] && (!ice() || ice_->connected(component))) dtls_[component - 1]->start();
    for (Early &early : std::exchange(early_, {}))
        take_dtls(early.component, early.from, early.bytes);
}

bool MediaTransport::ready() const noexcept {
    return (!ice() || ice_->connected(1)) && (!agreed_.dtls || channels_[0].secure());
}

// RFC 7983: one socket, several protocols.
void MediaTransport::arrived(std::size_t address, unsigned component, const Address &from,
                             std::span<std::uint8_t> datagram) {
    if (datagram.empty()) return;
    delivering_ = address;
    const bool of_server =
        ice_ && datagram[0] >= first_channel && datagram[0] <= last_channel && ice_->is_server(from);
    if (of_server || looks_like_stun(datagram)) {
        if (ice_) ice_->received(socket_of(address, component), from, datagram);
        return;
    }
    from_peer(component, from, datagram);
}

// DTLS and, with ICE, media come from an address that has passed a check; without ICE, from the host that was
// signalled. The leg above is stricter with plain RTP.
bool MediaTransport::may_speak(unsigned component, const Address &from) const {
    if (ice()) return ice_->validated(from);
    return configured_ && from.same_ip(peer_[component - 1]);
}

void MediaTransport::from_peer(unsigned component, const Address &from, std::span<std::uint8_t> datagram) {
    if (looks_like_dtls(datagram)) return take_dtls(component, from, datagram);
    if (ice() && !may_speak(component, from)) return;
    // Some multiplex RTCP unasked (RFC 5761), so the socket does not tell what it is.
    const bool control = looks_like_rtcp(datagram);
    SecureChannel &keys = channel(component);
    const auto clear = control ? keys.open_rtcp(datagram) : keys.open_rtp(datagram);
    if (clear) (control ? events_.rtcp : events_.rtp)(from, *clear);
}

void MediaTransport::take_dtls(unsigned component, const Address &from, std::span<std::uint8_t> datagram) {
    const bool expected = configured_ && connected_ && agreed_.dtls;
    if (!expected || !may_speak(component, from)) {
        // The peer may be faster than its answer, or than our check of its address: a second saved.
        if (early_.size() < most_early && (ice_ || !configured_ || may_speak(component, from)))
            early_.push_back({component, from, {datagram.begin(), datagram.end()}});
        return;
    }
    if (!dtls_[component - 1]) return;
    if (!ice()) peer_[component - 1] = from;
    dtls_[component - 1]->received(datagram);
}

void MediaTransport::send_raw(unsigned component, const Address &to, Bytes datagram) {
    if (ice()) return ice_->send(component, datagram);
    send_from(socket_of(0, component), to, datagram);
}

void MediaTransport::send_rtp(const Address &to, std::span<std::uint8_t> buffer, std::size_t size) {
    if (const auto packet = channel(1).seal_rtp(buffer, size))
        send_raw(1, agreed_.dtls ? peer_[0] : to, *packet);
}

void MediaTransport::send_rtcp(const Address &to, std::span<std::uint8_t> buffer, std::size_t size) {
    const unsigned component = rtcp_component();
    if (const auto packet = channel(component).seal_rtcp(buffer, size))
        send_raw(component, agreed_.dtls ? peer_[component - 1] : to, *packet);
}

std::string MediaTransport::srtp() const {
    if (const auto suite = channels_[0].suite()) return std::string(info(*suite).sdes_name);
    return agreed_.dtls ? "dtls" : "";
}

std::uint64_t MediaTransport::rejected() const noexcept {
    return channels_[0].rejected() + channels_[1].rejected();
}

} // namespace offhook::media
