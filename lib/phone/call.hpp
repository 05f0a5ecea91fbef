// Call: an InviteSession, its CallMedia, and what the world is told of both. Owned by the Phone, which
// destroys it after its call.ended has been told. Its state is the session's (sip::step is applied there and
// nowhere else).
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "phone/account.hpp"
#include "phone/call_media.hpp"
#include "phone/digit_merger.hpp"
#include "phone/dtmf_dialler.hpp"
#include "phone/phone.hpp"
#include "sip/invite_session.hpp"
#include "sip/replaces.hpp"

namespace offhook {

class Call final : private sip::InviteSession::Listener,
                   private CallMedia::Listener,
                   private DtmfDialler::Listener {
public:
    // Resolves, opens the media, sends INVITE; every failure from here on is a call.ended.
    static std::unique_ptr<Call> outgoing(CallHost &host, CallId id, Account &account, const sip::Uri &target,
                                          std::string typed, DialOptions options);
    // nullptr when the INVITE was refused (malformed, no socket): it has been answered then. An offer that
    // cannot be met makes a call that ends at once with 488.
    static std::unique_ptr<Call> incoming(CallHost &host, CallId id, Account &account,
                                          const sip::Message &invite, const sip::Flow &flow,
                                          const sip::ServerTransaction &transaction);
    // An INVITE that takes the place of `old` (RFC 3891), answered at once: from here on this call bears
    // old's number, sound and recording, and `old` ends under the number given here. nullptr: refused,
    // answered, and `old` is as it was.
    static std::unique_ptr<Call> replacing(CallHost &host, CallId id, Call &old, const sip::Message &invite,
                                           const sip::Flow &flow, const sip::ServerTransaction &transaction);
    ~Call();
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;

    [[nodiscard]] CallId id() const { return id_; }
    [[nodiscard]] sip::DialogState state() const;
    [[nodiscard]] bool over() const { return ended_at_.has_value(); }
    [[nodiscard]] CallView view() const;
    [[nodiscard]] media::LegStats stats() const { return media_ ? media_->leg().stats() : media::LegStats{}; }
    [[nodiscard]] const CallMedia *media() const { return media_.get(); }

    Result<> answer();
    Result<> reject(unsigned status, std::string_view reason);
    Result<> hang_up(bool timed_out = false);
    Result<> hold(bool on);
    // Mixed with the others in `room`; a held call is resumed for it. Hold takes a call out again.
    Result<> join(const std::shared_ptr<media::Conference> &room);
    void leave_conference();
    // The person at the device is in this call: answered, not held.
    [[nodiscard]] bool talking() const { return !over() && answered_at_ && !hold_wanted_; }
    Result<> mute(bool on);
    Result<> send_dtmf(std::string_view digits, std::optional<DtmfMode> mode);
    [[nodiscard]] bool dtmf_busy() const { return dialler_.busy(); }
    Result<> play(const std::string &path, bool again);
    Result<> record(const std::string &path);
    Result<> stop_record();
    Result<> echo(bool on);
    Result<> watch_tone(std::vector<double> hz, std::function<void()> heard);
    void set_rtp_tap(const media::MediaLeg::Tap &tap);
    [[nodiscard]] bool waits_for_us() const; // incoming and not answered
    // The dialogs by which others may name this call.
    [[nodiscard]] std::vector<sip::ReplaceableDialog> dialogs() const;

    // Transfers: who takes part, and what they say in the call's dialog.
    [[nodiscard]] Account &account() const { return account_; }
    [[nodiscard]] bool confirmed() const { return !over() && state() == sip::DialogState::confirmed; }
    [[nodiscard]] sip::InviteSession *session() const { return session_.get(); }
    [[nodiscard]] sip::Uri address_for_others() const; // where a third party reaches the peer; needs a dialog
    // From here on this call bears old's number, sound and recording, and `old` the number that was ours.
    void take_place_of(Call &old);

private:
    // Why we ended it, when it was not the user.
    enum class Cause : std::uint8_t { none, ring_timeout, rtp_timeout, time_limit, media_failed, replaced };

    Call(CallHost &host, CallId id, CallDirection direction, Account &account);
    // The call of an INVITE, silent yet; `answer` is ours or why there is none. nullptr: refused and
    // answered.
    static std::unique_ptr<Call> received(CallHost &host, CallId id, Account &account,
                                          const sip::Message &invite, const sip::Flow &flow,
                                          const sip::ServerTransaction &transaction, Result<> &offered);
    void prepare_answer(); // gathers candidates while it rings

    // call_outgoing.cpp
    void resolve();
    void start(const Address &local_ip, const Address &sip_peer);
    void start_session(const Address &local_ip);
    void tell_outgoing();
    void ring_timed_out();
    bool follow(const sip::SessionEnd &end);
    void fail_to_start(const Error &error);

    // call_commands.cpp, call_events.cpp
    Result<> need_confirmed() const;
    Result<> need_media() const;
    void end_by(Cause cause, const std::string &reason_header);
    void refuse_offer(const Error &error, std::string_view offer);
    void established(const sip::Message &message);
    void note_remote_hold();
    void note_allow(const sip::Message &message);
    [[nodiscard]] DtmfMode dtmf_mode() const; // asked for: of the call, else of the phone
    void choose_dtmf_reception();
    void tell_ended(const sip::SessionEnd &end);
    [[nodiscard]] int exit_of(const sip::SessionEnd &end) const;
    void later(std::function<void()> task); // from the loop, unless we are gone by then
    void digit_heard(char digit, Duration length, std::string_view method);

    Result<std::string> on_offer(std::string_view sdp) override;
    Result<std::string> make_offer() override;
    Result<> on_answer(std::string_view sdp) override;
    void on_reinvited(const Result<> &outcome) override;
    void on_progress(const sip::Message &provisional) override;
    void on_confirmed(const sip::Message &message) override;
    unsigned on_info(const sip::Message &info) override;
    void on_other_usage(const sip::Message &request, const sip::ServerTransaction &transaction) override;
    void on_ended(const sip::SessionEnd &end) override;

    void on_digit(char digit, Duration length, std::string_view method) override;
    void on_media(std::string_view what, Duration silent) override;
    void on_rtp_timeout(Duration silent) override;
    void on_transport_faltering() override;
    void on_transport_failed(const Error &error) override;
    void on_transport_trouble(const std::string &what) override;
    void on_quality() override;
    void on_play_ended(const std::string &path) override;
    void on_record_failed(const std::string &path, const Error &error) override;

    Result<> send_digit(char digit, DtmfMode mode) override;
    [[nodiscard]] bool digit_busy(DtmfMode mode) const override;
    void on_digit_sent(char digit, DtmfMode mode, Duration length) override;
    void on_digits_failed(const Error &error) override;

    CallHost &host_;
    CallId id_;
    CallDirection direction_;
    Account &account_;
    DialOptions options_;
    sip::Uri target_;
    std::string typed_; // as the user wrote the target
    std::string local_, remote_, remote_name_;
    std::string answer_;            // outgoing: the peer's, as it came last
    std::set<std::string> visited_; // targets of this call, for redirections
    std::unique_ptr<sip::Resolver::Query> query_;
    std::unique_ptr<CallMedia> media_; // before session_: the session's end needs it
    std::unique_ptr<sip::InviteSession> session_;
    DtmfDialler dialler_;
    Timer ring_timer_;

    std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
    std::optional<TimePoint> invited_at_, progress_at_, answered_at_, ended_at_;
    Cause cause_ = Cause::none;
    bool prepared_ = false, answer_wanted_ = false; // incoming
    bool outgoing_told_ = false;
    bool held_ = false, remote_held_ = false; // as last told
    bool hold_wanted_ = false;                // of the exchange under way
    unsigned infos_open_ = 0;
    DigitMerger digits_heard_;
    bool peer_takes_info_ = false; // its Allow says so
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

// "sip:bob@example.com": without parameters, headers and password.
std::string plain_uri(const sip::Uri &uri);

} // namespace offhook
