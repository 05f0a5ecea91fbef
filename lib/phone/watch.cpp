#include "phone/watch.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "sip/status.hpp"

namespace offhook {

namespace {

constexpr Duration first_pause{2'000}, longest_pause{120'000}; // between subscriptions that end at once

std::string_view state_name(const sip::SubscriptionStatus &state) {
    switch (state.value) {
    case sip::SubscriptionStatus::Value::active:
        return "active";
    case sip::SubscriptionStatus::Value::pending:
        return "pending";
    case sip::SubscriptionStatus::Value::terminated:
        return "terminated";
    }
    return {};
}

} // namespace

Watch::Watch(CallHost &host, Plan plan)
    : host_(host), plan_(std::move(plan)), retry_(host.loop()), pause_(first_pause) {}

Result<> Watch::start() {
    auto request = plan_.compose();
    if (!request) return fail(request.error());
    reader_ = std::make_unique<StateReader>(plan_.package);
    sip::SubscriptionUsage::Listener &listener = *this;
    usage_ = std::make_unique<sip::SubscriptionUsage>(host_.user_agent(), std::move(*request),
                                                      plan_.expires_s, listener);
    usage_->start();
    return {};
}

void Watch::stop(std::function<void()> gone) {
    retry_.cancel();
    gone_ = std::move(gone);
    if (over_ || !usage_)
        host_.loop().post(std::exchange(gone_, {}));
    else
        usage_->stop();
}

void Watch::on_notify(const sip::Message &notify, const sip::SubscriptionStatus &state) {
    pause_ = first_pause;
    event::NotifyReceived event;
    event.watch = plan_.id;
    event.account = plan_.account;
    event.target = sanitise(plan_.target);
    event.package = plan_.package;
    event.state = state_name(state);
    event.reason = sanitise(state.reason);
    const auto view = reader_->read(notify.value(sip::HeaderId::content_type), notify.body());
    event.summary = view ? view->summary : "not understood: " + view.error().what;
    event.content = view ? view->content : Json::object().add("error", view.error().what);
    host_.tell(std::move(event));
}

void Watch::on_subscription_over(const Error &why, std::optional<Duration> again) {
    ended_ = std::move(usage_); // it is still at work above us
    over_ = gone_ || !again;
    if (gone_) return host_.loop().post(std::exchange(gone_, {}));
    event::NotifyEnded event;
    event.watch = plan_.id;
    event.account = plan_.account;
    event.target = sanitise(plan_.target);
    event.package = plan_.package;
    event.code = why.sip;
    event.reason = sanitise(why.what);
    event.exit = sip::exit_code(why, sip::Purpose::other);
    if (again) {
        const Duration wait = std::max(*again, pause_);
        pause_ = std::min(pause_ * 2, longest_pause);
        event.retry_ms = wait.count();
        try_again(wait);
    }
    host_.tell(std::move(event));
}

void Watch::try_again(Duration after) {
    retry_.start(after, [this] {
        over_ = false;
        (void)start(); // composed once before: it can be composed again
    });
}

} // namespace offhook
