#include "base/network.hpp"

#include <array>
#include <charconv>
#include <cstring>

#include <netinet/in.h>

#include "base/text.hpp"

namespace offhook {

namespace {

using Bytes = std::array<unsigned char, 16>;

unsigned longest(const Address &address) noexcept {
    return address.family() == AF_INET6 ? 128 : 32;
}

Bytes bytes_of(const Address &address) noexcept {
    Bytes out{};
    if (address.family() == AF_INET6)
        std::memcpy(out.data(), &address.raw().u.in6.sin6_addr, 16);
    else
        std::memcpy(out.data(), &address.raw().u.in.sin_addr, 4);
    return out;
}

// Do they agree in bits from `from` to `to`?
bool same_bits(const Bytes &a, const Bytes &b, unsigned from, unsigned to) noexcept {
    for (unsigned bit = from; bit < to; ++bit)
        if (((a.at(bit / 8) ^ b.at(bit / 8)) >> (7 - bit % 8) & 1U) != 0) return false;
    return true;
}

} // namespace

Result<Network> Network::parse(std::string_view text) {
    const auto bad = [&] {
        return fail(Errc::invalid_argument,
                    "\"" + sanitise(text) +
                        "\" cannot be used (expected an IP address, or a network such as 192.0.2.0/24)");
    };
    Network out;
    const auto slash = text.find('/');
    const auto address = Address::parse(text.substr(0, slash));
    if (!address) return bad();
    out.first_ = *address;
    out.bits_ = longest(*address);
    if (slash == std::string_view::npos) return out;
    const std::string_view length = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), out.bits_);
    if (error != std::errc() || end != length.data() + length.size() || out.bits_ > longest(*address) ||
        !same_bits(bytes_of(*address), {}, out.bits_, longest(*address)))
        return bad();
    return out;
}

bool Network::contains(const Address &address) const noexcept {
    return address.family() == first_.family() && same_bits(bytes_of(address), bytes_of(first_), 0, bits_);
}

} // namespace offhook
