// SubscriptionUsage: our side of one subscription on the wire (RFC 6665 §4.1): drives the Subscriber machine,
// sends SUBSCRIBE, takes NOTIFY. The first NOTIFY makes the dialog; a second notifier (fork) is told 481.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "sip/subscription.hpp"
#include "sip/user_agent.hpp"

namespace offhook::sip {

class SubscriptionUsage final : private UserAgent::Usage {
public:
    struct Listener {
        virtual void on_notify(const Message &notify, const SubscriptionStatus &state) = 0;
        // Once. `status` is the final one when a SUBSCRIBE was refused, else 0; `again`: subscribing anew
        // after so long makes sense. The listener may destroy the usage later (post), not from here.
        virtual void on_subscription_over(const Error &why, std::optional<Duration> again) = 0;

    protected:
        ~Listener() = default;
    };

    // `subscribe`: a whole SUBSCRIBE with its Event; Expires is set here.
    SubscriptionUsage(UserAgent &ua, ClientRequest::Options subscribe, std::uint32_t expires_s,
                      Listener &listener);
    ~SubscriptionUsage();
    SubscriptionUsage(const SubscriptionUsage &) = delete;
    SubscriptionUsage &operator=(const SubscriptionUsage &) = delete;

    void start();
    void stop(); // SUBSCRIBE with Expires: 0; on_subscription_over() follows

private:
    void on_request(const Message &request, const Flow &flow, ServerTransaction transaction) override;
    void on_cancel(const ServerTransaction &, const Message &) override {}
    void on_server_failure(const ServerTransaction &, const Error &) override {}

    using Kind = SubscriberEvent::Kind;
    unsigned apply(SubscriberEvent event);
    void subscribe(std::uint32_t expires);
    void on_final(const ClientRequest::Outcome &outcome);
    [[nodiscard]] bool ours(const Message &notify) const;
    bool take_dialog(const Message &notify);

    UserAgent &ua_;
    ClientRequest::Options options_; // as first sent
    Listener &listener_;
    EventName event_;
    Subscriber machine_;
    Timer timer_;
    DialogId expected_; // its remote tag is not known yet
    std::optional<Dialog> dialog_;
    std::unique_ptr<ClientRequest> request_, ended_request_;
    std::uint32_t cseq_ = 1;
    Error last_error_;
};

} // namespace offhook::sip
