#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/loop.hpp"
#include "base/observers.hpp"
#include "base/result.hpp"
#include "media/call_audio.hpp"
#include "phone/event.hpp"
#include "phone/request_spec.hpp"
#include "phone/settings.hpp"

namespace offhook {

struct DialOptions {
    std::string account; // empty: by the target's domain, else the first, else peer-to-peer
    std::vector<std::pair<std::string, std::string>> headers; // --header
    std::string subject;
    Duration ring_timeout{0}; // CANCEL after so long without an answer; 0: none. Ends with exit 11
    bool follow = false;      // 3xx: --follow (at most 5 hops, sip and sips only)
    EarlyMedia early_media = EarlyMedia::play;
    DtmfMode dtmf_mode = DtmfMode::automatic;
};

struct TransferOptions {
    bool attended = false; // call the target first, then join the two by Replaces
    bool wait = true;      // for the outcome; else ask that none be told (RFC 4488) and end with the 2xx
    Duration patience{0};  // for the outcome; 0: as long as the transferee says something
};

// What Phone::reload() did, by name.
struct Reloaded {
    std::vector<std::string> added, changed, removed; // accounts
    std::vector<std::string> later;                   // settings that need a new start: "listen"
};

// The telephone: accounts, calls and their media. Everything a user can do is a member function here;
// everything that happens is an Event. Single-threaded; events come from the loop, never from inside a member
// function call.
//
// Several calls at once: the sound device belongs to one of them. Answering, dialling or resuming another one
// puts the one that has it on hold first; calls in one conference share it.
class Phone {
public:
    // Opens sockets and the sound device; registers nothing yet. Errors: network, tls, device, config.
    static Result<std::unique_ptr<Phone>> open(Loop &loop, PhoneSettings settings);
    ~Phone(); // abrupt: use shut_down() first
    Phone(const Phone &) = delete;
    Phone &operator=(const Phone &) = delete;

    Observers<Event> &events();

    // Turns what the user typed (URI, tel:, number, host, contact name; cli.md TARGET) into a URI.
    [[nodiscard]] Result<std::string> resolve_target(std::string_view target,
                                                     std::string_view account = {}) const;
    Result<CallId> dial(std::string_view target, DialOptions options = {});
    Result<> answer(CallId call);
    Result<> reject(CallId call, unsigned status,
                    std::string_view reason = {}); // 300..699, unanswered incoming
    Result<> hang_up(CallId call);                 // CANCEL, 603 or BYE, as the state asks
    Result<> hold(CallId call, bool on);           // re-INVITE; event when confirmed
    // Hands a call on (RFC 5589): hold, REFER, and the outcome as call.transfer. On success the call ends,
    // else it is resumed. Errors: the target, a call that is not answered or is being transferred.
    Result<> transfer(CallId call, std::string_view target, TransferOptions options = {});
    Result<> transfer(CallId call, CallId to); // attended, with a call that is there
    // Decides on a transfer that the peer asked for (call.transfer with `asks`).
    Result<> accept_transfer(CallId call);
    Result<> refuse_transfer(CallId call);
    // Three-way conference: both calls answered, each hears the other and us; held ones are resumed. A third
    // call joins by naming one of them again. Holding a call takes it out.
    Result<> conference(CallId one, CallId other);
    Result<> leave_conference(CallId call); // it goes on by itself
    Result<> mute(CallId call, bool on);
    Result<> send_dtmf(CallId call, std::string_view digits, std::optional<DtmfMode> mode = {});
    [[nodiscard]] bool dtmf_busy(CallId call) const;
    // "-": stdin. `again`: from the start when it ends, until something else is played; a regular file only.
    Result<> play(CallId call, const std::string &path, bool again = false);
    Result<> record(CallId call, const std::string &path);
    Result<> stop_record(CallId call);
    Result<> echo(CallId call, bool on);
    Result<> watch_tone(CallId call, std::vector<double> hz, std::function<void()> heard);
    void set_ringing_tone(CallId call, bool on); // local ring for an incoming call

    // Registration of one account; on = false sends un-REGISTER.
    Result<> register_account(std::string_view account, bool on);
    [[nodiscard]] bool registered(std::string_view account) const;
    // Bindings at the registrar, one Contact per line with its expiry.
    Result<> query_bindings(std::string_view account,
                            std::function<void(Result<std::vector<std::string>>)> done);
    [[nodiscard]] const std::vector<AccountSettings> &accounts() const;

    // Other settings for what comes; calls in progress keep those that they began with. Accounts that are
    // gone or have changed un-register; those that are new or have changed register, where `registers` says
    // so. Sockets and the sound device stay. Errors: config, tls; nothing has changed then.
    Result<Reloaded> reload(PhoneSettings settings,
                            const std::function<bool(const AccountSettings &)> &registers);

    // Requests outside of calls. Errors: invalid_argument, config (no such target or account).
    // One composed request; destroying what is returned forgets it, handlers and all.
    Result<std::unique_ptr<sip::ClientRequest>> request(std::string_view target, const RequestSpec &spec,
                                                        RequestHandlers handlers);
    // The same request as it would be sent: asks no DNS, sends nothing. Its Via is that of a first try.
    [[nodiscard]] Result<std::string> compose(std::string_view target, const RequestSpec &spec);
    // Bytes as they are, one at a time: a second call forgets the first.
    Result<> send_raw(std::string_view target, std::string bytes, RawHandlers handlers,
                      std::string_view account = {});
    // text/plain in UTF-8, at most message_limit bytes (RFC 3428); message.sent tells the outcome.
    Result<> send_message(std::string_view target, std::string_view text, std::string_view account = {});
    static constexpr std::size_t message_limit = 60'000;

    // Subscribes to what `target` tells of `package` (state_document.hpp) and keeps the subscription:
    // notify.received and notify.ended. `expires`: 1 s to 7 days. Errors: invalid_argument, config.
    Result<WatchId> watch(std::string_view target, std::string_view package, Duration expires,
                          std::string_view account = {});
    Result<> unwatch(WatchId watch);

    [[nodiscard]] std::vector<CallView> calls() const;
    [[nodiscard]] std::optional<CallView> call(CallId id) const;
    [[nodiscard]] std::optional<media::LegStats> stats(CallId id) const;
    [[nodiscard]] const media::CallAudio *audio(CallId id) const; // levels and silence; nullptr before media
    [[nodiscard]] std::string audio_name() const;                 // the open device: "none", "alsa:default"
    [[nodiscard]] std::vector<std::string> listening() const;     // "udp:192.0.2.1:5060"

    // BYE or CANCEL to all calls, un-REGISTER; `done` when answered, at the latest after 2 s. `by`: who ended
    // the calls: local, or timeout when a limit of time did.
    void shut_down(std::function<void()> done, EndedBy by = EndedBy::local);

    // A step of --do or stdin was done or failed: call.step.
    void report_step(CallId call, std::string_view step, bool ok, std::string_view error);

    // --trace and --pcap: every SIP message and RTP packet.
    void set_taps(sip::Transports::Tap sip, media::MediaLeg::Tap rtp);

private:
    struct Self;
    explicit Phone(std::unique_ptr<Self> self);
    std::unique_ptr<Self> self_;
};

} // namespace offhook
