#include "media/turn_client.hpp"

#include <algorithm>

#include "media/wire.hpp"

namespace offhook::media {

namespace {

constexpr unsigned most_sends = 7, most_refusals = 3;
constexpr Duration first_wait{250}, longest_wait{4'000};
constexpr Duration patience{8'000};             // over TCP, where nothing is repeated
constexpr Duration permission_renewal{240'000}; // of 5 minutes (RFC 8656 §9)
constexpr std::uint32_t udp_protocol = 17U << 24;
constexpr std::size_t most_peers = 128, most_requests = 256;
constexpr std::uint16_t last_channel = 0x4FFF;
constexpr std::size_t channel_header = 4;

Duration wait_after(unsigned sent) {
    return std::min(first_wait * (1 << std::min(sent - 1, 5U)), longest_wait);
}

StunMethod method_of(std::uint8_t use) {
    static constexpr StunMethod methods[] = {StunMethod::allocate, StunMethod::refresh,
                                             StunMethod::create_permission, StunMethod::channel_bind};
    return methods[use];
}

std::string_view cut(std::string_view text) {
    return text.substr(0, std::min<std::size_t>(text.size(), 763)); // RFC 8489 §14.9
}

} // namespace

TurnClient::Peer &TurnClient::peer_of(const Address &address) {
    const auto known = std::ranges::find(peers_, address, &Peer::address);
    if (known != peers_.end()) return *known;
    if (peers_.size() == most_peers) peers_.erase(peers_.begin());
    return peers_.emplace_back(Peer{address});
}

std::vector<std::uint8_t> TurnClient::encode(const Request &request) {
    StunWriter writer(StunClass::request, method_of(static_cast<std::uint8_t>(request.use)),
                      request.transaction);
    if (request.use == Use::allocate) {
        writer.add_number(StunAttribute::requested_transport, udp_protocol);
        if (options_.ipv6) writer.add_number(StunAttribute::requested_address_family, 2U << 24);
    }
    if (request.use == Use::refresh && over_) writer.add_number(StunAttribute::lifetime, 0);
    if (request.use == Use::channel)
        writer.add_number(StunAttribute::channel_number, std::uint32_t{peer_of(request.peer).channel} << 16);
    if (request.use == Use::channel || request.use == Use::permission)
        writer.add_address(StunAttribute::xor_peer_address, request.peer);
    if (realm_.empty()) return writer.finish();
    writer.add(StunAttribute::username, options_.user)
        .add(StunAttribute::realm, realm_)
        .add(StunAttribute::nonce, nonce_);
    return writer.finish_signed(Bytes(key_));
}

void TurnClient::request(Use use, const Address &peer, Step &step, TimePoint now, unsigned refusals) {
    if (requests_.size() == most_requests) return;
    Request made{use, peer, random_transaction()};
    made.packet = encode(made);
    made.refusals = refusals;
    made.sent = 1;
    made.resend = now + (options_.reliable ? patience : wait_after(1));
    step.send.push_back(made.packet);
    requests_.push_back(std::move(made));
}

TurnClient::Step TurnClient::start(TimePoint now) {
    Step step;
    request(Use::allocate, {}, step, now);
    return step;
}

TurnClient::Step TurnClient::received(Bytes bytes, TimePoint now) {
    Step step;
    if (!bytes.empty() && bytes[0] >= 0x40 && bytes[0] <= 0x4F) {
        take_data(bytes, step);
        return step;
    }
    const auto message = StunMessage::parse(bytes);
    if (!message) return step;
    if (message->is(StunClass::indication, StunMethod::data)) {
        const auto peer = message->address(StunAttribute::xor_peer_address);
        const auto data = message->find(StunAttribute::data);
        if (peer && data) step.data = Data{*peer, {data->begin(), data->end()}};
        return step;
    }
    const auto found = std::ranges::find(requests_, message->transaction(), &Request::transaction);
    if (found == requests_.end()) return step;
    const bool success = message->message_class() == StunClass::success;
    // Whoever knows the transaction without the key may refuse, but not grant.
    if (success && !realm_.empty() && !message->authenticated(Bytes(key_))) return step;
    if (!success && message->message_class() != StunClass::error) return step;
    const Request request = std::move(*found);
    requests_.erase(found);
    if (success)
        take_success(request, *message, step, now);
    else
        take_error(request, *message, step, now);
    return step;
}

void TurnClient::take_data(Bytes message, Step &step) {
    if (message.size() < channel_header) return;
    const std::uint16_t channel = read_u16(message, 0), size = read_u16(message, 2);
    if (size > message.size() - channel_header) return;
    const auto peer = std::ranges::find(peers_, channel, &Peer::channel);
    if (peer == peers_.end()) return;
    const Bytes data = message.subspan(channel_header, size);
    step.data = Data{peer->address, {data.begin(), data.end()}};
}

void TurnClient::take_success(const Request &request, const StunMessage &message, Step &step, TimePoint now) {
    const auto lifetime = std::chrono::seconds(message.number(StunAttribute::lifetime).value_or(600));
    switch (request.use) {
    case Use::allocate:
        relayed_ = message.address(StunAttribute::xor_relayed_address);
        mapped_ = message.address(StunAttribute::xor_mapped_address);
        if (!relayed_) return fail_with(step, Errc::network, "the TURN server gave no address");
        step.allocated = true;
        [[fallthrough]];
    case Use::refresh:
        refresh_at_ =
            now + std::max<Duration>(std::chrono::duration_cast<Duration>(lifetime) / 2, Duration{5'000});
        return;
    case Use::channel:
        peer_of(request.peer).bound = true;
        [[fallthrough]];
    case Use::permission:
        peer_of(request.peer).renew = now + permission_renewal;
        return;
    }
}

void TurnClient::take_error(const Request &request, const StunMessage &message, Step &step, TimePoint now) {
    const unsigned code = message.error_code();
    const bool unknown_nonce = code == 438 || (code == 401 && realm_.empty());
    if (unknown_nonce && request.refusals < most_refusals) {
        nonce_ = cut(message.text(StunAttribute::nonce));
        if (const auto realm = message.text(StunAttribute::realm); !realm.empty()) realm_ = cut(realm);
        key_ = stun_long_term_key(options_.user, realm_, options_.password);
        if (!realm_.empty() && !nonce_.empty())
            return this->request(request.use, request.peer, step, now, request.refusals + 1);
    }
    if (request.use == Use::permission || request.use == Use::channel) return; // that peer cannot be reached
    if (over_) return;
    if (code == 401)
        return fail_with(step, Errc::authentication, "the TURN server refuses user and password");
    fail_with(step, Errc::network, "the TURN server refuses: " + std::to_string(code));
}

void TurnClient::fail_with(Step &step, Errc code, const std::string &why) {
    over_ = true;
    relayed_.reset();
    requests_.clear();
    refresh_at_.reset();
    step.failed = Error{code, why, 0};
}

TurnClient::Step TurnClient::tick(TimePoint now) {
    Step step;
    for (std::size_t i = 0; i < requests_.size();) {
        Request &request = requests_[i];
        if (request.resend > now) {
            ++i;
        } else if (options_.reliable || request.sent == most_sends) {
            const Use use = request.use;
            requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(i));
            if (over_ || use == Use::permission || use == Use::channel) continue;
            fail_with(step, Errc::timeout, "the TURN server does not answer");
            return step;
        } else {
            request.resend = now + wait_after(++request.sent);
            step.send.push_back(request.packet);
            ++i;
        }
    }
    if (over_ || !relayed_) return step;
    if (refresh_at_ && *refresh_at_ <= now) {
        refresh_at_.reset();
        request(Use::refresh, {}, step, now);
    }
    for (Peer &peer : peers_) {
        if (!peer.renew || *peer.renew > now) continue;
        peer.renew.reset();
        request(peer.channel != 0 ? Use::channel : Use::permission, Address(peer.address), step, now);
    }
    return step;
}

std::optional<TimePoint> TurnClient::next_tick() const {
    std::optional<TimePoint> next = over_ ? std::nullopt : refresh_at_;
    const auto at = [&next](TimePoint when) { next = next ? std::min(*next, when) : when; };
    for (const Request &request : requests_)
        at(request.resend);
    if (over_) return next;
    for (const Peer &peer : peers_)
        if (peer.renew) at(*peer.renew);
    return next;
}

TurnClient::Step TurnClient::send(const Address &peer, Bytes bytes, TimePoint now) {
    Step step;
    if (over_ || !relayed_) return step;
    const bool known = std::ranges::find(peers_, peer, &Peer::address) != peers_.end();
    Peer &to = peer_of(peer);
    if (!known) request(Use::permission, peer, step, now);
    if (to.bound) {
        std::vector<std::uint8_t> message(channel_header + bytes.size());
        write_u16(message, 0, to.channel);
        write_u16(message, 2, static_cast<std::uint16_t>(bytes.size()));
        std::ranges::copy(bytes, message.begin() + channel_header);
        if (options_.reliable) message.resize((message.size() + 3) / 4 * 4);
        step.send.push_back(std::move(message));
        return step;
    }
    step.send.push_back(StunWriter(StunClass::indication, StunMethod::send, random_transaction())
                            .add_address(StunAttribute::xor_peer_address, peer)
                            .add(StunAttribute::data, bytes)
                            .finish(false));
    return step;
}

TurnClient::Step TurnClient::bind(const Address &peer, TimePoint now) {
    Step step;
    if (over_ || !relayed_) return step;
    Peer &to = peer_of(peer);
    if (to.channel != 0 || next_channel_ > last_channel) return step;
    to.channel = next_channel_++;
    request(Use::channel, peer, step, now);
    return step;
}

TurnClient::Step TurnClient::stop(TimePoint now) {
    Step step;
    if (over_) return step;
    over_ = true;
    requests_.clear();
    if (relayed_) request(Use::refresh, {}, step, now);
    return step;
}

Result<std::size_t> turn_message_size(Bytes stream) noexcept {
    if (stream.size() < channel_header) return 0;
    const std::size_t size = read_u16(stream, 2);
    if (stream[0] <= 3) return stun_header_size + size;
    if (stream[0] >= 0x40 && stream[0] <= 0x4F) return (channel_header + size + 3) / 4 * 4;
    return fail(Errc::parse, "the TURN server sends something else");
}

StunQuery::Step StunQuery::start(TimePoint now) {
    transaction_ = random_transaction();
    sent_ = 0;
    done_ = false;
    resend_ = now;
    return tick(now);
}

StunQuery::Step StunQuery::received(Bytes datagram) {
    const auto message = StunMessage::parse(datagram);
    if (done_ || !message || message->transaction() != transaction_) return {};
    mapped_ = message->address(StunAttribute::xor_mapped_address);
    if (!mapped_) mapped_ = message->address(StunAttribute::mapped_address); // RFC 3489 servers
    done_ = true;
    return {{}, true};
}

StunQuery::Step StunQuery::tick(TimePoint now) {
    if (done_ || resend_ > now) return {};
    if (sent_ == most_sends) {
        done_ = true;
        return {{}, true};
    }
    resend_ = now + wait_after(++sent_);
    return {StunWriter(StunClass::request, StunMethod::binding, transaction_).finish(), false};
}

std::optional<TimePoint> StunQuery::next_tick() const {
    return done_ ? std::nullopt : std::optional(resend_);
}

} // namespace offhook::media
