// The browsers' ends of a Relay: paths, ICE, DTLS, consent.
#include <algorithm>
#include <utility>

#include "base/random.hpp"
#include "bridge/relay.hpp"
#include "bridge/relay_parts.hpp"
#include "bridge/tcp_path.hpp"

namespace offhook::bridge {

namespace {

constexpr Duration consent{30'000}; // RFC 7675 §5.1
constexpr Duration connect_within{30'000};
constexpr Duration gone{6'000};         // nothing at all from a browser whose connection is lost
constexpr Duration goodbye{2'000};      // between the end of DTLS and the BYE
constexpr std::size_t most_early = 4;   // datagrams
constexpr std::size_t most_streams = 4; // TCP connections of a browser
constexpr unsigned first_stream = 8;    // their paths' numbers; those before are of UDP

} // namespace

void Relay::add_web(unsigned id, std::unique_ptr<WebPath> path, const Address &local, WebSecrets secrets,
                    std::vector<std::uint32_t> ssrcs) {
    EndPoint &added = end(id);
    const auto number = static_cast<unsigned>(added.locals.size());
    if (number == first_stream) return;
    if (number == 0) {
        added.web = added.present = true;
        added.created = std::chrono::steady_clock::now();
        added.local = local;
        added.ice.emplace(media::IceCredentials{secrets.ufrag, secrets.password});
        added.identity = std::move(secrets.identity);
        added.channel.close_until_keyed();
        added.out.resize(std::max(added.out.size(), ssrcs.size()));
        for (std::size_t i = 0; i < ssrcs.size(); ++i)
            added.out[i].stream.emplace(ssrcs[i], static_cast<std::uint16_t>(random_u32() & 0x7fff),
                                        random_u32());
    }
    added.locals.push_back(local);
    added.paths[number] = std::move(path);
    added.paths[number]->open(*this, port_of(id, number, false));
}

void Relay::add_stream(unsigned id, Fd socket, const Address &remote, std::vector<std::uint8_t> bytes) {
    EndPoint &of = end(id);
    if (!of.web || !of.present || closed_) return;
    if (of.paths.size() >= of.locals.size() + most_streams) // the oldest that carries nothing makes way
        of.paths.erase(std::ranges::find_if(of.paths, [&](const auto &one) {
            return one.first >= first_stream && one.second.get() != of.path;
        }));
    do
        of.last_stream = (of.last_stream + 1) % (lines_of_end - first_stream);
    while (of.paths.contains(first_stream + of.last_stream));
    const unsigned number = first_stream + of.last_stream;
    auto closed = [this, weak = weak_from_this(), id, number] {
        worker_.post([weak, id, number] {
            if (const auto self = weak.lock()) self->lose_path(id, number);
        });
    };
    auto &path = of.paths[number] =
        tcp_path(worker_, std::move(socket), remote, std::move(bytes), std::move(closed));
    path->open(*this, port_of(id, number, false));
}

// The browser connects again or finds another way; that it has gone is known by its consent alone.
void Relay::lose_path(unsigned id, unsigned number) {
    EndPoint &of = end(id);
    const auto lost = of.paths.find(number);
    if (lost == of.paths.end() || !lost->second->over()) return;
    if (of.path == lost->second.get()) of.path = nullptr;
    of.paths.erase(lost);
}

void Relay::to_web(EndPoint &to, std::span<const std::uint8_t> packet) {
    if (to.path != nullptr) to.path->send(*to.ice->selected(), packet);
}

void Relay::set_fingerprint(unsigned id, const std::string &text) {
    EndPoint &known = end(id);
    if (known.fingerprint == text || !known.web) return;
    known.fingerprint = text;
    const auto print = media::DtlsFingerprint::parse(text);
    if (!print) return fail_end(known, "the fingerprint cannot be used");
    // Always the server: two clients would wait for each other, and two servers too.
    auto session = media::DtlsSession::open(known.identity, media::DtlsRole::server, {*print});
    if (!session) return fail_end(known, session.error().what);
    known.dtls = std::move(*session);
    for (const auto &datagram : std::exchange(known.early, {}))
        if (!known.lost) handshake(known, known.dtls->receive(datagram));
}

void Relay::checked(EndPoint &from, unsigned path, std::span<const std::uint8_t> packet,
                    const Address &source, TimePoint now) {
    const auto outcome = from.ice->received(source, packet, now, path);
    WebPath &way = *from.paths[path];
    if (outcome.accepted) from.checked = now;
    if (outcome.accepted && from.ice->is_selected(source, path)) {
        from.path = &way;
        from.local = from.locals[path < from.locals.size() ? path : 0];
        way.nominated(source, now);
    }
    if (!outcome.reply.empty()) way.send(source, outcome.reply);
}

void Relay::from_web(EndPoint &from, unsigned path, std::span<std::uint8_t> packet, const Address &source,
                     TimePoint now) {
    if (packet.empty() || closed_) return;
    const std::uint8_t first = packet[0];
    if (first < 4) return checked(from, path, packet, source, now); // RFC 7983
    if (!from.ice->is_selected(source, path)) {                     // strangers have proved nothing
        add_one(count(from).rejected);
        return;
    }
    if (media::looks_like_dtls(packet)) {
        if (from.dtls)
            handshake(from, from.dtls->receive(packet));
        else if (from.early.size() < most_early)
            from.early.emplace_back(packet.begin(), packet.end());
        return;
    }
    if (first < 128 || first > 191 || !from.keyed) return;
    const bool control = is_rtcp(packet);
    const auto opened = control ? from.channel.open_rtcp(packet) : from.channel.open_rtp(packet);
    if (!opened) {
        add_one(count(from).rejected);
        return;
    }
    from.heard = now;
    note(source, from.local, *opened);
    if (control) return rtcp(from, 0, *opened, now);
    const std::int8_t line = from.line_of[(*opened)[1] & 127];
    if (line >= 0) rtp(from, static_cast<std::size_t>(line), *opened, now);
}

void Relay::fail_end(EndPoint &from, const std::string &why) {
    if (!std::exchange(from.lost, true)) events_.lost(side(from), why);
}

void Relay::handshake(EndPoint &from, const Result<> &step) {
    for (const auto &datagram : from.dtls->take_output())
        to_web(from, datagram);
    from.dtls_due.reset();
    if (const auto due = from.dtls->timer()) {
        from.dtls_due = std::chrono::steady_clock::now() + *due;
        worker_.hurry(handshake_poll);
    }
    if (!step) return fail_end(from, step.error().what);
    if (from.dtls->keys()) keyed(from);
    if (from.dtls->closed_by_peer() && from.keyed && !from.closed)
        from.closed = std::chrono::steady_clock::now(); // its BYE should be on the way
}

void Relay::keyed(EndPoint &from) {
    if (from.keyed || !from.channel.use(*from.dtls->keys())) return;
    from.keyed = true;
    events_.up();
    request_key_frame(other(side(from))); // it starts with nothing to decode
}

void Relay::watch_consent(EndPoint &from, TimePoint now) {
    if (!from.web || from.lost || !settled_) return;
    if (from.closed && now - *from.closed > goodbye) return fail_end(from, "the browser closed its media");
    const TimePoint heard = std::max({from.heard, from.checked, from.created});
    if (now - heard <= (from.impatient ? gone : from.keyed ? consent : connect_within)) return;
    fail_end(from, from.keyed ? "nothing comes from the browser any more" : "the browser did not connect");
}

void Relay::impatient(End end_, bool on) {
    EndPoint &of = end_ == End::caller ? end(0) : end(active_ + 1);
    of.impatient = on;
}

} // namespace offhook::bridge
