// IncomingTransfer: the peer sends us on (RFC 5589 §6, transferee): a REFER that was let in. It is the
// notifier of the implicit subscription, places the new call, and tells its true codes. Owned by the phone.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "phone/transfer_host.hpp"
#include "sip/subscription.hpp"

namespace offhook {

class IncomingTransfer final : private sip::UserAgent::Usage {
public:
    // Answers the REFER with 202. `first`: no other REFER came in this dialog (its NOTIFYs need no id).
    IncomingTransfer(TransferHost &host, Call &call, sip::ReferTo target, const sip::ServerTransaction &refer,
                     bool first);
    ~IncomingTransfer();
    IncomingTransfer(const IncomingTransfer &) = delete;
    IncomingTransfer &operator=(const IncomingTransfer &) = delete;

    void ask();     // a person decides: approve() or refuse()
    void approve(); // places the call
    void refuse(unsigned status);
    [[nodiscard]] CallId call() const { return id_; }
    [[nodiscard]] bool waits_for_approval() const { return asking_; }
    [[nodiscard]] bool under_way() const { return !done_; }

    // SUBSCRIBE with Event: refer: refresh or end (RFC 3515 §2.4.4). False: not of our REFER.
    bool on_subscribe(const sip::Message &request, const sip::ServerTransaction &transaction);
    void on_call_over(Call &call);
    void on_renumbered(CallId one, CallId other);
    void on_event(const Event &event); // of the phone: how the new call goes

private:
    void on_request(const sip::Message &request, const sip::Flow &flow,
                    sip::ServerTransaction transaction) override;
    void on_cancel(const sip::ServerTransaction &, const sip::Message &) override {}
    void on_server_failure(const sip::ServerTransaction &, const Error &) override {}

    void progress(unsigned code, const std::string &reason);
    void finish(unsigned code, const std::string &reason, int exit);
    void connected();
    void hand_over(Call &old, Call &next);
    sip::NotifierDecision apply(sip::NotifierEvent event);
    void send_notify(const sip::SubscriptionStatus &state);
    void forget_when_told();
    void tell(bool done, int exit);

    TransferHost &host_;
    CallId id_;
    CallView view_;
    sip::ReferTo target_;
    std::string referred_by_, event_;
    std::optional<CallId> next_;
    unsigned code_ = 100;
    std::string reason_;
    bool subscribed_ = true, asking_ = false, done_ = false, forgotten_ = false;
    bool handed_over_ = false; // the new call bears the old one's number: id_ and next_ have changed places
    sip::Notifier machine_;
    std::unique_ptr<sip::ClientRequest> notify_;
    std::optional<sip::DialogContext> orphan_;
    Timer expiry_, farewell_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

} // namespace offhook
