#include "media/stun.hpp"

#include <algorithm>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "media/wire.hpp"

namespace offhook::media {

namespace {

constexpr std::uint32_t cookie = 0x2112A442, fingerprint_mask = 0x5354554E;
constexpr std::size_t item_header = 4, integrity_size = 20, fingerprint_size = 4;
constexpr std::uint8_t family_ipv4 = 1, family_ipv6 = 2;

std::size_t padded(std::size_t size) noexcept {
    return (size + 3) / 4 * 4;
}

std::uint32_t crc32(Bytes bytes) noexcept { // ISO 3309, as Ethernet's
    std::uint32_t crc = 0xFFFFFFFF;
    for (const std::uint8_t byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ (0xEDB88320U & (0U - (crc & 1U)));
    }
    return ~crc;
}

using Hmac = std::array<std::uint8_t, integrity_size>;

// Over `message` up to MESSAGE-INTEGRITY, with the length field as if it ended with that (RFC 8489 §14.5).
Hmac integrity_of(Bytes message, Bytes key) {
    std::vector<std::uint8_t> copy(message.begin(), message.end());
    write_u16(copy, 2,
              static_cast<std::uint16_t>(copy.size() - stun_header_size + item_header + integrity_size));
    Hmac mac{};
    unsigned size = mac.size();
    HMAC(EVP_sha1(), key.data(), static_cast<int>(key.size()), copy.data(), copy.size(), mac.data(), &size);
    return mac;
}

Bytes bytes_of(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

bool is_xored(StunAttribute type) noexcept {
    return type != StunAttribute::mapped_address;
}

// What an XORed address is combined with: cookie and transaction (RFC 8489 §14.2).
std::array<std::uint8_t, 16> mask_of(const StunTransaction &transaction) noexcept {
    std::array<std::uint8_t, 16> mask{};
    write_u32(mask, 0, cookie);
    std::ranges::copy(transaction, mask.begin() + 4);
    return mask;
}

bool known(std::uint16_t type) noexcept {
    switch (static_cast<StunAttribute>(type)) {
    case StunAttribute::mapped_address:
    case StunAttribute::username:
    case StunAttribute::message_integrity:
    case StunAttribute::error_code:
    case StunAttribute::unknown_attributes:
    case StunAttribute::channel_number:
    case StunAttribute::lifetime:
    case StunAttribute::xor_peer_address:
    case StunAttribute::data:
    case StunAttribute::realm:
    case StunAttribute::nonce:
    case StunAttribute::xor_relayed_address:
    case StunAttribute::requested_address_family:
    case StunAttribute::requested_transport:
    case StunAttribute::message_integrity_sha256:
    case StunAttribute::xor_mapped_address:
    case StunAttribute::priority:
    case StunAttribute::use_candidate:
        return true;
    default:
        return type >= 0x8000;
    }
}

} // namespace

StunTransaction random_transaction() {
    StunTransaction transaction;
    if (RAND_bytes(transaction.data(), static_cast<int>(transaction.size())) != 1)
        throw std::runtime_error("no random numbers for a STUN transaction");
    return transaction;
}

bool looks_like_stun(Bytes datagram) noexcept {
    return datagram.size() >= stun_header_size && datagram[0] <= 3 && read_u32(datagram, 4) == cookie &&
           read_u16(datagram, 2) == datagram.size() - stun_header_size && datagram.size() % 4 == 0;
}

std::optional<StunMessage> StunMessage::parse(Bytes datagram) noexcept {
    if (!looks_like_stun(datagram)) return std::nullopt;
    StunMessage message;
    message.whole_ = datagram;
    const unsigned type = read_u16(datagram, 0);
    message.class_ = static_cast<StunClass>((type >> 7 & 2) | (type >> 4 & 1));
    message.method_ = static_cast<StunMethod>((type >> 2 & 0xF80) | (type >> 1 & 0x70) | (type & 0xF));
    std::copy_n(datagram.begin() + 8, message.transaction_.size(), message.transaction_.begin());
    if (!message.read_items()) return std::nullopt;
    return message;
}

bool StunMessage::read_items() noexcept {
    for (std::size_t at = stun_header_size; at < whole_.size();) {
        if (whole_.size() - at < item_header) return false;
        const std::uint16_t type = read_u16(whole_, at), size = read_u16(whole_, at + 2);
        if (padded(size) > whole_.size() - at - item_header) return false;
        if (!take_item(at, type, whole_.subspan(at + item_header, size))) return false;
        at += item_header + padded(size);
    }
    return true;
}

bool StunMessage::take_item(std::size_t at, std::uint16_t type, Bytes value) noexcept {
    if (fingerprint_) return false; // it is the last one
    if (type == static_cast<std::uint16_t>(StunAttribute::fingerprint)) {
        if (value.size() != fingerprint_size) return false;
        fingerprint_ = true;
        return read_u32(value, 0) == (crc32(whole_.first(at)) ^ fingerprint_mask);
    }
    if (integrity_at_ != 0) return true;
    if (type == static_cast<std::uint16_t>(StunAttribute::message_integrity)) {
        if (value.size() != integrity_size) return false;
        integrity_at_ = at;
    }
    if (count_ == most_items) return false;
    items_[count_++] = {type, value};
    return true;
}

std::optional<Bytes> StunMessage::find(StunAttribute type) const noexcept {
    for (const Item &item : std::span(items_).first(count_))
        if (item.type == static_cast<std::uint16_t>(type)) return item.value;
    return std::nullopt;
}

std::string_view StunMessage::text(StunAttribute type) const noexcept {
    const auto value = find(type);
    return value ? std::string_view(reinterpret_cast<const char *>(value->data()), value->size())
                 : std::string_view{};
}

std::optional<std::uint32_t> StunMessage::number(StunAttribute type) const noexcept {
    const auto value = find(type);
    if (!value || value->size() != 4) return std::nullopt;
    return read_u32(*value, 0);
}

std::optional<std::uint64_t> StunMessage::long_number(StunAttribute type) const noexcept {
    const auto value = find(type);
    if (!value || value->size() != 8) return std::nullopt;
    return std::uint64_t{read_u32(*value, 0)} << 32 | read_u32(*value, 4);
}

std::optional<Address> StunMessage::address(StunAttribute type) const noexcept {
    const auto value = find(type);
    if (!value || value->size() < 8) return std::nullopt;
    const bool ipv6 = (*value)[1] == family_ipv6;
    if (!ipv6 && (*value)[1] != family_ipv4) return std::nullopt;
    const std::size_t size = ipv6 ? 16 : 4;
    if (value->size() != 4 + size) return std::nullopt;
    std::array<std::uint8_t, 16> ip{};
    std::copy_n(value->begin() + 4, size, ip.begin());
    std::uint16_t port = read_u16(*value, 2);
    if (is_xored(type)) {
        const auto mask = mask_of(transaction_);
        for (std::size_t i = 0; i < size; ++i)
            ip[i] ^= mask[i];
        port ^= static_cast<std::uint16_t>(cookie >> 16);
    }
    struct sa sa {};
    if (ipv6)
        sa_set_in6(&sa, ip.data(), port);
    else
        sa_set_in(&sa, read_u32(ip, 0), port);
    return Address(sa);
}

unsigned StunMessage::error_code() const noexcept {
    const auto value = find(StunAttribute::error_code);
    if (!value || value->size() < 4) return 0;
    const unsigned hundreds = (*value)[2] & 7U, rest = (*value)[3];
    return hundreds < 3 || hundreds > 6 || rest > 99 ? 0 : hundreds * 100 + rest;
}

bool StunMessage::authenticated(Bytes key) const noexcept {
    if (integrity_at_ == 0) return false;
    const auto given = find(StunAttribute::message_integrity);
    const Hmac mac = integrity_of(whole_.first(integrity_at_), key);
    return CRYPTO_memcmp(mac.data(), given->data(), mac.size()) == 0;
}

bool StunMessage::authenticated(std::string_view password) const noexcept {
    return authenticated(bytes_of(password));
}

std::vector<std::uint16_t> StunMessage::not_understood() const {
    std::vector<std::uint16_t> types;
    for (const Item &item : std::span(items_).first(count_))
        if (!known(item.type)) types.push_back(item.type);
    return types;
}

StunWriter::StunWriter(StunClass message_class, StunMethod method, const StunTransaction &transaction)
    : bytes_(stun_header_size) {
    const auto c = static_cast<unsigned>(message_class), m = static_cast<unsigned>(method);
    write_u16(bytes_, 0,
              static_cast<std::uint16_t>((m & 0xF80) << 2 | (m & 0x70) << 1 | (m & 0xF) | (c & 2) << 7 |
                                         (c & 1) << 4));
    write_u32(bytes_, 4, cookie);
    std::ranges::copy(transaction, bytes_.begin() + 8);
}

StunWriter StunWriter::reply(const StunMessage &request, StunClass message_class) {
    return {message_class, request.method(), request.transaction()};
}

StunWriter StunWriter::error(const StunMessage &request, unsigned code, std::string_view reason) {
    auto writer = reply(request, StunClass::error);
    std::string value{'\0', '\0', static_cast<char>(code / 100), static_cast<char>(code % 100)};
    writer.add(StunAttribute::error_code, value += reason);
    return writer;
}

StunWriter &StunWriter::add(StunAttribute type, Bytes value) {
    const std::size_t at = bytes_.size();
    bytes_.resize(at + item_header + padded(value.size()));
    write_u16(bytes_, at, static_cast<std::uint16_t>(type));
    write_u16(bytes_, at + 2, static_cast<std::uint16_t>(value.size()));
    std::ranges::copy(value, bytes_.begin() + static_cast<std::ptrdiff_t>(at + item_header));
    set_length(bytes_.size() - stun_header_size);
    return *this;
}

StunWriter &StunWriter::add(StunAttribute type, std::string_view value) {
    return add(type, bytes_of(value));
}

StunWriter &StunWriter::add_number(StunAttribute type, std::uint32_t value) {
    std::array<std::uint8_t, 4> bytes{};
    write_u32(bytes, 0, value);
    return add(type, Bytes(bytes));
}

StunWriter &StunWriter::add_long(StunAttribute type, std::uint64_t value) {
    std::array<std::uint8_t, 8> bytes{};
    write_u32(bytes, 0, static_cast<std::uint32_t>(value >> 32));
    write_u32(bytes, 4, static_cast<std::uint32_t>(value));
    return add(type, Bytes(bytes));
}

StunWriter &StunWriter::add_address(StunAttribute type, const Address &address) {
    std::array<std::uint8_t, 20> value{};
    const bool ipv6 = address.family() == AF_INET6;
    value[1] = ipv6 ? family_ipv6 : family_ipv4;
    write_u16(value, 2, address.port() ^ static_cast<std::uint16_t>(cookie >> 16));
    if (ipv6)
        sa_in6(&address.raw(), value.data() + 4);
    else
        write_u32(value, 4, sa_in(&address.raw()));
    StunTransaction transaction;
    std::copy_n(bytes_.begin() + 8, transaction.size(), transaction.begin());
    const auto mask = mask_of(transaction);
    const std::size_t size = ipv6 ? 16 : 4;
    for (std::size_t i = 0; i < size; ++i)
        value[4 + i] ^= mask[i];
    return add(type, Bytes(value).first(4 + size));
}

void StunWriter::set_length(std::size_t after_header) noexcept {
    write_u16(bytes_, 2, static_cast<std::uint16_t>(after_header));
}

std::vector<std::uint8_t> StunWriter::finish(bool fingerprint) {
    if (fingerprint) {
        set_length(bytes_.size() - stun_header_size + item_header + fingerprint_size);
        add_number(StunAttribute::fingerprint, crc32(bytes_) ^ fingerprint_mask);
    }
    return std::move(bytes_);
}

std::vector<std::uint8_t> StunWriter::finish_signed(Bytes key, bool fingerprint) {
    add(StunAttribute::message_integrity, Bytes(integrity_of(bytes_, key)));
    return finish(fingerprint);
}

std::vector<std::uint8_t> StunWriter::finish_signed(std::string_view password, bool fingerprint) {
    return finish_signed(bytes_of(password), fingerprint);
}

std::array<std::uint8_t, 16> stun_long_term_key(std::string_view user, std::string_view realm,
                                                std::string_view password) {
    std::string text(user);
    text.append(":").append(realm).append(":").append(password);
    std::array<std::uint8_t, 16> key{};
    unsigned size = key.size();
    EVP_Digest(text.data(), text.size(), key.data(), &size, EVP_md5(), nullptr);
    OPENSSL_cleanse(text.data(), text.size());
    return key;
}

} // namespace offhook::media
