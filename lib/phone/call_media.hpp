// CallMedia: the sound side of one call: its MediaLeg, its CallAudio, and the watch over what arrives. Owned
// by the Call; knows no SIP.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "media/call_audio.hpp"
#include "media/leg.hpp"
#include "phone/call_host.hpp"

namespace offhook {

class CallMedia {
public:
    struct Listener {
        // `method`: "rfc4733" or "inband".
        virtual void on_digit(char digit, Duration length, std::string_view method) = 0;
        virtual void on_media(std::string_view what, Duration silent) = 0; // "first", "lost", "resumed"
        virtual void on_rtp_timeout(Duration silent) = 0;
        virtual void on_transport_faltering() = 0;                // ICE: an offer with a restart may help
        virtual void on_transport_failed(const Error &error) = 0; // ICE, its consent, or DTLS
        virtual void on_transport_trouble(const std::string &what) = 0; // a STUN or TURN server; for the log
        virtual void on_quality() = 0;                                  // every 5 s while media arrives
        virtual void on_play_ended(const std::string &path) = 0;
        virtual void on_record_failed(const std::string &path, const Error &error) = 0;

    protected:
        ~Listener() = default;
    };

    // `local_ip`: where RTP is bound. Errors: Errc::network, Errc::invalid_argument (codecs).
    static Result<std::unique_ptr<CallMedia>> open(CallHost &host, CallId call, const Address &local_ip,
                                                   const AccountSettings &account, Listener &listener);
    ~CallMedia();
    CallMedia(const CallMedia &) = delete;
    CallMedia &operator=(const CallMedia &) = delete;

    [[nodiscard]] media::MediaLeg &leg() { return *leg_; }
    [[nodiscard]] const media::MediaLeg &leg() const { return *leg_; }
    [[nodiscard]] const media::CallAudio *audio() const { return audio_.get(); }

    // Looks up and asks the account's STUN and TURN servers, before the first offer or answer. `done` comes
    // once, at once when there is nobody to ask; never after our end.
    void prepare(bool offerer, std::function<void()> done);
    void abandon() { prepared_ = nullptr; } // `done` does not come any more

    // Sound before the answer: what arrives is heard, the microphone is not sent. `tone`: heard until then.
    void start_early(media::CallAudio::LocalTone tone);
    void start();          // answered: both ways
    void watch_arrivals(); // confirmed: from now on silence of the peer counts (--rtp-timeout)
    // What `old` played, recorded, watched and muted goes on over our leg, with its device; `old` falls
    // silent for good. Both calls exchange their numbers.
    void take_over(CallMedia &old);
    void stop();                                    // for good; the device goes back, recordings are closed
    void leg_changed() { expected_since_.reset(); } // a negotiation ended: silence counts from now

    // The microphone and the speaker: with us while nobody else has them, or given back.
    void use_device(bool use);
    void join(std::shared_ptr<media::Conference> room); // nullptr: leaves it
    [[nodiscard]] const std::shared_ptr<media::Conference> &conference() const { return room_; }

    void set_mute(bool mute);
    [[nodiscard]] bool muted() const { return muted_; }
    [[nodiscard]] bool recording() const { return audio_ && audio_->recording(); }
    Result<> play(const std::string &path, bool again);
    Result<> record(const std::string &path);
    Result<std::string> stop_record(); // the path
    Result<> set_echo(bool on);
    void watch_tone(std::vector<double> hz, std::function<void()> heard); // kept until there is audio
    // Hears digits in the sound itself. Errors: no audio, not_supported (built without spandsp).
    Result<> listen_inband(bool on);
    // In-band digits. Errors: no audio.
    Result<> send_inband(char digit);
    [[nodiscard]] bool inband_busy() const { return audio_ && audio_->dtmf_inband_busy(); }

    [[nodiscard]] std::string codec() const;     // "PCMU/8000", empty before negotiation
    [[nodiscard]] std::string local_rtp() const; // with ICE the selected pair's: "relay 192.0.2.1:4000"
    [[nodiscard]] std::string remote_rtp() const;

private:
    CallMedia(CallHost &host, CallId call, const AccountSettings &account, Listener &listener);
    void look_up(const IceServerSettings &server);
    void look_up(const std::string &host, std::function<void(const std::vector<Address> &)> found);
    void looked_up(const IceServerSettings &server, const Result<std::vector<sip::Hop>> &hops);
    void watch_transport(TimePoint now);
    media::CallAudio &ensure_audio();
    media::CallAudio::Events audio_events();
    Result<> need_audio() const;
    void watch();
    void watch_silence(TimePoint now);
    [[nodiscard]] Duration watch_interval() const;

    CallHost &host_;
    CallId call_;
    const AccountSettings &account_;
    Listener &listener_;
    std::unique_ptr<media::MediaLeg> leg_;
    std::unique_ptr<media::CallAudio> audio_;
    Timer watch_timer_;
    std::optional<TimePoint> expected_since_; // media has been due since then
    std::optional<TimePoint> transport_due_;  // by then there must be keys
    std::vector<std::unique_ptr<sip::Resolver::Query>> lookups_;
    std::size_t lookups_open_ = 0;
    std::vector<media::IceServer> servers_;
    std::function<void()> prepared_;
    bool offerer_ = false;
    TimePoint quality_at_{};
    bool lost_told_ = false, muted_ = false, talking_ = false;
    std::shared_ptr<media::Conference> room_;
    std::string playing_, recording_;
    std::vector<double> tone_hz_;
    std::function<void()> tone_heard_;
};

} // namespace offhook
