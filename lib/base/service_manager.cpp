#include "base/service_manager.hpp"

#include <charconv>
#include <cstddef>
#include <cstdlib>

#include <sys/socket.h>
#include <unistd.h>

#include "base/unix_socket.hpp"

namespace offhook {

namespace {

std::string environment(const char *variable) {
    const char *value = std::getenv(variable); // NOLINT(concurrency-mt-unsafe): nobody writes it
    return value == nullptr ? "" : value;
}

std::int64_t number(const std::string &text) {
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    return error == std::errc{} && end == text.data() + text.size() && out > 0 ? out : 0;
}

} // namespace

ServiceManager::ServiceManager(Loop &loop)
    : loop_(loop), watchdog_(loop), socket_(environment("NOTIFY_SOCKET")) {
    const auto timeout = number(environment("WATCHDOG_USEC")), whose = number(environment("WATCHDOG_PID"));
    if (socket_.empty() || (socket_[0] != '/' && socket_[0] != '@')) return;
    fd_ = Fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (whose == 0 || whose == getpid()) every_ = Duration(timeout / 2'000);
}

void ServiceManager::tell(const std::string &text) const {
    auto address = unix_address(socket_);
    if (!fd_ || !address) return;
    if (socket_[0] == '@') address->sun_path[0] = '\0'; // in the abstract namespace
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket_.size());
    (void)sendto(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                 reinterpret_cast<const sockaddr *>(&*address), size);
}

void ServiceManager::ready(std::string_view status) {
    tell("READY=1\nSTATUS=" + std::string(status));
    if (every_ > Duration(0) && !watchdog_.running()) feed();
}

void ServiceManager::reloading() {
    const auto now = std::chrono::duration_cast<std::chrono::microseconds>(loop_.now().time_since_epoch());
    tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.count()));
}

void ServiceManager::stopping() {
    tell("STOPPING=1");
}

void ServiceManager::feed() {
    tell("WATCHDOG=1");
    watchdog_.start(every_, [this] { feed(); });
}

} // namespace offhook
