#include "sip/sctp_tunnel.hpp"

#ifdef HAVE_USRSCTP

#include <algorithm>

namespace offhook::sip {

namespace {

constexpr Duration tick{10};
constexpr Duration afterglow{10'000}; // in which associations that were closed say good-bye
constexpr std::size_t peers_at_most = 2048, learned_at_most = 1024;
constexpr std::size_t common_header = 12;

// What a packet of a peer that is not known may begin with (RFC 9260 §3.2).
bool may_begin(std::string_view packet) {
    constexpr char init = 1;
    constexpr char cookie_echo = 10;
    return packet.size() > common_header + 4 &&
           (packet[common_header] == init || packet[common_header] == cookie_echo);
}

} // namespace

Result<std::shared_ptr<SctpTunnel>> SctpTunnel::open(Loop &loop, const Usrsctp &library,
                                                     const Address &bind) {
    std::shared_ptr<SctpTunnel> tunnel(new SctpTunnel(loop, library));
    auto socket = UdpSocket::open(loop, bind, *tunnel);
    if (!socket) return fail(socket.error());
    tunnel->socket_ = std::move(*socket);
    return tunnel;
}

SctpTunnel::~SctpTunnel() {
    for (const auto &entry : peers_)
        library_.forget(entry.first);
}

SctpPeer SctpTunnel::peer_at(const Address &remote) {
    const auto known = by_address_.find(remote);
    if (known != by_address_.end()) return known->second;
    if (peers_.size() >= peers_at_most) forget_oldest_stranger();
    const SctpPeer peer = library_.introduce(
        [this, remote](const void *packet, std::size_t size) { send(remote, packet, size); });
    by_address_.emplace(remote, peer);
    peers_.emplace(peer, Peer{remote, loop_.now(), {}});
    return peer;
}

void SctpTunnel::forget_oldest_stranger() {
    auto oldest = peers_.end();
    for (auto it = peers_.begin(); it != peers_.end(); ++it)
        if (it->second.users.empty() && (oldest == peers_.end() || it->second.heard < oldest->second.heard))
            oldest = it;
    if (oldest == peers_.end()) return;
    library_.forget(oldest->first);
    by_address_.erase(oldest->second.remote);
    peers_.erase(oldest);
}

const Address *SctpTunnel::address_of(SctpPeer peer) const {
    const auto found = peers_.find(peer);
    return found == peers_.end() ? nullptr : &found->second.remote;
}

void SctpTunnel::add_user(SctpPeer peer, User &user) {
    peers_.at(peer).users.push_back(&user);
    keep_time();
}

void SctpTunnel::remove_user(SctpPeer peer, const User &user) {
    if (const auto found = peers_.find(peer); found != peers_.end()) std::erase(found->second.users, &user);
}

void SctpTunnel::learn(const Address &remote, const Address &udp) {
    if (learned_.size() >= learned_at_most) learned_.clear();
    learned_.insert_or_assign(remote, udp);
}

const Address *SctpTunnel::learned(const Address &remote) const {
    const auto found = learned_.find(remote);
    return found == learned_.end() ? nullptr : &found->second;
}

void SctpTunnel::send(const Address &remote, const void *packet, std::size_t size) {
    if (auto local = socket_->source_towards(remote))
        (void)socket_->send(*local, remote, {static_cast<const char *>(packet), size});
    keep_time();
}

void SctpTunnel::on_datagram(UdpSocket &, std::string_view bytes, const Address &, const Address &remote) {
    if (!by_address_.contains(remote) && !may_begin(bytes)) return;
    const SctpPeer peer = peer_at(remote);
    peers_.at(peer).heard = loop_.now();
    library_.conninput(sctp_address(peer, 0).sconn_addr, bytes.data(), bytes.size(), 0);
    keep_time();
    if (arrived_) arrived_();
}

void SctpTunnel::on_unreachable(UdpSocket &, const Address &remote, int err) {
    const auto known = by_address_.find(remote);
    if (known == by_address_.end()) return;
    const auto users = peers_.at(known->second).users;
    for (User *user : users)
        user->on_unreachable(err);
}

bool SctpTunnel::in_use() const {
    return std::ranges::any_of(peers_, [](const auto &entry) { return !entry.second.users.empty(); });
}

void SctpTunnel::keep_time() {
    quiet_at_ = loop_.now() + afterglow;
    if (tick_.running()) return;
    tick_.start(tick, [this] {
        library_.tick(loop_.now());
        const TimePoint until = quiet_at_;
        if (loop_.now() < until || in_use()) {
            keep_time();
            quiet_at_ = until; // only what travels moves it
        }
    });
}

} // namespace offhook::sip

#endif
