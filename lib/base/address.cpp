#include "base/address.hpp"

#include <cstring>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace offhook {

Result<Address> Address::parse(std::string_view ip, std::uint16_t port) {
    std::string text(ip);
    if (text.size() > 2 && text.front() == '[' && text.back() == ']') text = text.substr(1, text.size() - 2);
    Address address;
    if (text.empty() || sa_set_str(&address.sa_, text.c_str(), port) != 0)
        return fail(Errc::invalid_argument, "\"" + std::string(ip) + "\" is not an IP address");
    return address;
}

Address Address::from_sockaddr(const struct sockaddr *addr) {
    Address address;
    (void)sa_set_sa(&address.sa_, addr);
    return address;
}

Address Address::any(int family, std::uint16_t port) {
    Address address;
    if (family == AF_INET6) {
        const std::uint8_t zero[16] = {};
        sa_set_in6(&address.sa_, zero, port);
    } else {
        sa_set_in(&address.sa_, 0, port);
    }
    return address;
}

bool Address::is_loopback() const noexcept {
    constexpr auto in_net = [](const std::uint8_t *ip) { return *ip == IN_LOOPBACKNET; };
    if (family() == AF_INET) return in_net(reinterpret_cast<const std::uint8_t *>(&sa_.u.in.sin_addr));
    const in6_addr &ip = sa_.u.in6.sin6_addr;
    return family() == AF_INET6 &&
           (IN6_IS_ADDR_LOOPBACK(&ip) || (IN6_IS_ADDR_V4MAPPED(&ip) && in_net(ip.s6_addr + 12)));
}

Address Address::with_port(std::uint16_t port) const {
    Address copy = *this;
    sa_set_port(&copy.sa_, port);
    return copy;
}

std::string Address::ip() const {
    char text[64] = "";
    if (sa_ntop(&sa_, text, sizeof text) != 0) return "";
    return text;
}

std::string Address::uri_host() const {
    return family() == AF_INET6 ? "[" + ip() + "]" : ip();
}

std::string Address::to_string() const {
    return uri_host() + ":" + std::to_string(port());
}

Result<Address> local_address_towards(const Address &remote) {
    const int fd = socket(remote.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fail_errno(Errc::network, errno, "reach " + remote.ip());
    const Address target =
        remote.port() != 0 ? remote : remote.with_port(9); // any port will do: nothing is sent
    sockaddr_storage local{};
    socklen_t length = sizeof local;
    int err = 0;
    if (connect(fd, target.sockaddr_ptr(), target.sockaddr_len()) != 0 ||
        getsockname(fd, reinterpret_cast<sockaddr *>(&local), &length) != 0)
        err = errno;
    close(fd);
    if (err != 0) return fail_errno(Errc::network, err, "reach " + remote.ip());
    return Address::from_sockaddr(reinterpret_cast<sockaddr *>(&local)).with_port(0);
}

} // namespace offhook
