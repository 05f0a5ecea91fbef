#include <algorithm>

#include "base/random.hpp"
#include "media/leg_self.hpp"

namespace offhook::media {

Result<> MediaLeg::Self::negotiated() {
    const Negotiated &now = *agreed();
    if (auto ready = transport->configure(now.transport, now.rtp, now.rtcp); !ready) return ready;
    receiver.configure(now);
    if (codec != now.codec || fmtp != now.fmtp) {
        codec = now.codec;
        fmtp = now.fmtp;
        auto made = make_encoder(
            *codec, {.ptime_ms = ptime_ms, .fmtp = fmtp, .opus_complexity = options.opus_complexity});
        encoder = made ? std::move(*made) : nullptr;
        talking = false;
    }
    if (!options.pauses || !now.send_noise_payload_type)
        activity.reset();
    else if (!activity)
        activity.emplace(ptime_ms);
    if (!dtmf || event_clock_rate != now.event_clock_rate) {
        event_clock_rate = now.event_clock_rate;
        dtmf.emplace(DtmfSender::Options{.clock_rate = event_clock_rate, .ptime_ms = ptime_ms});
    }
    latch.signal(now.rtp);
    if (!report_timer.running()) report_timer.start(first_report, [this] { schedule_report(); });
    if (events.codec_changed) events.codec_changed();
    return {};
}

// With ICE the address has been checked; else the latch says.
bool MediaLeg::Self::admit(const Address &from) {
    return transport->ice() ? agreed().has_value() : latch.admit(from, loop.now());
}

void MediaLeg::Self::tell(const std::vector<DtmfEvent> &list) const {
    for (const DtmfEvent &event : list)
        if (events.dtmf) events.dtmf(event);
}

void MediaLeg::Self::on_rtp(const Address &from, std::span<std::uint8_t> bytes) {
    const auto packet = parse_rtp(bytes);
    if (!packet || !receiver.takes(packet->header.payload_type)) return; // a stray must not lock the address
    if (!admit(from)) return;
    if (tap) tap(from, transport->rtp(), bytes);
    const bool first = !receiver.last_packet();
    tell(receiver.packet(*packet, transport->arrival()));
    if (first && receiver.last_packet() && events.first_packet) events.first_packet();
}

void MediaLeg::Self::transmit(std::uint8_t type, bool marker, std::uint32_t timestamp, Bytes payload) {
    if (payload.size() + rtp_header_size + srtp_room > datagram.size()) return;
    RtpHeader header = next;
    header.payload_type = type;
    header.marker = marker;
    header.timestamp = timestamp;
    write_rtp_header(header, std::span(datagram).first<rtp_header_size>());
    std::copy(payload.begin(), payload.end(), datagram.begin() + rtp_header_size);
    const Bytes whole(datagram.data(), rtp_header_size + payload.size());
    const Address to = latch.destination();
    if (tap) tap(transport->rtp(), to, whole);
    transport->send_rtp(to, datagram, whole.size());
    ++next.sequence;
    ++packets_sent;
    bytes_sent += payload.size();
}

void MediaLeg::Self::advance() {
    next.timestamp += clock_rate() / 1000 * ptime_ms;
    event_clock += event_clock_rate / 1000 * ptime_ms;
    tell(receiver.poll(loop.now()));
}

// True when a telephone-event took the place of audio.
bool MediaLeg::Self::send_event() {
    if (!dtmf || !dtmf->busy() || !agreed()->send_event_payload_type) return false;
    const auto payload = dtmf->poll(event_clock);
    if (!payload) return false;
    if (payload->marker) event_timestamp = next.timestamp;
    transmit(*agreed()->send_event_payload_type, payload->marker, event_timestamp, payload->bytes);
    talking = false;
    return true;
}

// True when the frame is noise, and a description of it, or nothing at all, takes its place.
bool MediaLeg::Self::send_noise(ConstSamples frame) {
    if (!activity) return false;
    const auto verdict = activity->judge(frame);
    if (verdict == VoiceActivity::Verdict::voice) return false;
    if (verdict == VoiceActivity::Verdict::describe)
        transmit(*agreed()->send_noise_payload_type, false, next.timestamp, activity->payload());
    talking = false;
    return true;
}

void MediaLeg::Self::send_audio(ConstSamples frame) {
    const Bytes payload = encoder->encode(frame);
    if (!payload.empty()) transmit(agreed()->send_payload_type, !talking, next.timestamp, payload);
    talking = !payload.empty(); // DTX: the packet after a pause has the marker
}

MediaLeg::MediaLeg(std::unique_ptr<Self> self) : self_(std::move(self)) {}

MediaLeg::~MediaLeg() {
    if (self_->packets_sent > 0) self_->report(true);
}

Result<std::unique_ptr<MediaLeg>> MediaLeg::open(Loop &loop, Options options, Events events) {
    auto transport =
        MediaTransport::open(loop, options.local_ip, options.port_min, options.port_max, options.ice);
    if (!transport) return fail(transport.error());
    LocalMedia local{.rtp = (*transport)->rtp(),
                     .public_ip = options.public_ip,
                     .codecs = options.codecs,
                     .pauses = options.pauses,
                     .ptime_ms = options.ptime_ms};
    local.transport.srtp = options.srtp;
    local.transport.takes_ice = options.ice.ice;
    if (options.srtp != SrtpPolicy::off) {
        const auto identity = DtlsIdentity::of_process();
        if (!identity) return fail(identity.error());
        local.transport.fingerprint = (*identity)->fingerprint();
    }
    auto self = std::make_unique<Self>(loop, std::move(options), std::move(events));
    self->transport = std::move(*transport);
    self->offer_answer.emplace(std::move(local));
    self->ptime_ms = self->options.ptime_ms;
    self->next.ssrc = random_u32();
    self->next.sequence = static_cast<std::uint16_t>(random_below(0x8000)); // room before the first wrap
    self->first_sequence = self->next.sequence;
    self->next.timestamp = random_u32();
    Self *raw = self.get();
    MediaTransport::Events below;
    below.rtp = [raw](const Address &from, std::span<std::uint8_t> bytes) { raw->on_rtp(from, bytes); };
    below.rtcp = [raw](const Address &from, std::span<std::uint8_t> bytes) { raw->on_rtcp(from, bytes); };
    below.changed = raw->events.transport_changed;
    below.faltering = raw->events.transport_faltering;
    below.failed = raw->events.transport_failed;
    below.trouble = raw->events.transport_trouble;
    below.look_up = raw->events.look_up;
    if (auto started = raw->transport->start(std::move(below)); !started) return fail(started.error());
    return std::unique_ptr<MediaLeg>(new MediaLeg(std::move(self)));
}

void MediaLeg::gather(bool offerer, const std::vector<IceServer> &servers, std::function<void()> done) {
    self_->transport->gather(offerer, servers, std::move(done));
}

// Candidates are known only now, and other credentials after a restart.
void MediaLeg::Self::describe_transport() {
    auto local = transport->local();
    offer_answer->set_transport(local.rtp, std::move(local.ice), local.rtcp);
}

Result<std::string> MediaLeg::offer() {
    self_->describe_transport();
    return self_->offer_answer->make_offer();
}

Result<> MediaLeg::answered(std::string_view sdp) {
    auto applied = self_->offer_answer->apply_answer(sdp);
    if (applied) applied = self_->negotiated();
    if (applied) connect();
    return applied;
}

Result<> MediaLeg::take_offer(std::string_view offer) {
    return self_->offer_answer->apply_offer(offer);
}

Result<std::string> MediaLeg::answer() {
    if (const auto *offered = self_->offer_answer->offered()) self_->transport->offered(*offered);
    self_->describe_transport();
    auto answer = self_->offer_answer->make_answer();
    if (!answer) return answer;
    if (auto ready = self_->negotiated(); !ready) return fail(ready.error());
    return answer;
}

Result<std::string> MediaLeg::answer(std::string_view offer) {
    if (auto taken = take_offer(offer); !taken) return fail(taken.error());
    return answer();
}

void MediaLeg::connect() {
    self_->transport->connect();
}

void MediaLeg::restart_ice() {
    self_->transport->restart_ice();
}

void MediaLeg::roll_back() {
    self_->offer_answer->roll_back();
}

void MediaLeg::set_hold(bool hold) {
    self_->offer_answer->set_hold(hold);
}

void MediaLeg::set_sip_peer(const Address &host) {
    self_->latch.trust_host(host);
}

const std::optional<Negotiated> &MediaLeg::negotiated() const {
    return self_->agreed();
}

bool MediaLeg::remote_hold() const {
    return self_->agreed() && self_->agreed()->remote_hold;
}

// With ICE the way is what was found; m= and c= may hold anything, 0.0.0.0 too.
bool MediaLeg::Self::has_address() const {
    return transport->ice() || (agreed()->rtp.port() != 0 && !agreed()->rtp.is_any());
}

bool MediaLeg::Self::sending_allowed() const {
    if (!agreed() || !has_address()) return false;
    if (offer_answer->held_locally()) return false; // sendonly could play music; the microphone is private
    const Direction direction = agreed()->local_direction;
    return direction == Direction::sendrecv || direction == Direction::sendonly;
}

bool MediaLeg::sending_allowed() const {
    return self_->sending_allowed();
}

bool MediaLeg::receiving_expected() const {
    if (!self_->agreed()) return false;
    const Direction direction = self_->agreed()->local_direction;
    return direction == Direction::sendrecv || direction == Direction::recvonly;
}

unsigned MediaLeg::pcm_rate() const {
    return self_->codec != nullptr ? self_->codec->pcm_rate : 8000;
}

std::size_t MediaLeg::frame_samples() const {
    return std::size_t{pcm_rate()} / 1000 * self_->ptime_ms;
}

void MediaLeg::send(ConstSamples frame) {
    if (!self_->may_send() || !self_->encoder || frame.size() != frame_samples()) return skip();
    if (!self_->send_event() && !self_->send_noise(frame)) self_->send_audio(frame);
    self_->advance();
}

void MediaLeg::skip() {
    if (self_->may_send()) (void)self_->send_event();
    self_->talking = false;
    self_->advance();
}

void MediaLeg::set_ticking(bool ticking) {
    self_->ticking = ticking;
    if (!ticking) self_->transport->set_paced(false);
}

void MediaLeg::receive(Samples frame) {
    if (self_->ticking && self_->receiver.last_packet()) {
        self_->transport->set_paced(true);
        self_->transport->poll();
    }
    self_->receiver.read(frame, self_->loop.now());
}

bool MediaLeg::can_send_dtmf() const {
    return self_->agreed() && self_->agreed()->send_event_payload_type.has_value();
}

Result<> MediaLeg::send_dtmf(std::string_view digits) {
    if (!can_send_dtmf()) return fail(Errc::not_supported, "the peer takes no telephone-events (RFC 4733)");
    return self_->dtmf->send(digits);
}

bool MediaLeg::dtmf_busy() const {
    return self_->dtmf && self_->dtmf->busy();
}

Address MediaLeg::local_rtp() const {
    return self_->transport->rtp();
}

std::string MediaLeg::srtp() const {
    return self_->transport->srtp();
}

bool MediaLeg::keys_in_sdp() const {
    return self_->transport->keys_in_sdp();
}

bool MediaLeg::transport_ready() const {
    return self_->transport->ready();
}

std::string MediaLeg::ice_pair() const {
    return self_->transport->pair();
}

void MediaLeg::set_tap(Tap tap) {
    self_->tap = std::move(tap);
}

} // namespace offhook::media
