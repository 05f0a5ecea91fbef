// The packets of one call: a caller's end and one end for each fork, browsers by ICE, DTLS and SRTP on one
// port, phones by RTP and RTCP on a pair of ports for each media line. Lives in a media worker; every member
// but the constructor is called there.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "bridge/floor.hpp"
#include "bridge/media_plane.hpp"
#include "bridge/media_worker.hpp"
#include "bridge/packet_log.hpp"
#include "bridge/rtp_rewriter.hpp"
#include "bridge/transcoder.hpp"
#include "bridge/web_path.hpp"
#include "media/dtls.hpp"
#include "media/dtmf.hpp"
#include "media/ice_lite.hpp"
#include "media/secure_channel.hpp"

namespace offhook::bridge {

// Read by the loop, written by the worker.
struct RelayCounters {
    struct Side {
        std::atomic<std::uint64_t> in{0}, out{0}, rejected{0};
    };
    std::array<Side, 2> ends; // by End
};

// May media be sent where a phone's description says, when its signalling comes from `signalling`? Not to
// groups, and not to services of this host unless the phone is here.
bool fit_for_media(const Address &described, const Address &signalling);

// A telephone-event (RFC 4733 §2.3) whose duration is to count in another clock.
void scale_event(std::span<std::uint8_t> payload, std::uint32_t from, std::uint32_t to);

class Relay final : public std::enable_shared_from_this<Relay>, private MediaWorker::Sink {
public:
    static constexpr std::uint8_t no_number = 255;

    struct Events { // called in the worker
        std::function<void()> up;
        std::function<void(End end, const std::string &why)> lost;
        std::function<void(End from)> key_frame; // of one that may not understand RTCP feedback
    };
    // How packets of one media line go one way between two ends.
    struct Way {
        struct Number {
            std::uint8_t out = no_number; // payload number towards the other end
            std::int8_t codec = -1;       // of a line that is transcoded: which of `codecs`
            bool ends_early = false;      // a telephone-event that is over before it is heard as one
            std::uint32_t clock = 8000;
            std::uint32_t event_clock = 0; // of telephone-events: what their durations count in
        };
        std::array<Number, 128> of;       // by incoming payload number
        std::uint32_t event_clock = 8000; // what the other end's telephone-events count in
        bool muted = false;               // the other end does not want to receive
        struct Codecs {
            Transcoder::Codec from, to;
            std::uint8_t number = no_number; // outgoing
        };
        std::vector<Codecs> codecs; // of a line that is transcoded
    };
    struct LinePlan { // of a completed offer/answer
        bool video = false;
        Way from_caller, from_callee;
        Address caller_remote, caller_rtcp, callee_remote, callee_rtcp; // of phones
        bool caller_mux = false, callee_mux = false;
        bool caller_feedback = false, callee_feedback = false;   // of phones: key frames by RTCP
        std::optional<media::SrtpKeys> caller_keys, callee_keys; // SDES, of phones
        std::uint8_t caller_event = no_number,
                     callee_event = no_number; // telephone-event as that end wants it
        unsigned caller_event_clock = 8000, callee_event_clock = 8000;
    };
    struct WebSecrets {
        std::string ufrag, password;
        std::shared_ptr<const media::DtlsIdentity> identity;
    };

    // `log` sees every RTP and RTCP packet in the clear; may be null.
    Relay(MediaWorker &worker, std::shared_ptr<RelayCounters> counters, Events events,
          std::shared_ptr<PacketLog> log);
    ~Relay(); // after close(), unless the worker is gone
    Relay(const Relay &) = delete;
    Relay &operator=(const Relay &) = delete;

    void start();
    void close();
    // `end` 0 is the caller, 1 + branch a callee. The sources of a phone's media: its description's address,
    // or `signalling`.
    // `local`: the address of the (RTP) socket as the end sees it. A browser may have several UDP paths; the
    // first call counts for the rest.
    void add_web(unsigned end, std::unique_ptr<WebPath> path, const Address &local, WebSecrets secrets,
                 std::vector<std::uint32_t> ssrcs);
    // A TCP connection of the browser at `end`, from which `bytes` were read: one more way for its media.
    void add_stream(unsigned end, Fd socket, const Address &remote, std::vector<std::uint8_t> bytes);
    void add_line(unsigned end, std::size_t line, Fd rtp, Fd rtcp, const Address &local, std::uint32_t ssrc);
    void set_fingerprint(unsigned end, const std::string &fingerprint);
    void configure(unsigned branch, std::vector<LinePlan> plan, const Address &caller_signalling,
                   const Address &callee_signalling);
    void settle(unsigned branch);
    void release(unsigned branch);
    void send_digit(End to, char digit, Duration length);
    void request_key_frame(End to);
    void impatient(End end, bool on); // its signalling is gone: silence means it is gone too

private:
    struct Out { // one line as an end receives it
        std::optional<RtpRewriter> stream;
        std::uint64_t packets = 0, octets = 0;
        unsigned clock = 8000;
        media::ReceiverStats heard; // the other way round: what this end sends
        std::uint32_t heard_ssrc = 0;
        TimePoint last_key_frame{};
        bool key_frame_due = false;
        std::optional<media::DtmfSender> digits;
        std::uint8_t event_number = no_number;
        unsigned event_clock = 8000;
        TimePoint digits_until{}, digits_end{}; // digits_end: of all that are queued
        bool sending = false;                   // a digit of ours, in place of sound
        std::optional<std::uint32_t> renewed;   // timestamp of the event that our last digit stands for
        std::optional<std::uint32_t> passing;   // timestamp of the event that went through last
        TimePoint passing_until{};              // more of it is to come
        std::unique_ptr<Transcoder> transcoder; // for this end, made by its first packet
        TimePoint counted_since{};              // packets to be transcoded, of the second under way
        unsigned counted = 0;
    };
    struct Plain {
        Fd rtp, rtcp;
        Address local; // of rtp; rtcp has the next port
        Address remote, remote_rtcp;
        bool latched = false, mux = false;
        TimePoint heard{};
        Address described, signalling;
        std::vector<Address> earlier; // described by other forks of the same branch; until one has answered
        Floor<Address> floor;         // of these
        media::SecureChannel channel;
    };
    struct EndPoint {
        unsigned id = 0;
        bool web = false, present = false;
        std::vector<Out> out;
        std::vector<Plain> lines;                           // phones
        std::map<unsigned, std::unique_ptr<WebPath>> paths; // browsers: by UDP, then by TCP
        WebPath *path = nullptr;                            // of the selected pair
        unsigned last_stream = 0;
        std::vector<Address> locals; // of the UDP paths
        Address local;               // of the selected pair
        std::optional<media::IceLite> ice;
        std::shared_ptr<const media::DtlsIdentity> identity;
        std::unique_ptr<media::DtlsSession> dtls;     // once the fingerprint is known
        std::vector<std::vector<std::uint8_t>> early; // DTLS that came before it
        std::optional<TimePoint> dtls_due, closed;    // closed: the browser said goodbye
        media::SecureChannel channel;
        std::string fingerprint;
        bool keyed = false, lost = false, impatient = false;
        std::array<std::int8_t, 128> line_of{};
        TimePoint heard{}, checked{}, created{};
    };
    struct Branch {
        std::vector<LinePlan> plan;
        bool released = false;
    };

    [[nodiscard]] EndPoint &end(unsigned id);
    [[nodiscard]] static End side(const EndPoint &end) noexcept {
        return end.id == 0 ? End::caller : End::callee;
    }
    [[nodiscard]] RelayCounters::Side &count(const EndPoint &end) noexcept {
        return counters_->ends[static_cast<std::size_t>(side(end))];
    }
    void received(unsigned port, std::span<std::uint8_t> packet, const Address &from, TimePoint now) override;
    void expect();
    void expect(const EndPoint &from, std::size_t line, const EndPoint &to, const Way &way);
    void lose_path(unsigned end, unsigned number);
    void from_web(EndPoint &from, unsigned path, std::span<std::uint8_t> packet, const Address &source,
                  TimePoint now);
    void checked(EndPoint &from, unsigned path, std::span<const std::uint8_t> packet, const Address &source,
                 TimePoint now);
    static void to_web(EndPoint &to, std::span<const std::uint8_t> packet);
    void handshake(EndPoint &from, const Result<> &step);
    void keyed(EndPoint &from);
    void fail_end(EndPoint &from, const std::string &why);
    void from_phone(EndPoint &from, std::size_t line, std::span<std::uint8_t> packet, const Address &source,
                    TimePoint now, bool rtcp_port);
    [[nodiscard]] static bool may_send(const Plain &line, const Address &source);
    [[nodiscard]] bool latch(Plain &line, const Address &source, TimePoint now) const;
    void rtp(EndPoint &from, std::size_t line, std::span<std::uint8_t> packet, TimePoint now);
    void transcode(const EndPoint &from, EndPoint &to, std::size_t line, const media::RtpPacket &packet,
                   const Way &way, TimePoint now);
    [[nodiscard]] static bool may_pass(Out &out, const media::RtpPacket &event, TimePoint now);
    void renew_event(EndPoint &to, std::size_t line, const media::RtpPacket &packet, const Way &way);
    void queue_digit(Out &out, char digit, Duration length);
    void pass(EndPoint &to, std::size_t line, unsigned source, unsigned clock, media::RtpHeader header,
              std::span<const std::uint8_t> payload, TimePoint now);
    void rtcp(EndPoint &from, std::size_t line, std::span<const std::uint8_t> packet, TimePoint now);
    void deliver(EndPoint &to, std::size_t line, std::span<std::uint8_t> packet, std::size_t size);
    void deliver_rtcp(EndPoint &to, std::size_t line, std::span<const std::uint8_t> packet);
    void ask_key_frame(EndPoint &of, std::size_t line, TimePoint now);
    void digits(EndPoint &to, std::size_t line, TimePoint now);
    void report(EndPoint &to, std::size_t line, TimePoint now);
    void tick(TimePoint now);
    void watch_consent(EndPoint &from, TimePoint now);
    void close_end(EndPoint &end);
    void note(const Address &from, const Address &to, std::span<const std::uint8_t> packet) const {
        if (log_) log_->note(from, to, packet);
    }

    MediaWorker &worker_;
    std::shared_ptr<RelayCounters> counters_;
    Events events_;
    std::shared_ptr<PacketLog> log_;
    std::vector<std::unique_ptr<EndPoint>> ends_;
    std::vector<Branch> branches_;
    unsigned active_ = 0;
    Floor<unsigned> floor_; // of the branches, until one has answered
    bool settled_ = false, closed_ = false;
    TimePoint next_report_{};
};

} // namespace offhook::bridge
