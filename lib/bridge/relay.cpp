#include "bridge/relay.hpp"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/random.hpp"
#include "bridge/relay_parts.hpp"

namespace offhook::bridge {

namespace {

constexpr Duration relatch_after{2'000}; // of silence
constexpr Duration report_every{5'000};
constexpr std::size_t most_earlier = 16; // forks of one branch

bool is_group(const Address &address) {
    const std::string ip = address.ip();
    if (address.family() == AF_INET6) return ip.starts_with("ff");
    const auto first = std::strtoul(ip.c_str(), nullptr, 10);
    return first >= 224; // multicast, reserved, broadcast
}

} // namespace

bool fit_for_media(const Address &described, const Address &signalling) {
    if (!described.is_set() || described.is_any() || is_group(described)) return false;
    return !described.is_loopback() || !signalling.is_set() || signalling.is_loopback();
}

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

void Relay::add_line(unsigned id, std::size_t line, Fd rtp_socket, Fd rtcp_socket, const Address &local,
                     std::uint32_t ssrc) {
    EndPoint &added = end(id);
    added.present = true;
    added.created = std::chrono::steady_clock::now();
    if (added.lines.size() <= line) added.lines.resize(line + 1);
    if (added.out.size() <= line) added.out.resize(line + 1);
    added.out[line].stream.emplace(ssrc, static_cast<std::uint16_t>(random_u32() & 0x7fff), random_u32());
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
            const Address told = caller ? line.caller_remote : line.callee_remote;
            const bool fit = fit_for_media(told, signalling);
            const Address remote = fit ? told : Address{};
            if (!settled_ && plain.described.is_set() && !(plain.described == remote) &&
                plain.earlier.size() < most_earlier)
                plain.earlier.push_back(plain.described);
            plain.described = remote;
            plain.signalling = signalling;
            plain.mux = caller ? line.caller_mux : line.callee_mux;
            if (!plain.latched || !plain.remote.same_ip(remote)) {
                plain.remote = remote;
                plain.remote_rtcp = fit ? (caller ? line.caller_rtcp : line.callee_rtcp) : Address{};
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
    if (branch + 1 < ends_.size() && ends_[branch + 1])
        for (auto &line : ends_[branch + 1]->lines) {
            line.earlier.clear();
            if (!(line.remote == line.described)) line.latched = false;
        }
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

bool Relay::may_send(const Plain &line, const Address &source) {
    return line.described.same_ip(source) || line.signalling.same_ip(source) ||
           std::ranges::any_of(line.earlier, [&](const Address &a) { return a.same_ip(source); });
}

// Media comes from where the description or the signalling says, and stays with the source it came from first
// until a new description or silence: nobody else is let in (CVE-2017-14099). The very address of the
// description needs no guess. While several forks may speak through one port, the floor decides.
bool Relay::latch(Plain &line, const Address &source, TimePoint now) const {
    if (!settled_ && !line.earlier.empty()) {
        if (!may_send(line, source) || !line.floor.takes(source, now)) return false;
        line.latched = true;
        line.remote = source;
        return true;
    }
    if (line.latched && now - line.heard > relatch_after) line.latched = false;
    if (line.latched && source == line.remote) return true;
    if (line.latched && !(source == line.described)) return false;
    if (!may_send(line, source)) return false;
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
        if (!may_send(line, source)) return refuse();
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
    if (!caller && !settled_ && floor_.takes(from.id, now)) active_ = from.id - 1;
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
    if (way.muted) return;
    const bool event = number.event_clock != 0;
    if (number.ends_early || (event && !may_pass(to.out[line], *parsed, now)))
        return renew_event(to, line, *parsed, way);
    if (!way.codecs.empty()) return transcode(from, to, line, *parsed, way, now);
    if (number.out == no_number) return;
    Out &out = to.out[line];
    if (out.sending) { // a digit of ours, in place of sound
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
