// InviteSession: one INVITE dialog usage (RFC 3261 §13–15, RFC 5057) of either side. It moves offers and
// answers but does not read them. The owner destroys it after on_ended (from Loop::post, never from inside a
// listener call); destroying a live one sends CANCEL or BYE and listens no more.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sip/dialog_context.hpp"
#include "sip/dialog_state.hpp"
#include "sip/reliable.hpp"
#include "sip/session_timer.hpp"
#include "sip/user_agent.hpp"

namespace offhook::sip {

struct SessionEnd {
    enum class By : std::uint8_t { local, remote, network, timeout } by = By::local;
    unsigned status = 0;       // final status of the INVITE; 200 when it was answered and ended by BYE
    std::string reason;        // phrase, or the error's words
    std::string reason_header; // Reason of BYE or CANCEL (RFC 3326), as received
    std::vector<std::string> redirect; // Contacts of a 3xx, best q first
    std::optional<Error> error;        // network, TLS, timeout
    bool authenticated = false;        // we had sent credentials
};

class InviteSession final : private UserAgent::Usage {
public:
    struct Listener {
        // The peer offers (re-INVITE): return the answer, or an error whose `sip` becomes the status (488).
        virtual Result<std::string> on_offer(std::string_view sdp) = 0;
        // The peer asks for an offer of ours (re-INVITE without one).
        virtual Result<std::string> make_offer() = 0;
        // The answer to our offer: in a 18x or 2xx, or in the ACK. An error ends the session with BYE.
        virtual Result<> on_answer(std::string_view sdp) = 0;
        // Our re-INVITE ended; on failure the old session description is in force again.
        virtual void on_reinvited(const Result<> &outcome) = 0;
        virtual void on_progress(const Message &provisional) = 0; // 100..199, UAC
        // UAC: 2xx came, ACK is on its way. UAS: ACK came.
        virtual void on_confirmed(const Message &message) = 0;
        // INFO inside the dialog: the status to answer.
        virtual unsigned on_info(const Message &info) = 0;
        // REFER, NOTIFY or SUBSCRIBE: other usages of this dialog. Respond to it, now or later.
        virtual void on_other_usage(const Message &request, const ServerTransaction &transaction) {
            transaction.respond(request.method() == Method::refer ? 603 : 481);
        }
        virtual void on_ended(const SessionEnd &end) = 0;

    protected:
        ~Listener() = default;
    };

    struct Options {
        NameAddr from;                  // local identity, without tag
        std::string contact_user;       // user part of Contact
        std::string public_address;     // host for Contact instead of the flow's; may be empty
        std::vector<std::string> route; // Route values before the dialog's own: outbound proxy, Service-Route
        std::vector<Uri> alternatives;  // to the next hop, as in ClientRequest::Options
        std::string gruu;               // our Contact, when it is not to be the flow's address (RFC 5627)
        std::optional<Uri> next_hop;    // send there instead of to the first Route or the target
        std::optional<TransportKind> transport;
        std::optional<Flow> flow; // send on this one (registered flow)
        std::shared_ptr<Authenticator> authenticator;
        bool trusted = false; // the next hop is the account's own server: it may ask for credentials
        std::vector<std::pair<std::string, std::string>> headers; // of the INVITE
        SessionTimer::Options session_timer;
    };

    // UAC. `offer` empty: late offer, the answer goes into the ACK (make_answer via on_offer).
    static std::unique_ptr<InviteSession> outgoing(UserAgent &ua, const NameAddr &target, std::string offer,
                                                   Options options, Listener &listener);
    // UAS. Errors: the request makes no dialog, or asks for too short a session (it was answered: 400, 422).
    static Result<std::unique_ptr<InviteSession>> incoming(UserAgent &ua, const Message &invite,
                                                           const Flow &flow, ServerTransaction transaction,
                                                           Options options, Listener &listener);
    ~InviteSession();
    InviteSession(const InviteSession &) = delete;
    InviteSession &operator=(const InviteSession &) = delete;

    // UAS, before the final answer. `sdp` in accept() is the answer, or our offer when the INVITE had none;
    // when offer and answer are exchanged already (settled()) it is not sent. Provisionals go reliably (RFC
    // 3262) when the caller requires it, or supports it and they hold a session description. Where it is
    // required and the INVITE had no offer the first one brings make_offer().
    void ring(unsigned status = 180, std::string_view sdp = {});
    void accept(std::string sdp);
    void reject(unsigned status, std::string_view reason = {},
                const std::vector<std::pair<std::string, std::string>> &headers = {});

    // Ends it whatever the state: CANCEL, 603, or BYE. on_ended follows when the peer has answered (or gave
    // up).
    void hang_up(std::string_view reason_header = {});
    // Sends make_offer() by re-INVITE, in an early dialog by UPDATE (RFC 3311); while another exchange is
    // open it waits for its end.
    void reinvite();
    // May reinvite() be called: confirmed, or early with a settled exchange and a peer that takes UPDATE.
    [[nodiscard]] bool modifiable() const;
    // Offer and answer of the INVITE were exchanged by reliable provisionals, or are on their way so.
    [[nodiscard]] bool settled() const noexcept { return exchange_ != Exchange::none; }
    // INFO inside the dialog; `done` gets the final status or the error.
    void send_info(std::string_view content_type, std::string_view body,
                   std::function<void(Result<unsigned>)> done);

    // For another usage of this dialog: a request of its own (never INVITE, ACK, BYE), while the session
    // lives; and what it needs to go on without the session. Both need a dialog.
    [[nodiscard]] ClientRequest::Options other_request(std::string_view method);
    [[nodiscard]] DialogContext context() const;

    [[nodiscard]] DialogState state() const noexcept { return state_; }
    [[nodiscard]] bool incoming_side() const noexcept { return uas_; }
    [[nodiscard]] const Message &invite() const noexcept { return invite_; } // UAS: as received
    [[nodiscard]] std::string_view offer() const noexcept; // of the received INVITE; may be empty
    [[nodiscard]] const std::string &call_id() const noexcept { return call_id_; }
    [[nodiscard]] const Flow &flow() const noexcept {
        return flow_;
    } // by which we talk to the peer, or its proxy
    [[nodiscard]] const std::optional<Dialog> &dialog() const noexcept { return dialog_; }
    // Every dialog of the session: before the answer a caller may have several early ones.
    [[nodiscard]] std::vector<DialogId> dialogs() const;

private:
    // Where the exchange of session descriptions that came with the INVITE stands (RFC 3261 §13.2.1, RFC 3262
    // §5).
    enum class Exchange : std::uint8_t {
        none,   // nobody has offered
        ours,   // we have offered, there is no (reliable) answer yet
        theirs, // the peer has
        done
    };
    struct Early { // a caller's early dialog, one for each fork
        Dialog dialog;
        ReliableReceiver reliable;
    };
    struct Provisional { // waits for the PRACK of the one before it
        unsigned status;
        std::string sdp;
    };

    InviteSession(UserAgent &ua, Options options, Listener &listener);

    void on_request(const Message &request, const Flow &flow, ServerTransaction transaction) override;
    void on_cancel(const ServerTransaction &invite, const Message &cancel) override;
    void on_server_failure(const ServerTransaction &transaction, const Error &error) override;

    // UAC (invite_session_uac.cpp)
    void send_invite(const NameAddr &target, std::string offer);
    void on_provisional(const Message &response, const Flow &flow);
    void on_final(const ClientRequest::Outcome &outcome);
    void on_success(const Message &response, const Flow &flow);
    void acknowledge(const Message &response, const Flow &flow, std::string_view sdp);
    void confirm(const Message &response, const Flow &flow, const std::string &tag);
    void set_dialog(Dialog dialog);
    bool retry_longer(const Message &response); // 422
    void start_invite(Draft draft);
    // UAC's early dialogs and PRACK, UAS's reliable provisionals (invite_session_early.cpp)
    Early *early_dialog(const Message &response);
    void drop_early_dialogs();
    bool take_early(const Message &response);
    void take_early_session(const Message &response, const std::string &tag, bool reliable,
                            std::string &answer);
    void send_prack(Early &early, const RAck &rack, const std::string &answer);
    void ring_reliably(unsigned status, std::string sdp);
    void repeat_provisional();
    void on_prack(const Message &request, const ServerTransaction &transaction);
    Result<std::string> take_prack_session(const Message &request);
    void after_prack();
    Dialog *dialog_of(const Message &request);
    // UPDATE and session timers (invite_session_update.cpp)
    void on_update(const Message &request, const ServerTransaction &transaction, Dialog &dialog);
    [[nodiscard]] unsigned offer_collision(const Dialog &dialog) const;
    bool refuse_interval(const Message &request, const ServerTransaction &transaction);
    void arm_session_timer();
    void refresh();
    void on_refreshed(const ClientRequest::Outcome &outcome);
    void session_expired();
    void note_peer(const Message &message);
    // UAS (invite_session_uas.cpp)
    void send_success(const ServerTransaction &transaction, const std::string &sdp);
    void retransmit_success();
    void on_ack(const Message &ack);
    void on_reinvite(const Message &request, const ServerTransaction &transaction);
    void on_bye(const Message &request, const ServerTransaction &transaction);
    Draft answer_draft(const ServerTransaction &transaction, unsigned status, std::string_view sdp);
    // re-INVITE of ours (invite_session_modify.cpp)
    void send_reinvite();
    void on_reinvite_final(const ClientRequest::Outcome &outcome);
    void on_reinvite_success(const Message &response, const Flow &flow);
    void reinvite_failed(Error error);
    // both
    ClientRequest::Options in_dialog(Draft draft);
    ClientRequest::Options in_dialog(Draft draft, const Dialog &dialog);
    void send_bye(std::string_view reason_header);
    void finish(SessionEnd end);
    void apply(DialogEvent event) { state_ = step(state_, event); }
    [[nodiscard]] std::string contact_for(const Flow &flow) const;

    UserAgent &ua_;
    Options options_;
    Listener *listener_; // nullptr after on_ended
    DialogState state_ = DialogState::trying;
    bool uas_ = false;
    std::string call_id_, local_tag_, early_tag_; // early_tag_: the fork whose early answer is in force
    Message invite_;
    std::optional<Dialog> dialog_;
    Flow flow_;

    std::unique_ptr<ClientRequest> invite_request_, modify_request_, bye_request_;
    std::unique_ptr<ClientRequest> finished_modify_; // still absorbs repeated 2xx of our last re-INVITE
    std::vector<std::unique_ptr<ClientRequest>> info_requests_;
    std::string ack_bytes_;
    Flow ack_flow_;
    std::uint32_t invite_cseq_ = 0;
    bool offer_sent_ = false;
    Exchange exchange_ = Exchange::none;
    Uri next_hop_; // of the INVITE
    unsigned longer_tries_ = 0;
    std::vector<Early> early_;
    std::vector<std::unique_ptr<ClientRequest>> pracks_;
    std::optional<Error> failure_; // why we gave up before the answer
    bool hanging_up_ = false;
    bool reinvite_wanted_ = false;  // as soon as the exchange under way is over
    bool offer_in_success_ = false; // our 2xx holds an offer: the ACK brings the answer
    std::string hang_up_reason_;

    ServerTransaction server_;
    bool ack_pending_ = false; // 2xx sent, ACK outstanding
    std::optional<Draft> success_;
    Duration success_interval_{0};
    bool reliable_required_ = false, reliable_supported_ = false;
    ReliableSender reliable_;
    std::optional<Draft> provisional_; // as last sent reliably
    std::deque<Provisional> provisionals_;
    std::optional<std::string> accepted_; // the answer waits for a PRACK

    SessionTimer session_timer_;
    bool peer_updates_ = false; // Allow: UPDATE
    std::unique_ptr<ClientRequest> refresh_request_;
    Timer success_timer_, success_limit_, retry_timer_, bye_limit_;
    Timer provisional_timer_, refresh_timer_, expiry_timer_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

} // namespace offhook::sip
