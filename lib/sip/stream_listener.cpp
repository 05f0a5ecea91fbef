#include "sip/stream_listener.hpp"

#include <cerrno>

#include <netinet/in.h>
#include <sys/socket.h>

namespace offhook::sip {

namespace {

constexpr int backlog = 128;
constexpr int accepts_per_wakeup = 32;
constexpr Duration out_of_descriptors{500};

} // namespace

Result<std::unique_ptr<StreamListener>> StreamListener::open(Loop &loop, TransportKind kind,
                                                             const Address &bind, Accepted accepted) {
    const auto failed = [&] {
        const int err = errno;
        return fail_errno(Errc::network, err,
                          "listen on " + std::string(uri_token(kind)) + ":" + bind.to_string());
    };
    Fd fd(socket(bind.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return failed();
    const int yes = 1;
    (void)setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind.family() == AF_INET6) (void)setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    if (::bind(fd.get(), bind.sockaddr_ptr(), bind.sockaddr_len()) != 0 || ::listen(fd.get(), backlog) != 0 ||
        getsockname(fd.get(), reinterpret_cast<sockaddr *>(&bound), &length) != 0)
        return failed();
    const Address address = Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&bound));
    std::unique_ptr<StreamListener> result(
        new StreamListener(loop, kind, std::move(fd), address, std::move(accepted)));
    if (auto watched = result->watch(); !watched) return fail(watched.error());
    return result;
}

StreamListener::StreamListener(Loop &loop, TransportKind kind, Fd fd, const Address &address,
                               Accepted accepted)
    : kind_(kind), fd_(std::move(fd)), address_(address), accepted_(std::move(accepted)), pause_(loop) {}

Result<> StreamListener::watch() {
    return watch_.start(fd_.get(), FdWatch::read, [this](int) { accept_some(); });
}

void StreamListener::accept_some() {
    for (int i = 0; i < accepts_per_wakeup && accept_one(); ++i) {
    }
}

bool StreamListener::accept_one() {
    sockaddr_storage peer{};
    socklen_t length = sizeof peer;
    Fd fd(accept4(fd_.get(), reinterpret_cast<sockaddr *>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd) {
        accepted_(*this, std::move(fd), Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&peer)));
        return true;
    }
    const bool exhausted = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    if (!exhausted) return errno == ECONNABORTED || errno == EINTR;
    // The connection stays in the backlog and the descriptor stays readable: look again in a while.
    watch_.stop();
    pause_.start(out_of_descriptors, [this] { (void)watch(); });
    return false;
}

} // namespace offhook::sip
