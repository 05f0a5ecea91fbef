#include "bridge/relay.hpp"

#include <algorithm>
#include <utility>

#include "base/random.hpp"
#include "bridge/tcp_path.hpp"
#include "media/wire.hpp"

namespace offhook::bridge {

namespace {

constexpr Duration consent{30'000};      // RFC 7675 §5.1
constexpr Duration gone{6'000};          // nothing at all from a browser whose connection is lost
constexpr Duration relatch_after{2'000}; // of silence
constexpr Duration report_every{5'000};
constexpr Duration key_frame_every{1'000};
constexpr Duration handshake_poll{50}, digit_tick{20};
constexpr Duration goodbye{2'000};      // between the end of DTLS and the BYE
constexpr std::size_t most_early = 4;   // datagrams
constexpr std::size_t most_streams = 4; // TCP connections of a browser
constexpr Duration connect_within{30'000};

std::uint32_t random_start() {
    return random_u32();
}

Address beside(const Address &rtp) { // RTCP has the next port
    return rtp.with_port(static_cast<std::uint16_t>(rtp.port() + 1));
}

// What a socket is watched as: the end, its line (of a browser: which of its paths) and which of the two
// ports.
constexpr unsigned lines_of_end = 128;
constexpr unsigned port_of(unsigned end, std::size_t line, bool rtcp) {
    return (end * lines_of_end + static_cast<unsigned>(line)) * 2 + (rtcp ? 1 : 0);
}

// Only the worker writes, so that no locked addition is needed.
void add_one(std::atomic<std::uint64_t> &counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

bool is_rtcp(std::span<const std::uint8_t> packet) {
    return packet.size() >= 8 && media::looks_like_rtcp(packet);
}

} // namespace

Relay::Relay(MediaWorker &worker, std::shared_ptr<RelayCounters> counters, Events events,
             std::shared_ptr<PacketLog> log)
    : worker_(worker), counters_(std::move(counters)), events_(std::move(events)), log_(std::move(log)) {}

Relay::~Relay() = default;

void Relay::start() {
    worker_.tick(this, [weak = weak_from_this()](TimePoint now) {
        if (const auto self = weak.lock()) self->tick(now);
    });
}

Relay::EndPoint &Relay::end(unsigned id) {
    if (ends_.size() <= id) ends_.resize(id + 1);
    if (!ends_[id]) {
        ends_[id] = std::make_unique<EndPoint>();
        ends_[id]->id = id;
        ends_[id]->line_of.fill(-1);
    }
    return *ends_[id];
}

void Relay::close_end(EndPoint &end) {
    for (auto &line : end.lines) {
        if (line.rtp) worker_.forget(line.rtp.get());
        if (line.rtcp) worker_.forget(line.rtcp.get());
    }
    end.present = false;
    end.path = nullptr;
    end.paths.clear();
    end.lines.clear();
}

void Relay::close() {
    if (std::exchange(closed_, true)) return;
    worker_.tick(this, {});
    for (auto &one : ends_)
        if (one) close_end(*one);
}

void Relay::add_web(unsigned id, std::unique_ptr<WebPath> path, const Address &local, WebSecrets secrets,
                    std::vector<std::uint32_t> ssrcs) {
    EndPoint &added = end(id);
    added.web = added.present = true;
    added.created = std::chrono::steady_clock::now();
    added.local = local;
    added.ice.emplace(media::IceCredentials{secrets.ufrag, secrets.password});
    added.identity = std::move(secrets.identity);
    added.channel.close_until_keyed();
    added.out.resize(std::max(added.out.size(), ssrcs.size()));
    for (std::size_t i = 0; i < ssrcs.size(); ++i)
        added.out[i].stream.emplace(ssrcs[i], static_cast<std::uint16_t>(random_start() & 0x7fff),
                                    random_start());
    added.paths[0] = std::move(path);
    added.paths[0]->open(*this, port_of(id, 0, false));
}

void Relay::add_stream(unsigned id, Fd socket, const Address &remote, std::vector<std::uint8_t> bytes) {
    EndPoint &of = end(id);
    if (!of.web || !of.present || closed_) return;
    if (of.paths.size() > most_streams) // the oldest that carries nothing makes way
        of.paths.erase(std::ranges::find_if(
            of.paths, [&](const auto &one) { return one.first != 0 && one.second.get() != of.path; }));
    do
        of.last_path = of.last_path % (lines_of_end - 1) + 1;
    while (of.paths.contains(of.last_path));
    const unsigned number = of.last_path;
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

void Relay::add_line(unsigned id, std::size_t line, Fd rtp_socket, Fd rtcp_socket, const Address &local,
                     std::uint32_t ssrc) {
    EndPoint &added = end(id);
    added.present = true;
    added.created = std::chrono::steady_clock::now();
    if (added.lines.size() <= line) added.lines.resize(line + 1);
    if (added.out.size() <= line) added.out.resize(line + 1);
    added.out[line].stream.emplace(ssrc, static_cast<std::uint16_t>(random_start() & 0x7fff), random_start());
    Plain &plain = added.lines[line];
    plain.local = local;
    plain.rtp = std::move(rtp_socket);
    plain.rtcp = std::move(rtcp_socket);
    worker_.watch(plain.rtp.get(), *this, port_of(id, line, false));
    worker_.watch(plain.rtcp.get(), *this, port_of(id, line, true));
}

void Relay::received(unsigned port, std::span<std::uint8_t> packet, const Address &from, TimePoint now) {
    EndPoint &of = *ends_[port / 2 / lines_of_end];
    if (of.web)
        from_web(of, port / 2 % lines_of_end, packet, from, now);
    else
        from_phone(of, port / 2 % lines_of_end, packet, from, now, port % 2 != 0);
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

void Relay::configure(unsigned branch, std::vector<LinePlan> plan, const Address &caller_signalling,
                      const Address &callee_signalling) {
    if (branches_.size() <= branch) branches_.resize(branch + 1);
    const auto apply = [&](EndPoint &to, End which, const Address &signalling) {
        to.line_of.fill(-1);
        if (to.out.size() < plan.size()) to.out.resize(plan.size());
        for (std::size_t i = 0; i < plan.size(); ++i) {
            const bool caller = which == End::caller;
            const LinePlan &line = plan[i];
            const Way &way = caller ? line.from_caller : line.from_callee;
            for (std::size_t number = 0; number < way.of.size(); ++number)
                if (way.of[number].out != no_number || way.of[number].codec >= 0)
                    to.line_of[number] = static_cast<std::int8_t>(i);
            to.out[i].event_number = caller ? line.caller_event : line.callee_event;
            to.out[i].event_clock = caller ? line.caller_event_clock : line.callee_event_clock;
            if (to.web || i >= to.lines.size()) continue;
            Plain &plain = to.lines[i];
            const Address &remote = caller ? line.caller_remote : line.callee_remote;
            plain.allowed = {remote, signalling};
            plain.mux = caller ? line.caller_mux : line.callee_mux;
            if (!plain.latched || !plain.remote.same_ip(remote)) {
                plain.remote = remote;
                plain.remote_rtcp = caller ? line.caller_rtcp : line.callee_rtcp;
            }
            plain.latched = false; // it may have moved
            if (const auto &keys = caller ? line.caller_keys : line.callee_keys)
                static_cast<void>(plain.channel.use(*keys));
        }
    };
    apply(end(0), End::caller, caller_signalling);
    apply(end(branch + 1), End::callee, callee_signalling);
    branches_[branch].plan = std::move(plan);
    expect();
}

void Relay::settle(unsigned branch) {
    settled_ = true;
    active_ = branch;
    for (unsigned i = 0; i < branches_.size(); ++i)
        if (i != branch) release(i);
    for (const End to : {End::caller, End::callee})
        request_key_frame(to); // whoever joins has nothing to decode until then
}

void Relay::release(unsigned branch) {
    if (branches_.size() <= branch) branches_.resize(branch + 1);
    branches_[branch].released = true;
    if (branch + 1 < ends_.size() && ends_[branch + 1]) close_end(*ends_[branch + 1]);
}

void Relay::checked(EndPoint &from, unsigned path, std::span<const std::uint8_t> packet,
                    const Address &source, TimePoint now) {
    const auto outcome = from.ice->received(source, packet, now, path);
    WebPath &way = *from.paths[path];
    if (outcome.accepted) from.checked = now;
    if (outcome.accepted && from.ice->is_selected(source, path)) {
        from.path = &way;
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

// Media comes from where the description or the signalling says, and stays with the source it came from first
// until a new description or silence: nobody else is let in (CVE-2017-14099).
bool Relay::latch(Plain &line, const Address &source, TimePoint now) {
    if (line.latched && now - line.heard > relatch_after) line.latched = false;
    if (line.latched && source == line.remote) return true;
    if (line.latched) return false;
    if (std::ranges::none_of(line.allowed, [&](const Address &a) { return a.same_ip(source); })) return false;
    line.latched = true;
    line.remote = source;
    return true;
}

void Relay::from_phone(EndPoint &from, std::size_t at, std::span<std::uint8_t> packet, const Address &source,
                       TimePoint now, bool rtcp_port) {
    if (closed_ || packet.size() < media::rtp_header_size - 4 || (packet[0] & 0xc0) != 0x80) return;
    Plain &line = from.lines[at];
    const bool control = rtcp_port || is_rtcp(packet);
    const auto refuse = [&] { add_one(count(from).rejected); };
    if (control) {
        if (std::ranges::none_of(line.allowed, [&](const Address &a) { return a.same_ip(source); }))
            return refuse();
        const auto opened = line.channel.open_rtcp(packet);
        if (!opened) return refuse();
        if (rtcp_port) line.remote_rtcp = source;
        note(source, rtcp_port ? beside(line.local) : line.local, *opened);
        return rtcp(from, at, *opened, now);
    }
    // With SRTP only what authenticates may move the stream.
    const auto opened = line.channel.open_rtp(packet);
    if (!opened || !latch(line, source, now)) return refuse();
    line.heard = now;
    from.heard = now;
    note(source, line.local, *opened);
    rtp(from, at, *opened, now);
}

void Relay::rtp(EndPoint &from, std::size_t line, std::span<std::uint8_t> packet, TimePoint now) {
    const auto parsed = media::parse_rtp(packet);
    if (!parsed || parsed->header.payload_type > 127) return;
    const bool caller = from.id == 0;
    if (!caller && !settled_) active_ = from.id - 1; // early media: who speaks is heard
    if (!caller && active_ != from.id - 1) return;
    if (active_ >= branches_.size() || line >= branches_[active_].plan.size()) return;
    const LinePlan &plan = branches_[active_].plan[line];
    const Way &way = caller ? plan.from_caller : plan.from_callee;
    const Way::Number &number = way.of[parsed->header.payload_type];
    add_one(count(from).in);
    if (line < from.out.size()) {
        Out &back = from.out[line];
        back.heard.set_clock_rate(number.clock);
        back.heard.received(parsed->header, parsed->payload.size(), now);
        back.heard_ssrc = parsed->header.ssrc;
    }
    EndPoint &to = caller ? end(active_ + 1) : end(0);
    if (!to.present || line >= to.out.size() || !to.out[line].stream) return;
    if (!way.codecs.empty()) return transcode(from, to, line, *parsed, way, now);
    if (number.out == no_number) return;
    Out &out = to.out[line];
    if (out.digits && out.digits->busy()) { // a digit of ours is being sent in place of sound
        out.stream->skip(parsed->header);
        return;
    }
    out.clock = number.clock;
    auto header = out.stream->rewrite(parsed->header, from.id, out.clock, now);
    if (!header) return;
    header->payload_type = number.out;
    // CSRCs and extensions stay behind; the new header ends where the payload begins.
    const auto offset = static_cast<std::size_t>(parsed->payload.data() - packet.data());
    const auto start = packet.subspan(offset - media::rtp_header_size);
    if (number.event_clock != 0)
        scale_event(packet.subspan(offset, parsed->payload.size()), number.event_clock, way.event_clock);
    media::write_rtp_header(*header, start.first<media::rtp_header_size>());
    ++out.packets;
    out.octets += parsed->payload.size();
    deliver(to, line, start, media::rtp_header_size + parsed->payload.size());
}

void Relay::deliver(EndPoint &to, std::size_t line, std::span<std::uint8_t> packet, std::size_t size) {
    const std::span buffer(packet.data(), size + media::srtp_room); // the worker's slots have tail room
    if (to.web) {
        if (!to.keyed || to.path == nullptr) return;
        note(to.local, *to.ice->selected(), packet.first(size));
        if (const auto sealed = to.channel.seal_rtp(buffer, size)) {
            to_web(to, *sealed);
            add_one(count(to).out);
        }
        return;
    }
    if (line >= to.lines.size()) return;
    Plain &plain = to.lines[line];
    note(plain.local, plain.remote, packet.first(size));
    if (const auto sealed = plain.channel.seal_rtp(buffer, size)) {
        worker_.send(plain.rtp.get(), plain.remote, *sealed);
        add_one(count(to).out);
    }
}

void Relay::deliver_rtcp(EndPoint &to, std::size_t line, std::span<const std::uint8_t> packet) {
    std::array<std::uint8_t, 1500> buffer{};
    if (packet.size() + media::srtp_room > buffer.size()) return;
    std::ranges::copy(packet, buffer.begin());
    const std::span whole(buffer.data(), packet.size() + media::srtp_room);
    if (to.web) {
        if (!to.keyed || to.path == nullptr) return;
        note(to.local, *to.ice->selected(), packet);
        if (const auto sealed = to.channel.seal_rtcp(whole, packet.size())) to_web(to, *sealed);
        return;
    }
    if (line >= to.lines.size()) return;
    Plain &plain = to.lines[line];
    note(plain.mux ? plain.local : beside(plain.local), plain.mux ? plain.remote : plain.remote_rtcp, packet);
    if (const auto sealed = plain.channel.seal_rtcp(whole, packet.size()))
        worker_.send(plain.mux ? plain.rtp.get() : plain.rtcp.get(),
                     plain.mux ? plain.remote : plain.remote_rtcp, *sealed);
}

// Reports end here; each side gets reports about the stream it really has (report()). Requests for a key
// frame go across (RFC 4585 §6.3.1, RFC 5104 §4.3.1).
void Relay::rtcp(EndPoint &from, std::size_t line, std::span<const std::uint8_t> packet, TimePoint now) {
    constexpr std::uint8_t intra_frame = 192, payload_feedback = 206, pli = 1, fir = 4;
    EndPoint &source = from.id == 0 ? end(active_ + 1) : end(0);
    std::size_t at = 0;
    while (at + 8 <= packet.size()) {
        const std::size_t size = (std::size_t{media::read_u16(packet, at + 2)} + 1) * 4;
        const std::uint8_t format = packet[at] & 31;
        if (packet[at + 1] == intra_frame) { // RFC 2032 §5.2.1, which older phones send
            ask_key_frame(source, line, now);
        } else if (packet[at + 1] == payload_feedback && (format == pli || format == fir) &&
                   at + 12 <= packet.size()) {
            const std::uint32_t ssrc = media::read_u32(
                packet, format == fir && size >= 20 && at + 16 <= packet.size() ? at + 12 : at + 8);
            std::size_t wanted = line;
            for (std::size_t i = 0; i < from.out.size(); ++i) // a browser's lines share one port
                if (from.web && from.out[i].stream && from.out[i].stream->ssrc() == ssrc) wanted = i;
            ask_key_frame(source, wanted, now);
        }
        at += size;
    }
}

void Relay::ask_key_frame(EndPoint &of, std::size_t line, TimePoint now) {
    if (!of.present || line >= of.out.size() || active_ >= branches_.size()) return;
    const auto &plan = branches_[active_].plan;
    if (line >= plan.size() || !plan[line].video) return;
    Out &out = of.out[line];
    if (!out.stream || (of.web && !of.keyed)) return; // it begins with one
    out.key_frame_due = now - out.last_key_frame < key_frame_every;
    if (out.key_frame_due) return; // later, by tick()
    out.last_key_frame = now;
    // RR without blocks (RFC 3550 §6.1: a compound packet starts with a report), then the PLI.
    std::array<std::uint8_t, 20> packet{};
    packet[0] = 0x80;
    packet[1] = 201;
    packet[3] = 1;
    media::write_u32(packet, 4, out.stream->ssrc());
    packet[8] = 0x81;
    packet[9] = 206;
    packet[11] = 2;
    media::write_u32(packet, 12, out.stream->ssrc());
    media::write_u32(packet, 16, out.heard_ssrc);
    deliver_rtcp(of, line, packet);
    const bool understood = of.id == 0 ? plan[line].caller_feedback : plan[line].callee_feedback;
    if (!of.web && !understood) events_.key_frame(side(of));
}

void Relay::request_key_frame(End to) {
    EndPoint &of = to == End::caller ? end(0) : end(active_ + 1);
    for (std::size_t line = 0; line < of.out.size(); ++line)
        ask_key_frame(of, line, std::chrono::steady_clock::now());
}

void Relay::send_digit(End to, char digit, Duration length) {
    EndPoint &of = to == End::caller ? end(0) : end(active_ + 1);
    for (auto &out : of.out) {
        if (out.event_number == no_number || !out.stream) continue;
        if (!out.digits || !out.digits->busy()) {
            media::DtmfSender::Options options;
            options.clock_rate = out.event_clock;
            options.tone = std::clamp(length, Duration{80}, Duration{2'000});
            options.gap = Duration{80};
            out.digits.emplace(options);
        }
        static_cast<void>(out.digits->send(std::string(1, digit)));
        worker_.hurry(digit_tick);
        return;
    }
}

void Relay::digits(EndPoint &to, std::size_t line, TimePoint now) {
    Out &out = to.out[line];
    if (!out.digits || !out.digits->busy() || now < out.digits_until) return;
    out.digits_until = now + digit_tick - Duration{2}; // a tick may come a little early
    const auto payload = out.digits->poll(out.stream->clock(out.event_clock, now));
    worker_.hurry(digit_tick);
    if (!payload) return;
    const auto header = out.stream->insert(out.event_number, payload->timestamp, payload->marker);
    std::array<std::uint8_t, media::rtp_header_size + 4 + media::srtp_room> packet{};
    media::write_rtp_header(header, std::span(packet).first<media::rtp_header_size>());
    std::ranges::copy(payload->bytes, packet.begin() + media::rtp_header_size);
    ++out.packets;
    deliver(to, line, packet, media::rtp_header_size + payload->bytes.size());
}

void Relay::report(EndPoint &to, std::size_t line, TimePoint now) {
    Out &out = to.out[line];
    if (!out.stream || (out.packets == 0 && out.heard.packets() == 0)) return;
    media::RtcpReport report;
    report.sender_ssrc = out.stream->ssrc();
    if (out.packets > 0)
        report.sender = media::SenderInfo{media::ntp_now(), out.stream->clock(out.clock, now),
                                          static_cast<std::uint32_t>(out.packets),
                                          static_cast<std::uint32_t>(out.octets)};
    if (out.heard.packets() > 0) {
        media::ReportBlock block;
        block.ssrc = out.heard_ssrc;
        block.fraction_lost = out.heard.fraction_lost_since_last();
        block.cumulative_lost = static_cast<std::int32_t>(out.heard.lost());
        block.extended_sequence = out.heard.extended_sequence();
        block.jitter = out.heard.jitter_units();
        report.blocks.push_back(block);
    }
    deliver_rtcp(to, line, media::build_rtcp(report, "offhook", false));
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

void Relay::tick(TimePoint now) {
    if (closed_) return;
    const bool due = now >= next_report_;
    if (due) {
        next_report_ = now + report_every;
        expect(); // keys and sources that were not known before
    }
    for (auto &one : ends_) {
        if (!one || !one->present) continue;
        if (one->dtls && one->dtls_due) {
            worker_.hurry(handshake_poll);
            if (now >= *one->dtls_due) handshake(*one, one->dtls->timer_expired());
        }
        watch_consent(*one, now);
        for (std::size_t line = 0; line < one->out.size(); ++line) {
            digits(*one, line, now);
            if (one->out[line].key_frame_due) ask_key_frame(*one, line, now);
            if (due) report(*one, line, now);
        }
    }
}

} // namespace offhook::bridge
