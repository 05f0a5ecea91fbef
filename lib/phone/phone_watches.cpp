#include <algorithm>

#include "base/text.hpp"
#include "phone/phone_self.hpp"

namespace offhook {

namespace {
constexpr std::size_t most_watches = 256;
constexpr Duration shortest{1'000}, longest{604'800'000};
} // namespace

Result<WatchId> Phone::watch(std::string_view target, std::string_view package, Duration expires,
                             std::string_view account) {
    auto &self = *self_;
    std::erase_if(self.watches_, [](const auto &watch) { return watch->over(); });
    if (accepted_type(package).empty())
        return fail(Errc::invalid_argument, "\"" + sanitise(package) +
                                                "\" cannot be watched (expected dialog, presence, "
                                                "message-summary or reg)" +
                                                suggestion(package, known_packages()));
    if (expires < shortest || expires > longest)
        return fail(Errc::invalid_argument,
                    "a subscription of " + format_span(expires) + " (expected 1 s to 7 days)");
    if (self.watches_.size() >= most_watches)
        return fail(Errc::invalid_argument,
                    "more than " + std::to_string(most_watches) + " things are watched already");
    Watch::Plan plan;
    plan.id = WatchId{++self.last_watch_};
    plan.account = account;
    plan.target = target;
    plan.package = package;
    plan.expires_s =
        static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(expires).count());
    RequestSpec spec;
    spec.method = "SUBSCRIBE";
    spec.account = account;
    spec.headers = {{"Event", std::string(package)}, {"Accept", std::string(accepted_type(package))}};
    plan.compose = [&self, spec, whom = std::string(target)] { return self.compose(whom, spec); };
    const auto id = plan.id;
    auto watch = std::make_unique<Watch>(self, std::move(plan));
    if (auto begun = watch->start(); !begun) return fail(begun.error());
    self.watches_.push_back(std::move(watch));
    return id;
}

Result<> Phone::unwatch(WatchId watch) {
    auto &self = *self_;
    const auto found =
        std::ranges::find_if(self.watches_, [watch](const auto &one) { return one->id() == watch; });
    if (found == self.watches_.end() || (*found)->over())
        return fail(Errc::not_found,
                    "nothing is watched as w" + std::to_string(static_cast<std::uint32_t>(watch)));
    (*found)->stop([] {});
    return {};
}

void Phone::Self::stop_watches(const std::function<void()> &one_gone) {
    for (const auto &watch : watches_)
        watch->stop(one_gone);
}

} // namespace offhook
