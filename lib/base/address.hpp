#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/re.hpp"
#include "base/result.hpp"

namespace offhook {

// An IP address and port as a value (libre's struct sa inside). Port 0 means "none given".
class Address {
public:
    Address() { sa_init(&sa_, AF_UNSPEC); }
    explicit Address(const struct sa &value) : sa_(value) {}

    // "192.0.2.1", "2001:db8::1", "[2001:db8::1]"; never a host name. Errors: Errc::invalid_argument.
    static Result<Address> parse(std::string_view ip, std::uint16_t port = 0);
    static Address from_sockaddr(const struct sockaddr *addr);
    static Address any(int family, std::uint16_t port = 0); // 0.0.0.0 or ::

    [[nodiscard]] bool is_set() const { return sa_isset(&sa_, SA_ADDR); }
    [[nodiscard]] int family() const { return sa_af(&sa_); } // AF_INET, AF_INET6, AF_UNSPEC
    [[nodiscard]] bool is_any() const { return sa_is_any(&sa_); }
    // What stays on this host: 127.0.0.0/8, ::1, and 127.0.0.0/8 as IPv6 writes it (::ffff:127.0.0.1).
    [[nodiscard]] bool is_loopback() const noexcept;
    [[nodiscard]] std::uint16_t port() const { return sa_port(&sa_); }
    [[nodiscard]] Address with_port(std::uint16_t port) const;
    [[nodiscard]] std::string ip() const;        // no brackets
    [[nodiscard]] std::string uri_host() const;  // IPv6 in brackets, as URIs and Via want it
    [[nodiscard]] std::string to_string() const; // "192.0.2.1:5060", "[2001:db8::1]:5060"
    [[nodiscard]] bool same_ip(const Address &other) const { return sa_cmp(&sa_, &other.sa_, SA_ADDR); }

    [[nodiscard]] const struct sa &raw() const { return sa_; }
    [[nodiscard]] const struct sockaddr *sockaddr_ptr() const { return &sa_.u.sa; }
    [[nodiscard]] socklen_t sockaddr_len() const {
        return family() == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    }

    friend bool operator==(const Address &a, const Address &b) {
        const sockaddr_in &x = a.sa_.u.in, &y = b.sa_.u.in; // each packet of a call is asked this
        if (x.sin_family == AF_INET && y.sin_family == AF_INET)
            return x.sin_addr.s_addr == y.sin_addr.s_addr && x.sin_port == y.sin_port;
        return sa_cmp(&a.sa_, &b.sa_, SA_ALL);
    }

private:
    struct sa sa_ {};
};

// The local address the kernel would use towards `remote` (connect() on an unsent UDP socket).
// Errors: Errc::network, e.g. "Network is unreachable".
Result<Address> local_address_towards(const Address &remote);

} // namespace offhook

template <>
struct std::hash<offhook::Address> {
    std::size_t operator()(const offhook::Address &a) const noexcept { return sa_hash(&a.raw(), SA_ALL); }
};
