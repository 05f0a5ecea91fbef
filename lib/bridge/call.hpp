// One request that made, or may make, a dialog, and everything inside that dialog: the proxy's state for a
// call (or a subscription). Keeps Call-ID, tags, CSeq and Contacts as they are; joins the media of a browser
// and a phone.
#pragma once

#include <array>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bridge/callee_dialogs.hpp"
#include "bridge/core.hpp"
#include "bridge/courier.hpp"
#include "bridge/fork.hpp"
#include "bridge/rewrite.hpp"
#include "bridge/serial.hpp"
#include "bridge/upstream_dialog.hpp"

namespace offhook::bridge {

class Call final : public std::enable_shared_from_this<Call>, private MediaPlane::Listener {
public:
    struct Host {
        virtual void on_over(const std::shared_ptr<Call> &call) = 0; // may drop it

    protected:
        ~Host() = default;
    };
    struct Target {
        Party party;
        std::string uri; // Request-URI for it
    };

    Call(Core &core, Host &host, sip::ServerTransaction server, Party caller, unsigned number);
    ~Call();
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;

    void start(std::vector<Target> targets);
    // Is this request inside our dialog, and who sent it?
    [[nodiscard]] std::optional<End> sender(const sip::Message &request) const;
    void in_dialog(const sip::Message &request, const sip::Flow &flow, const sip::ServerTransaction &server);
    bool cancelled(const sip::ServerTransaction &server, const sip::Message &cancel); // false: not ours
    void flow_lost(const sip::Flow &flow);
    void device_back(const std::string &device); // registered again over another connection
    // Ends it from the middle: BYE to both sides (or CANCEL and 480).
    void hang_up(const std::string &reason);

    [[nodiscard]] const std::string &call_id() const noexcept { return call_id_; }
    [[nodiscard]] std::string name() const { return "b" + std::to_string(number_); } // in logs and events
    [[nodiscard]] const std::string &caller() const noexcept { return caller_.name; }
    [[nodiscard]] bool invite() const noexcept { return invite_; }
    [[nodiscard]] bool is_over() const noexcept { return over_; } // and waits for those that it called off
    [[nodiscard]] bool established() const noexcept { return winner_.has_value(); }
    [[nodiscard]] Json describe() const; // for status

private:
    struct Branch {
        Target target;
        std::shared_ptr<Courier> courier{};
        sip::Message last{}; // the last response
        unsigned failure = 0;
        std::string failure_reason{};
        CalleeDialogs dialogs{};
        bool anchored = false;
        bool cancelled = false;
        std::vector<std::string> refused{}; // tags of answers that came too late
        sip::Draft sent{};                  // as it went out
        std::uint32_t raised = 0;           // of its CSeq number: it went out again for another session timer
    };
    struct Exchange { // a request inside the dialog
        sip::ServerTransaction server;
        sip::Message request;
        End from = End::caller;
        unsigned branch = 0;
        std::string tag{}; // of the callee, as it calls itself
        std::shared_ptr<Courier> courier{};
        bool offered = false;               // it carried an offer
        bool counted_on = false;            // it went out under another CSeq number
        bool cancelled = false;             // before it went out
        sip::Draft sent{};                  // as it went out
        bool as_invite = false;             // an UPDATE that went out as a re-INVITE
        bool acknowledged = false;          // and was answered
        std::optional<sip::Draft> answer{}; // the final one
        bool refused_by_us = false;         // though the other end accepted it
    };
    using ExchangePtr = std::shared_ptr<Exchange>;

    void add_branch(Target target);
    void send_branch(unsigned index, sip::Draft draft);
    void on_response(unsigned index, const sip::Message &response, const sip::Flow &flow);
    void on_failure(unsigned index, unsigned status, const std::string &reason);
    void learn(Branch &branch, const sip::Message &response, const sip::Flow &flow);
    [[nodiscard]] bool no_reliable(const Branch &branch) const;
    void adapt(sip::Draft &draft, const Branch &branch);
    void perform(const std::vector<Fork::Action> &actions, const std::string &reason);
    void forward_response(unsigned index);
    void relay(unsigned index, const sip::Message &response);
    void relay_description(unsigned index, sip::Draft draft, const sip::Message &response);
    void take_description(unsigned index, sip::Draft &draft, const sip::Message &response,
                          Result<std::string> sdp);
    [[nodiscard]] sip::Draft failure(unsigned status, const std::string &reason) const;
    void respond(unsigned index, sip::Draft draft);
    void establish(unsigned index);
    void linger();
    void answered_late(unsigned index, const sip::Message &response);
    // 422 (RFC 4028): the bridge asked for the interval that is too short, and asks for a longer one.
    bool ask_longer(unsigned index, const sip::Message &response);
    bool ask_longer(const ExchangePtr &exchange, const sip::Message &response);
    [[nodiscard]] bool lengthens(const sip::Message &request, const sip::Draft &sent,
                                 const sip::Message &response);
    void again(const ExchangePtr &exchange);
    [[nodiscard]] bool claim(unsigned index, const sip::Message &response);
    void refuse_answer(unsigned index, const sip::Message &response);

    [[nodiscard]] Party &party(End end, unsigned branch);
    [[nodiscard]] bool anchored(unsigned branch) const { return media_ && branches_[branch].anchored; }
    [[nodiscard]] unsigned branch_of(std::string_view tag) const;
    [[nodiscard]] CalleeDialog &dialog_of(const Exchange &exchange);
    [[nodiscard]] bool belongs_to(Party &party, const sip::Message &request, const sip::Flow &flow);
    void forward_ack(const Exchange &exchange);
    void answer_in_ack(const Exchange &exchange, sip::Draft ack);
    void address_fork(sip::Draft &draft, const Exchange &exchange);
    void disguise(sip::Draft &response, const sip::Message &request, const Party &asker) const;
    [[nodiscard]] sip::Draft passed_on(const Exchange &exchange);
    [[nodiscard]] std::string contact_beyond(const Exchange &exchange) const;
    bool serve_here(const ExchangePtr &exchange); // answered by the bridge itself
    bool take_digit(const ExchangePtr &exchange);
    bool take_media_control(const ExchangePtr &exchange);
    bool restart_ice(const ExchangePtr &exchange);
    [[nodiscard]] bool collides(const ExchangePtr &exchange);
    void forward(const ExchangePtr &exchange);
    void forward_description(const ExchangePtr &exchange, sip::Draft draft);
    void send(const ExchangePtr &exchange, sip::Draft draft);
    void on_reply(const ExchangePtr &exchange, const sip::Message &response, const sip::Flow &flow);
    void repeat(const Exchange &exchange, const sip::Message &response);
    void relay_answer(const ExchangePtr &exchange, sip::Draft draft, const sip::Message &response);
    void unusable(const ExchangePtr &exchange, const sip::Message &response, const Error &error);
    void told_unusable(End by, unsigned branch, const Error &error);
    void reply(const ExchangePtr &exchange, sip::Draft draft);
    void on_reply_failure(const ExchangePtr &exchange, const Error &error);
    void count_on(const ExchangePtr &exchange, sip::Draft &draft);
    // By how much numbers of `from` are raised on their way to the other end.
    [[nodiscard]] std::uint32_t raise_of(End from, unsigned branch) const;
    void info_done(End from);
    [[nodiscard]] sip::Draft own_request(std::string_view method, End to);
    void bye(End to);
    // UPDATE, and re-INVITEs in its place for ends that do not know it.
    [[nodiscard]] bool knows_update(const Exchange &exchange);
    bool refresh_here(const ExchangePtr &exchange);
    [[nodiscard]] bool taken_as_invite(const ExchangePtr &exchange, const sip::Message &response);
    bool update_refused(const ExchangePtr &exchange, const sip::Message &response);
    // A re-INVITE of our own: for a caller whose early answer does not serve for who has answered, and for
    // whoever gave an answer to a re-INVITE that could not be used.
    struct Renewal {
        End to;
        bool needed; // else the call goes on without it
    };
    void renew(Renewal renewal);
    void send_renewal(const std::string &sdp);
    void on_renewal(const Renewal &renewal, const sip::Draft &invite, const sip::Message &response);
    void not_renewed(const std::string &why);
    void end_renewal();

    // Where one side is a line of the upstream: what it may see of the browser, and the browser of it.
    [[nodiscard]] std::string contact_of(End browser, unsigned branch) const;
    void dress_request(sip::Draft &draft, End from, unsigned branch);
    void dress_response(sip::Draft &draft, const sip::Message &request, End to, unsigned branch);
    void show_contact(sip::Draft &draft, const UpstreamLine &line, const sip::Flow &flow) const;
    [[nodiscard]] bool refused_line(unsigned status, End by, unsigned branch);

    void on_media_up(Duration after_start) override;
    void on_media_lost(End end, const std::string &why) override;
    void on_key_frame_wanted(End from) override;
    // A line of the log and an event; `fields` without the call's own name.
    void tell(const char *event, const std::string &text, const Json &fields) const;
    void tell_end(const std::string &why) const;
    void over(const std::string &why);
    void drop_exchanges();
    void leave(); // once nobody can answer any more

    Core &core_;
    Host &host_;
    sip::ServerTransaction server_;
    sip::Message request_;
    std::string call_id_, caller_tag_;
    Party caller_;
    unsigned number_;
    bool invite_, makes_dialog_;
    std::vector<Branch> branches_;
    Fork fork_;
    Serial serial_;
    std::unique_ptr<MediaSession> media_;
    std::optional<UpstreamDialog> upstream_; // with a line
    std::list<ExchangePtr> exchanges_;
    std::unique_ptr<HiddenForks> hidden_; // null: the caller sees every fork
    std::optional<unsigned> winner_;
    std::optional<std::pair<unsigned, std::string>> claimed_; // branch and tag of the first 2xx
    bool early_answer_sent_ = false, ack_answers_ = false, over_ = false, left_ = false;
    End ack_answer_from_ = End::caller;
    std::optional<std::pair<End, std::uint32_t>>
        own_answer_; // a re-INVITE that we answered: its ACK ends here
    std::uint32_t caller_cseq_ = 0, callee_cseq_ = 0;
    // By the End in whose name we sent them: how many requests of our own the other side has seen, and by how
    // much the number of the last INVITE was raised for that.
    std::array<std::uint32_t, 2> inserted_{}, invite_raised_{};
    std::array<std::shared_ptr<Courier>, 2> info_;         // by the End it is for
    std::shared_ptr<Courier> renewing_courier_;            // its re-INVITE
    std::optional<Renewal> renewing_;                      // while it is under way
    std::vector<ExchangePtr> waiting_;                     // for its end
    std::array<bool, 2> info_refused_{}, key_frame_due_{}; // due: when the INVITE is acknowledged
    bool caller_allows_update_ = true;
    unsigned session_seconds_ = session_seconds, longer_asked_ = 0; // for phones; how often one wanted more
    bool acknowledged_ = false, renewal_due_ = false, renewal_answered_ = false;
    std::array<std::string, 2> described_;        // what each end has said last that holds
    std::pair<std::uint32_t, std::string> acked_; // the CSeq number of the last ACK with an answer; that
    sip::Draft success_;                          // the 2xx that the caller got, as long as media is ours
    Timer linger_, renew_again_;
    TimePoint started_, answered_, refreshed_;
};

} // namespace offhook::bridge
