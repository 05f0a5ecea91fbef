// Watch: one thing that the user watches (RFC 6665 subscriber): keeps a subscription to it, reads what comes,
// subscribes anew when the notifier ended it and that makes sense. Owned by the phone.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "phone/call_host.hpp"
#include "phone/event.hpp"
#include "phone/state_document.hpp"
#include "sip/subscription_usage.hpp"

namespace offhook {

class Watch final : private sip::SubscriptionUsage::Listener {
public:
    struct Plan {
        WatchId id{};
        std::string account, target; // as typed
        std::string package;
        std::uint32_t expires_s = 3600;
        // A whole SUBSCRIBE, new each time.
        std::function<Result<sip::ClientRequest::Options>()> compose;
    };
    Watch(CallHost &host, Plan plan);
    ~Watch() = default;
    Watch(const Watch &) = delete;
    Watch &operator=(const Watch &) = delete;

    [[nodiscard]] WatchId id() const noexcept { return plan_.id; }
    Result<> start();
    void stop(std::function<void()> gone); // `gone` always comes, later
    [[nodiscard]] bool over() const noexcept { return over_; }

private:
    void on_notify(const sip::Message &notify, const sip::SubscriptionStatus &state) override;
    void on_subscription_over(const Error &why, std::optional<Duration> again) override;
    void try_again(Duration after);

    CallHost &host_;
    Plan plan_;
    std::unique_ptr<sip::SubscriptionUsage> usage_, ended_;
    std::unique_ptr<StateReader> reader_;
    Timer retry_;
    Duration pause_;
    std::function<void()> gone_; // stop() was asked
    bool over_ = false;
};

} // namespace offhook
