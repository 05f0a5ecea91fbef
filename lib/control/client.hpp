// The other end of the control socket, for commands that do one thing: it waits.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/json.hpp"

namespace offhook::control {

class Client {
public:
    // Errors: network (no phone is running), naming the path.
    static Result<Client> connect(const std::string &path);
    Client(Client &&other) noexcept;
    Client &operator=(Client &&other) noexcept;
    Client(const Client &) = delete;
    Client &operator=(const Client &) = delete;
    ~Client();

    // Every read of this client is over at that time. Errors then are Errc::timeout.
    void set_deadline(TimePoint when) { deadline_ = when; }

    // Sends a request (its id is filled in) and waits for its answer; events that come meanwhile are kept.
    Result<Json> ask(Json request);
    // The next event. Errors: network when the phone has gone.
    Result<Json> next_event();

private:
    explicit Client(int fd) : fd_(fd) {}
    Result<Json> next_line();

    int fd_ = -1;
    std::int64_t last_id_ = 0;
    std::optional<TimePoint> deadline_;
    std::string in_;
    std::vector<Json> events_; // oldest first
};

} // namespace offhook::control
