#include "control/client.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <utility>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/unix_socket.hpp"

namespace offhook::control {

Client::Client(Client &&other) noexcept
    : fd_(std::exchange(other.fd_, -1)), last_id_(other.last_id_), deadline_(other.deadline_),
      in_(std::move(other.in_)), events_(std::move(other.events_)) {}

Client &Client::operator=(Client &&other) noexcept {
    std::swap(fd_, other.fd_);
    last_id_ = other.last_id_;
    deadline_ = other.deadline_;
    in_ = std::move(other.in_);
    events_ = std::move(other.events_);
    return *this;
}

Client::~Client() {
    if (fd_ >= 0) ::close(fd_);
}

Result<Client> Client::connect(const std::string &path) {
    const auto address = unix_address(path);
    if (!address) return fail(Errc::config, "the path of the control socket is too long: " + path);
    Client client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(client.fd_, reinterpret_cast<const sockaddr *>(&*address), sizeof *address) != 0)
        return fail_errno(Errc::network, errno, "no phone is running (offhook run); " + path);
    return client;
}

Result<Json> Client::next_line() {
    for (;;) {
        if (const auto end = in_.find('\n'); end != std::string::npos) {
            auto line = Json::parse(std::string_view(in_).substr(0, end));
            in_.erase(0, end + 1);
            return line;
        }
        int wait = -1;
        if (deadline_)
            wait = static_cast<int>(std::max<std::int64_t>(
                0, std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - std::chrono::steady_clock::now())
                       .count()));
        pollfd due{fd_, POLLIN, 0};
        const int ready = ::poll(&due, 1, wait);
        if (ready == 0) return fail(Errc::timeout, "time-out: --timeout has passed");
        std::array<char, 8192> buffer{};
        const auto got = ready < 0 ? -1 : ::recv(fd_, buffer.data(), buffer.size(), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return fail(Errc::network, "the phone has gone");
        in_.append(buffer.data(), static_cast<std::size_t>(got));
    }
}

Result<Json> Client::ask(Json request) {
    request.add("id", ++last_id_);
    const std::string line = request.dump() + "\n";
    for (std::size_t at = 0; at < line.size();) {
        const auto sent = ::send(fd_, line.data() + at, line.size() - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return fail(Errc::network, "the phone has gone");
        at += static_cast<std::size_t>(sent);
    }
    for (;;) {
        auto got = next_line();
        if (!got) return got;
        const auto *id = got->find("id");
        if (id != nullptr && id->as_int() != nullptr && *id->as_int() == last_id_) return got;
        if (got->find("event") != nullptr) events_.push_back(std::move(*got));
    }
}

Result<Json> Client::next_event() {
    if (!events_.empty()) {
        Json oldest = std::move(events_.front());
        events_.erase(events_.begin());
        return oldest;
    }
    for (;;) {
        auto got = next_line();
        if (!got || got->find("event") != nullptr) return got;
    }
}

} // namespace offhook::control
