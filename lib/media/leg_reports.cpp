// MediaLeg: RTCP both ways, and the figures of the stream.
#include <algorithm>
#include <cmath>

#include "base/random.hpp"
#include "media/leg_self.hpp"

namespace offhook::media {

namespace {

constexpr int report_min_ms = 2500, report_spread_ms = 5000; // RFC 3550 §6.2: 5 s, times 0.5 to 1.5
constexpr Duration report_longest{15'000};                   // two of the peer's intervals, one report lost

} // namespace

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

} // namespace offhook::media
