#include "sip/stun_ping.hpp"

#include <array>
#include <cstring>

#include <netinet/in.h>

#include "base/random.hpp"

namespace offhook::sip {

namespace {

constexpr std::string_view cookie("\x21\x12\xa4\x42", 4);
constexpr std::size_t header_size = 20, id_size = 12, family_offset = 1, port_offset = 2, address_offset = 4;
constexpr unsigned binding_success = 0x0101, binding_error = 0x0111, mapped_address = 0x0001,
                   xor_mapped_address = 0x0020;

unsigned read_16(std::string_view bytes, std::size_t at) {
    return static_cast<unsigned>(static_cast<unsigned char>(bytes[at])) << 8U |
           static_cast<unsigned char>(bytes[at + 1]);
}

// RFC 5389 §15.1, §15.2; `key` is the cookie and the transaction ID, or zeros where nothing is hidden.
std::optional<Address> parse_address(std::string_view value, std::string_view key) {
    if (value.size() < address_offset) return std::nullopt;
    const bool six = value[family_offset] == 2;
    const std::size_t size = six ? 16 : 4;
    if (value.size() != address_offset + size || (!six && value[family_offset] != 1)) return std::nullopt;
    std::array<char, 16> ip{};
    for (std::size_t i = 0; i < size; ++i)
        ip.at(i) = static_cast<char>(value[address_offset + i] ^ key[i]);
    const auto port = static_cast<std::uint16_t>(read_16(value, port_offset) ^ read_16(key, 0));
    sockaddr_storage storage{};
    if (six) {
        sockaddr_in6 address{};
        address.sin6_family = AF_INET6;
        address.sin6_port = htons(port);
        std::memcpy(&address.sin6_addr, ip.data(), size);
        std::memcpy(&storage, &address, sizeof address);
    } else {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        std::memcpy(&address.sin_addr, ip.data(), size);
        std::memcpy(&storage, &address, sizeof address);
    }
    return Address::from_sockaddr(reinterpret_cast<const sockaddr *>(&storage));
}

} // namespace

bool is_stun(std::string_view datagram) noexcept {
    return datagram.size() >= header_size && static_cast<unsigned char>(datagram[0]) < 4 &&
           datagram.substr(4, cookie.size()) == cookie;
}

std::string stun_transaction_id() {
    std::string id;
    for (int i = 0; i < 3; ++i) {
        const std::uint32_t random = random_u32();
        id.append(reinterpret_cast<const char *>(&random), sizeof random);
    }
    return id;
}

std::string stun_binding_request(std::string_view id) {
    return std::string("\x00\x01\x00\x00", 4) + std::string(cookie) + std::string(id);
}

std::optional<StunResponse> parse_stun_response(std::string_view datagram) {
    if (!is_stun(datagram) || datagram.size() != header_size + read_16(datagram, 2)) return std::nullopt;
    const unsigned type = read_16(datagram, 0);
    if (type != binding_success && type != binding_error) return std::nullopt;
    StunResponse response{std::string(datagram.substr(8, id_size)), {}};
    if (type == binding_error) return response;
    const std::string key(datagram.substr(4, 16)), nothing(16, '\0');
    for (std::string_view rest = datagram.substr(header_size); rest.size() >= 4;) {
        const unsigned attribute = read_16(rest, 0);
        const std::size_t length = read_16(rest, 2), padded = (length + 3) / 4 * 4;
        if (rest.size() - 4 < padded) return std::nullopt;
        const auto value = rest.substr(4, length);
        if (attribute == xor_mapped_address) response.mapped = parse_address(value, key);
        if (attribute == mapped_address && !response.mapped) response.mapped = parse_address(value, nothing);
        rest.remove_prefix(4 + padded);
    }
    return response;
}

} // namespace offhook::sip
