// What MediaLeg is made of, for its own files: leg.cpp, and leg_reports.cpp for what is told about it.
#pragma once

#include "media/comfort_noise.hpp"
#include "media/latch.hpp"
#include "media/leg.hpp"
#include "media/media_transport.hpp"
#include "media/quality.hpp"
#include "media/receiver.hpp"

namespace offhook::media {

constexpr Duration first_report{1000};         // early, so that short calls have figures too
constexpr std::size_t longest_datagram = 1500; // as sent, protection included

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

} // namespace offhook::media
