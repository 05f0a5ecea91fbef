// Tells when the host's addresses or links changed: Wi-Fi came back, a cable was pulled, another address was
// given.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/fd.hpp"
#include "base/loop.hpp"

namespace offhook {

class LinkWatch {
public:
    static constexpr Duration settle{200}; // changes come in bursts; one call for each burst

    // `changed` runs from the loop. Errors: Errc::network (no netlink).
    static Result<std::unique_ptr<LinkWatch>> open(Loop &loop, std::function<void()> changed);
    ~LinkWatch() = default;
    LinkWatch(const LinkWatch &) = delete;
    LinkWatch &operator=(const LinkWatch &) = delete;

private:
    // One entry per address and per running link: "eth0 192.0.2.7", "eth0 up".
    using Snapshot = std::set<std::string>;

    LinkWatch(Loop &loop, Fd fd, std::function<void()> changed);
    void ready();
    void settled();
    static Snapshot take_snapshot();

    Fd fd_;
    std::function<void()> changed_;
    std::optional<Snapshot> known_; // taken once the start has settled: getifaddrs() can take 2 ms
    bool stirred_ = false;          // something came before that
    Timer settling_;
    FdWatch watch_;
};

} // namespace offhook
