#include "bridge/anchor_leg.hpp"

#include <algorithm>
#include <utility>

#include "base/log.hpp"
#include "base/random.hpp"
#include "bridge/web_path.hpp"
#include "media/media_ports.hpp"
#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

constexpr std::uint32_t udp_priority = 2130706431; // RFC 8445 §5.1.2.1: a host candidate
constexpr std::uint32_t tcp_priority = 2124414975; // RFC 6544 §4.2: a passive one, behind UDP

OwnAddressRules rules_of(const Settings &settings) {
    std::vector<Address> listeners;
    for (const auto &socket : settings.web)
        listeners.push_back(socket.address);
    std::optional<Address> shown;
    if (auto parsed = Address::parse(settings.public_address)) shown = *parsed;
    return rules_of_host(shown, std::move(listeners));
}

media::SdpConnection connection_of(const Address &address) {
    return {address.ip(), address.family() == AF_INET6};
}

Failure none_free(const Error &error) {
    return fail(Errc::network, error.what, 503);
}

} // namespace

AnchorLeg::AnchorLeg(Ground ground, unsigned id, bool web, const Address &remote)
    : signalling(remote), ground_(std::move(ground)), id_(id),
      addresses_(own_addresses(rules_of(*ground_.settings), remote)) {
    own.web = web;
    own.connection = connection_of(addresses_.front().shown);
    own.srtp = ground_.settings->srtp;
    own.avpf = ground_.settings->avpf;
    own.session_id = std::to_string(random_u64() >> 2);
    for (std::size_t i = 0; i < most_lines; ++i)
        own.ssrcs.push_back(random_u32());
    own.place = [this](std::size_t line) { return place(line); };
    if (!web) return;
    ufrag_ = sip::random_token(8); // on a shared port and by TCP it is also the leg's name
    password_ = sip::random_token(16);
    offer_tcp();
}

AnchorLeg::~AnchorLeg() {
    if (by_tcp_) ground_.gate->remove(ufrag_);
}

Result<OwnPlace> AnchorLeg::place(std::size_t line) {
    OwnPlace out;
    out.connection = own.connection;
    if (!own.web) {
        auto port = phone_port(line);
        if (!port) return tl::unexpected(port.error());
        out.port = *port;
        return out;
    }
    if (auto open = open_web(); !open) return tl::unexpected(open.error());
    out.port = sockets_.front().port;
    out.ufrag = ufrag_;
    out.password = password_;
    out.fingerprint = ground_.identity->fingerprint().encode();
    out.candidates = candidates();
    return out;
}

Result<std::uint16_t> AnchorLeg::phone_port(std::size_t line) {
    if (line < ports_.size() && ports_[line] != 0) return ports_[line];
    const auto &settings = *ground_.settings;
    auto opened = media::open_media_port(addresses_.front().bind, settings.rtp_min, settings.rtp_max, true);
    if (!opened) return none_free(opened.error());
    if (ports_.size() <= line) ports_.resize(line + 1);
    ports_[line] = opened->port;
    const auto sockets = std::make_shared<media::MediaPort>(std::move(*opened));
    ground_.worker->post([relay = ground_.relay, sockets, id = id_, line, ssrc = own.ssrcs[line],
                          local = addresses_.front().shown.with_port(sockets->port)] {
        relay->add_line(id, line, std::move(sockets->rtp), std::move(sockets->rtcp), local, ssrc);
    });
    return ports_[line];
}

// The first address must be there; what else fails is not offered.
Result<> AnchorLeg::open_web() {
    if (!sockets_.empty()) return {};
    std::vector<OwnAddress> open;
    for (const auto &address : addresses_) {
        if (socket_on(address.bind) == nullptr) {
            auto port = open_path(address);
            if (!port && open.empty()) return tl::unexpected(port.error());
            if (!port) {
                log_debug("bridge: no media on " + address.shown.ip() + ": " + port.error().what);
                continue;
            }
            sockets_.push_back({address.bind, *port});
        }
        open.push_back(address);
    }
    addresses_ = std::move(open);
    return {};
}

const AnchorLeg::Socket *AnchorLeg::socket_on(const Address &bind) const {
    const auto known =
        std::ranges::find_if(sockets_, [&](const Socket &one) { return one.bind.same_ip(bind); });
    return known == sockets_.end() ? nullptr : &*known;
}

Result<std::uint16_t> AnchorLeg::open_path(const OwnAddress &address) {
    std::shared_ptr<IcePort> shared;
    const auto mine = std::make_shared<media::MediaPort>();
    if (ground_.ports) {
        auto opened = ground_.ports->on(address.bind);
        if (!opened) return none_free(opened.error());
        shared = std::move(*opened);
        mine->port = shared->address().port();
    } else {
        const auto &settings = *ground_.settings;
        auto opened = media::open_media_port(address.bind, settings.rtp_min, settings.rtp_max, false);
        if (!opened) return none_free(opened.error());
        *mine = std::move(*opened);
    }
    ground_.worker->post([relay = ground_.relay, worker = ground_.worker.get(), shared, mine, id = id_,
                          local = address.shown.with_port(mine->port),
                          secrets = Relay::WebSecrets{ufrag_, password_, ground_.identity},
                          ssrcs = own.ssrcs] {
        relay->add_web(id, shared ? shared->path(secrets.ufrag) : own_path(*worker, std::move(mine->rtp)),
                       local, secrets, ssrcs);
    });
    return mine->port;
}

void AnchorLeg::offer_tcp() {
    by_tcp_ = std::ranges::any_of(
        addresses_, [this](const OwnAddress &address) { return ground_.gate->port_for(address.bind) != 0; });
    if (!by_tcp_) return;
    ground_.gate->add({ufrag_, password_},
                      [worker = ground_.worker, relay = std::weak_ptr(ground_.relay),
                       id = id_](Fd socket, const Address &remote, std::vector<std::uint8_t> bytes) {
                          worker->post([relay, id, fd = std::make_shared<Fd>(std::move(socket)), remote,
                                        bytes = std::move(bytes)] {
                              if (const auto known = relay.lock())
                                  known->add_stream(id, std::move(*fd), remote, bytes);
                          });
                      });
}

// In the order of the addresses, which is that of preference.
std::vector<std::string> AnchorLeg::candidates() const {
    std::vector<std::string> out;
    std::uint32_t rank = 0;
    for (const auto &address : addresses_) {
        const std::string ip = " " + address.shown.ip() + " ";
        out.push_back(std::to_string(2 * rank + 1) + " 1 udp " + std::to_string(udp_priority - (rank << 8U)) +
                      ip + std::to_string(socket_on(address.bind)->port) + " typ host");
        if (const auto port = ground_.gate->port_for(address.bind); port != 0)
            out.push_back(std::to_string(2 * rank + 2) + " 1 tcp " +
                          std::to_string(tcp_priority - (rank << 8U)) + ip + std::to_string(port) +
                          " typ host tcptype passive");
        ++rank;
    }
    return out;
}

} // namespace offhook::bridge
