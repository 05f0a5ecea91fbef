// The figures of `ping`: how many answers, how long they took. Pure.
#pragma once

#include <cstddef>
#include <string>

#include "base/json.hpp"

namespace offhook::cmd {

class PingStats {
public:
    void sent() noexcept { ++sent_; }
    void answered(double ms) noexcept;

    [[nodiscard]] std::size_t sent_count() const noexcept { return sent_; }
    [[nodiscard]] std::size_t answered_count() const noexcept { return answered_; }
    [[nodiscard]] double loss_percent() const noexcept; // of those sent; 0 when none was
    [[nodiscard]] double min() const noexcept { return min_; }
    [[nodiscard]] double max() const noexcept { return max_; }
    [[nodiscard]] double average() const noexcept;
    [[nodiscard]] double
    deviation() const noexcept; // as ping(8)'s mdev: sqrt(mean of squares - square of mean)

    // "4 requests, 3 answered, 25 % lost" and "round trip min/avg/max/mdev = …"; the second is empty when
    // nothing was answered.
    [[nodiscard]] std::string counts() const;
    [[nodiscard]] std::string times() const;
    void add_to(Json &result) const;

private:
    std::size_t sent_ = 0, answered_ = 0;
    double min_ = 0, max_ = 0, sum_ = 0, squares_ = 0;
};

} // namespace offhook::cmd
