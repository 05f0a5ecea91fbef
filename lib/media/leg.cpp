#include "media/leg.hpp"

#include <algorithm>
#include <cmath>

#include "base/random.hpp"
#include "media/comfort_noise.hpp"
#include "media/latch.hpp"
#include "media/media_transport.hpp"
#include "media/quality.hpp"
#include "media/receiver.hpp"

namespace offhook::media {

namespace {

constexpr Duration first_report{1000};                       // early, so that short calls have figures too
constexpr int report_min_ms = 2500, report_spread_ms = 5000; // RFC 3550 §6.2: 5 s, times 0.5 to 1.5
constexpr Duration report_longest{15'000};                   // two of the peer's intervals, one report lost
constexpr std::size_t longest_datagram = 1500;               // as sent, protection included

} // namespace

struct MediaLeg::Self {
    Self(Loop &l, Options o, Events e)
        : loop(l), options(std::move(o)), events(std::move(e)), receiver(options.ptime_ms), report_timer(l) {}

    Loop &loop;
    Options options;
    Events events;
    std::unique_ptr<MediaTransport> transport;
    std::optional<OfferAnswer> offer_answer;
    Receiver receiver;
    Timer report_timer;
    Tap tap;

    // sending
    std::unique_ptr<Encoder> encoder;
    const CodecInfo *codec = nullptr;
    unsigned ptime_ms =
        20; // ours; the peer's a=ptime is a wish (RFC 8866 §6.4) that 20 ms satisfies everywhere
    std::string fmtp;
    std::optional<VoiceActivity> activity; // where we may pause by RFC 3389
    std::optional<DtmfSender> dtmf;
    unsigned event_clock_rate = 8000;
    std::uint32_t event_clock = 0;     // in event_clock_rate units
    std::uint32_t event_timestamp = 0; // RTP timestamp of the event being sent
    RtpHeader next;                    // of the packet to send
    std::uint16_t first_sequence = 0;
    bool talking = false; // the packet before was audio too
    bool ticking = false; // receive() is called every ptime
    std::uint64_t packets_sent = 0, bytes_sent = 0;
    RtpLatch latch; // where the peer's RTP may come from and ours goes
    std::array<std::uint8_t, longest_datagram> datagram{};

    // what the peer reports
    double remote_loss = 0, remote_jitter_ms = 0, round_trip_ms = -1;
    std::int64_t remote_lost = 0;
    std::uint32_t last_sr = 0;
    std::optional<VoipMetrics> far_end;
    TimePoint last_sr_at{}, last_report_at{};

    [[nodiscard]] const std::optional<Negotiated> &agreed() const { return offer_answer->negotiated(); }
    Result<> negotiated();
    void on_rtp(const Address &from, std::span<std::uint8_t> bytes);
    void on_rtcp(const Address &from, std::span<std::uint8_t> bytes);
    void describe_transport();
    [[nodiscard]] bool has_address() const;
    [[nodiscard]] bool may_send() const { return sending_allowed() && transport->ready(); }
    [[nodiscard]] bool sending_allowed() const;
    bool admit(const Address &from);
    void tell(const std::vector<DtmfEvent> &list) const;
    void transmit(std::uint8_t type, bool marker, std::uint32_t timestamp, Bytes payload);
    void advance();
    bool send_event();
    bool send_noise(ConstSamples frame);
    void send_audio(ConstSamples frame);
    [[nodiscard]] Duration since_last_packet(TimePoint last) const;
    void report(bool bye);
    void schedule_report();
    [[nodiscard]] Address rtcp_destination() const;
    [[nodiscard]] QualityInput received_quality() const;
    [[nodiscard]] VoipMetrics voip_metrics() const;
    [[nodiscard]] double loss_of_whole(const ReportBlock &block) const;
    [[nodiscard]] unsigned clock_rate() const { return codec != nullptr ? codec->clock_rate : 8000; }
};

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

void MediaLeg::Self::on_rtcp(const Address &from, std::span<std::uint8_t> bytes) {
    if (!agreed() || (!transport->ice() && !latch.admits_report(from))) return;
    const auto report = parse_rtcp(bytes);
    if (!report) return;
    if (tap) tap(from, transport->rtcp(), bytes);
    last_report_at = loop.now();
    if (report->sender) {
        last_sr = ntp_middle(report->sender->ntp);
        last_sr_at = loop.now();
    }
    for (const VoipMetrics &metrics : voip_metrics_of(bytes))
        if (metrics.ssrc == next.ssrc) far_end = metrics;
    for (const ReportBlock &block : report->blocks) {
        if (block.ssrc != next.ssrc) continue;
        remote_lost = block.cumulative_lost;
        remote_loss = loss_of_whole(block);
        remote_jitter_ms = block.jitter * 1000.0 / clock_rate();
        if (block.last_sr == 0) continue;
        const std::uint32_t trip = ntp_middle(ntp_now()) - block.last_sr - block.delay_since_sr; // 1/65536 s
        if (trip < 0x80000000U) round_trip_ms = trip * 1000.0 / 65536;
    }
}

// In percent of all packets that the report covers: the fraction in it is only that of the last interval.
double MediaLeg::Self::loss_of_whole(const ReportBlock &block) const {
    const std::uint32_t covered = block.extended_sequence - first_sequence + 1;
    if (block.cumulative_lost <= 0 || covered == 0 || covered > packets_sent) return 0;
    return std::min(100.0, block.cumulative_lost * 100.0 / covered);
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

void MediaLeg::Self::schedule_report() {
    report(false);
    report_timer.start(Duration{report_min_ms + static_cast<int>(random_below(report_spread_ms))},
                       [this] { schedule_report(); });
}

void MediaLeg::Self::report(bool bye) {
    if (!agreed() || !has_address() || !transport->ready()) return;
    RtcpReport out;
    out.sender_ssrc = next.ssrc;
    if (packets_sent > 0)
        out.sender = SenderInfo{ntp_now(), next.timestamp, static_cast<std::uint32_t>(packets_sent),
                                static_cast<std::uint32_t>(bytes_sent)};
    if (receiver.last_packet()) {
        ReceiverStats &stats = receiver.stats();
        ReportBlock block{.ssrc = receiver.ssrc(),
                          .fraction_lost = stats.fraction_lost_since_last(),
                          .cumulative_lost = static_cast<std::int32_t>(
                              std::clamp<std::int64_t>(stats.lost(), -0x800000, 0x7FFFFF)),
                          .extended_sequence = stats.extended_sequence(),
                          .jitter = stats.jitter_units(),
                          .last_sr = last_sr};
        if (last_sr != 0) {
            const auto since = std::chrono::duration<double>(loop.now() - last_sr_at).count();
            block.delay_since_sr = static_cast<std::uint32_t>(since * 65536);
        }
        out.blocks.push_back(block);
    }
    const Address to = rtcp_destination();
    auto bytes = build_rtcp(out, "offhook@" + transport->rtp().ip(), false);
    if (agreed()->voip_metrics && receiver.pattern().packets() > 0)
        append_voip_metrics(bytes, next.ssrc, voip_metrics());
    if (bye) append_bye(bytes, next.ssrc);
    if (tap) tap(transport->rtcp(), to, bytes);
    const std::size_t size = bytes.size();
    bytes.resize(size + srtp_room);
    transport->send_rtcp(to, bytes, size);
}

// Of what arrives, for the E-model.
QualityInput MediaLeg::Self::received_quality() const {
    QualityInput quality{.ie = codec->ie, .bpl = codec->bpl};
    quality.loss_percent = receiver.pattern().loss_percent();
    quality.burst_ratio = receiver.pattern().burst_ratio();
    quality.one_way_delay_ms =
        std::max(round_trip_ms, 0.0) / 2 + static_cast<double>(receiver.buffered().count()) + ptime_ms;
    return quality;
}

VoipMetrics MediaLeg::Self::voip_metrics() const {
    const LossPattern &pattern = receiver.pattern();
    const auto bursts = pattern.bursts();
    const auto due = static_cast<double>(pattern.packets());
    const double missing = static_cast<double>(pattern.lost()) / due;
    const double lost = std::clamp(static_cast<double>(receiver.stats().lost()) / due, 0.0, missing);
    const QualityInput quality = received_quality();
    QualityInput listening = quality; // without the delay
    listening.one_way_delay_ms = 0;
    VoipMetrics out;
    out.ssrc = receiver.ssrc();
    out.loss_rate = lost;
    out.discard_rate = missing - lost;
    out.burst_density = bursts.burst_density;
    out.gap_density = bursts.gap_density;
    out.burst_ms = static_cast<unsigned>(bursts.burst_packets * ptime_ms);
    out.gap_ms = static_cast<unsigned>(bursts.gap_packets * ptime_ms);
    out.round_trip_ms = static_cast<unsigned>(std::max(round_trip_ms, 0.0));
    out.buffer_ms = static_cast<unsigned>(receiver.buffered().count());
    out.end_system_ms = out.buffer_ms + 2 * ptime_ms; // and one frame on the way out
    out.r_factor = static_cast<unsigned>(std::lround(r_factor(quality)));
    out.mos_lq = mos(listening);
    out.mos_cq = mos(quality);
    out.buffer_most_ms = out.buffer_limit_ms = JitterBuffer::Options{}.max_delay.count();
    return out;
}

// Where the SDP says, unless the stream comes from elsewhere: then its next port, as RFC 3550 §11 has it.
Address MediaLeg::Self::rtcp_destination() const {
    const auto &locked = latch.locked();
    if (!locked || locked->same_ip(agreed()->rtp)) return agreed()->rtcp;
    return locked->with_port(static_cast<std::uint16_t>(locked->port() + 1));
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

// In a pause that the peer told of, its reports are signs of life too.
Duration MediaLeg::Self::since_last_packet(TimePoint last) const {
    const auto now = loop.now();
    if (receiver.pausing() && now - last_report_at < report_longest) return Duration{0};
    return std::chrono::duration_cast<Duration>(now - last);
}

LegStats MediaLeg::stats() const {
    const Self &self = *self_;
    const ReceiverStats &in = self.receiver.stats();
    LegStats stats;
    stats.received = {in.packets(), in.bytes(), in.lost(), in.jitter_ms(), 0};
    stats.sent = {self.packets_sent, self.bytes_sent, self.remote_lost, self.remote_jitter_ms, 0};
    stats.round_trip_ms = self.round_trip_ms;
    stats.jitter_buffer_ms = static_cast<double>(self.receiver.buffered().count());
    if (const auto *counters = self.receiver.counters()) {
        stats.late = counters->late;
        stats.concealed_ms = static_cast<double>(counters->concealed) * self.receiver.ptime_ms();
        stats.duplicates = counters->duplicates;
    }
    if (const auto last = self.receiver.last_packet())
        stats.since_last_packet = self.since_last_packet(*last);
    if (self.codec == nullptr) return stats;
    if (self.receiver.pattern().packets() > 0) {
        const QualityInput quality = self.received_quality();
        stats.received.missing_percent = quality.loss_percent;
        stats.received.burst_ratio = quality.burst_ratio;
        stats.received.mos = mos(quality);
    }
    stats.far_end = self.far_end;
    if (self.packets_sent > 0) {
        const double network = std::max(self.round_trip_ms, 0.0) / 2;
        stats.sent.missing_percent = self.remote_loss;
        stats.sent.mos = mos(QualityInput{.loss_percent = self.remote_loss,
                                          .one_way_delay_ms = network + self.ptime_ms,
                                          .ie = self.codec->ie,
                                          .bpl = self.codec->bpl});
        if (self.far_end && self.far_end->mos_cq) stats.sent.mos = *self.far_end->mos_cq; // it knows better
    }
    return stats;
}

IntervalStats MediaLeg::take_interval() {
    const LossPattern pattern = self_->receiver.interval();
    IntervalStats out{pattern.packets(), pattern.lost(), pattern.burst_ratio(), 0};
    if (pattern.packets() == 0 || self_->codec == nullptr) return out;
    QualityInput quality = self_->received_quality();
    quality.loss_percent = pattern.loss_percent();
    quality.burst_ratio = pattern.burst_ratio();
    out.mos = mos(quality);
    return out;
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
