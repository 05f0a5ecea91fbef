#include "bridge/refusals.hpp"

#include <utility>

namespace offhook::bridge {

std::string_view name_of(Refusal what) noexcept {
    constexpr std::array<std::string_view, refusal_kinds> names{
        "policy",    "guessing",  "login",     "rate",        "browser_rate",
        "sent_away", "origin",    "forwarded", "connections", "connections_of_address",
        "silent",    "media_udp", "media_tcp"};
    return names.at(static_cast<std::size_t>(what));
}

std::optional<std::uint64_t> Refusals::note(Refusal what, std::string_view source, std::string_view why,
                                            TimePoint now, std::uint64_t times) {
    counts_.at(static_cast<std::size_t>(what)) += times;
    std::string key(name_of(what));
    key.append("\n").append(source).append("\n").append(why);
    if (told_.size() >= most_remembered)
        std::erase_if(told_, [now](const auto &entry) { return entry.second.until <= now; });
    if (told_.size() >= most_remembered && !told_.contains(key)) return std::nullopt;
    Told &told = told_[key];
    told.untold += times;
    if (now < told.until) return std::nullopt;
    if (lines_.fill(told_per_second, told_at_once, now) < 1) return std::nullopt;
    lines_.take();
    told.until = now + silence;
    return std::exchange(told.untold, 0);
}

} // namespace offhook::bridge
