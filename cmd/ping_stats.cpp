#include "cmd/ping_stats.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace offhook::cmd {

namespace {

Json rounded(double ms) {
    return std::round(ms * 1000) / 1000;
}

} // namespace

void PingStats::answered(double ms) noexcept {
    min_ = answered_ == 0 ? ms : std::min(min_, ms);
    max_ = std::max(max_, ms);
    ++answered_;
    sum_ += ms;
    squares_ += ms * ms;
}

double PingStats::loss_percent() const noexcept {
    return sent_ == 0 ? 0 : 100.0 * static_cast<double>(sent_ - answered_) / static_cast<double>(sent_);
}

double PingStats::average() const noexcept {
    return answered_ == 0 ? 0 : sum_ / static_cast<double>(answered_);
}

double PingStats::deviation() const noexcept {
    if (answered_ == 0) return 0;
    const double mean = average();
    return std::sqrt(std::max(0.0, squares_ / static_cast<double>(answered_) - mean * mean));
}

std::string PingStats::counts() const {
    return std::to_string(sent_) + (sent_ == 1 ? " request, " : " requests, ") + std::to_string(answered_) +
           " answered, " + format_number(loss_percent(), 0) + " % lost";
}

std::string PingStats::times() const {
    if (answered_ == 0) return "";
    return "round trip min/avg/max/mdev = " + format_number(min_, 3) + "/" + format_number(average(), 3) +
           "/" + format_number(max_, 3) + "/" + format_number(deviation(), 3) + " ms";
}

void PingStats::add_to(Json &result) const {
    result.add("sent", sent_).add("answered", answered_).add("loss_percent", rounded(loss_percent()));
    if (answered_ == 0) return;
    Json rtt = Json::object();
    rtt.add("min", rounded(min_)).add("avg", rounded(average())).add("max", rounded(max_));
    result.add("rtt_ms", rtt.add("mdev", rounded(deviation())));
}

} // namespace offhook::cmd
