// OutgoingTransfer: we hand a call on (RFC 5589 §6 and §7, transferor). It drives sip::Transferor, sends the
// REFER and listens to its subscription, also after the call itself has ended. Owned by the phone; one per
// call.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "phone/transfer_host.hpp"
#include "sip/transferor.hpp"

namespace offhook {

class OutgoingTransfer final : private sip::UserAgent::Usage {
public:
    struct Plan {
        sip::Uri target;               // as asked for; an attended one learns where its call ended up
        std::optional<CallId> consult; // attended, with a call that is there already
        bool attended = false;         // the target is called first
        bool wait = true;              // for the outcome; else Refer-Sub: false (RFC 4488)
        Duration patience{0};          // for the outcome; 0: as long as the transferee tells something
    };

    OutgoingTransfer(TransferHost &host, const Call &call, Plan plan);
    ~OutgoingTransfer();
    OutgoingTransfer(const OutgoingTransfer &) = delete;
    OutgoingTransfer &operator=(const OutgoingTransfer &) = delete;

    void start();
    [[nodiscard]] CallId call() const { return id_; }
    [[nodiscard]] bool under_way() const { return machine_.phase != sip::Transferor::Phase::finished; }

    void on_hold_ended(bool ok);
    // A NOTIFY in the call's dialog. False: not of our REFER.
    bool on_notify(const sip::Message &request, const sip::ServerTransaction &transaction);
    void on_call_over(Call &call);
    void on_renumbered(CallId one, CallId other);
    void on_event(const Event &event); // of the phone: how the consultation goes

private:
    using Kind = sip::TransferorEvent::Kind;

    // UserAgent::Usage: the dialog, once its call is over.
    void on_request(const sip::Message &request, const sip::Flow &flow,
                    sip::ServerTransaction transaction) override;
    void on_cancel(const sip::ServerTransaction &, const sip::Message &) override {}
    void on_server_failure(const sip::ServerTransaction &, const Error &) override {}

    sip::TransferorDecision take(sip::TransferorEvent event);
    void apply(sip::TransferorEvent event) { act(take(std::move(event))); }
    void act(const sip::TransferorDecision &decision);
    void later(Kind kind, unsigned status = 0, std::string reason = {});
    void hold();
    void consult();
    void refer();
    void on_refer_answered(const sip::ClientRequest::Outcome &outcome);
    void tell(unsigned code, const std::string &reason);
    void tell_outcome(const sip::TransferorDecision::Outcome &outcome);
    [[nodiscard]] bool of_our_refer(const sip::Message &notify) const;

    TransferHost &host_;
    CallId id_;
    CallView view_; // as it was last
    Plan plan_;
    sip::Transferor machine_;
    std::optional<CallId> consultation_;
    std::unique_ptr<sip::ClientRequest> request_;
    std::optional<sip::DialogContext> orphan_; // the call's dialog, when only we are left in it
    Timer timer_, patience_;
    bool gave_up_ = false;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

} // namespace offhook
