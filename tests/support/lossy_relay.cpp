#include "tests/support/lossy_relay.hpp"

#include <array>

#include <doctest/doctest.h>
#include <sys/socket.h>

namespace offhook::test {

void LossyRelay::Side::open() {
    const auto any = Address::parse("127.0.0.1", 0).value();
    fd = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(fd.get(), any.sockaddr_ptr(), any.sockaddr_len()) == 0);
    const int size = 4 * 1024 * 1024; // it loses what it means to, nothing else
    (void)setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    REQUIRE(getsockname(fd.get(), reinterpret_cast<sockaddr *>(&bound), &length) == 0);
    address = Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&bound));
}

LossyRelay::LossyRelay(Address caller, Address callee, double loss, unsigned seed)
    : caller_(caller), callee_(callee), random_(seed), loses_(loss) {
    towards_caller_.open();
    towards_callee_.open();
    const auto watch = [this](Side &from, Side &to, const Address &receiver) {
        REQUIRE(from.watch.start(from.fd.get(), FdWatch::read,
                                 [&, receiver](int) { forward(from, to, receiver); }));
    };
    watch(towards_caller_, towards_callee_, callee_);
    watch(towards_callee_, towards_caller_, caller_);
}

// Each end sees the relay where the other end wrote itself, and itself where that saw the relay.
std::string LossyRelay::rewritten(std::string_view bytes) const {
    const std::array<std::pair<std::string, std::string>, 4> pairs{{
        {caller_.to_string(), towards_callee_.address.to_string()},
        {towards_callee_.address.to_string(), caller_.to_string()},
        {callee_.to_string(), towards_caller_.address.to_string()},
        {towards_caller_.address.to_string(), callee_.to_string()},
    }};
    std::string out;
    while (!bytes.empty()) {
        bool replaced = false;
        for (const auto &[from, to] : pairs) {
            if (!bytes.starts_with(from)) continue;
            out += to;
            bytes.remove_prefix(from.size());
            replaced = true;
            break;
        }
        if (replaced) continue;
        out += bytes.front();
        bytes.remove_prefix(1);
    }
    return out;
}

void LossyRelay::forward(const Side &from, const Side &to, const Address &receiver) {
    std::array<char, 65536> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv()
    for (ssize_t size = 0; (size = recv(from.fd.get(), buffer.data(), buffer.size(), 0)) >= 0;) {
        if (loses_(random_)) {
            ++lost_;
            continue;
        }
        ++passed_;
        const auto text = rewritten({buffer.data(), static_cast<std::size_t>(size)});
        (void)sendto(to.fd.get(), text.data(), text.size(), 0, receiver.sockaddr_ptr(),
                     receiver.sockaddr_len());
    }
}

} // namespace offhook::test
