// STUN messages (RFC 8489) with what ICE (RFC 8445) and TURN (RFC 8656) add to them. Pure: bytes to values
// and back. libre's codec stays unused: it allocates for every attribute and needs its own buffers.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "media/rtp.hpp"

namespace offhook::media {

enum class StunClass : std::uint8_t { request = 0, indication = 1, success = 2, error = 3 };

enum class StunMethod : std::uint16_t {
    binding = 0x001,
    allocate = 0x003,
    refresh = 0x004,
    send = 0x006,
    data = 0x007,
    create_permission = 0x008,
    channel_bind = 0x009,
};

enum class StunAttribute : std::uint16_t {
    mapped_address = 0x0001,
    username = 0x0006,
    message_integrity = 0x0008,
    error_code = 0x0009,
    unknown_attributes = 0x000A,
    channel_number = 0x000C,
    lifetime = 0x000D,
    xor_peer_address = 0x0012,
    data = 0x0013,
    realm = 0x0014,
    nonce = 0x0015,
    xor_relayed_address = 0x0016,
    requested_address_family = 0x0017,
    requested_transport = 0x0019,
    message_integrity_sha256 = 0x001C,
    xor_mapped_address = 0x0020,
    priority = 0x0024,
    use_candidate = 0x0025,
    software = 0x8022,
    fingerprint = 0x8028,
    ice_controlled = 0x8029,
    ice_controlling = 0x802A,
};

constexpr std::size_t stun_header_size = 20;
using StunTransaction = std::array<std::uint8_t, 12>;
StunTransaction random_transaction();

// RFC 7983 §7 by the first byte, the cookie and the length: cheap, before anything is parsed.
bool looks_like_stun(Bytes datagram) noexcept;

// A message that was received. A view: it lives as long as the datagram.
class StunMessage {
public:
    // The whole datagram must be one message: the cookie, a length that fits, attributes that do, and a
    // FINGERPRINT that is right if there is one. At most 64 attributes; what follows MESSAGE-INTEGRITY is not
    // read (RFC 8489 §14.5).
    static std::optional<StunMessage> parse(Bytes datagram) noexcept;

    [[nodiscard]] StunClass message_class() const noexcept { return class_; }
    [[nodiscard]] StunMethod method() const noexcept { return method_; }
    [[nodiscard]] bool is(StunClass message_class, StunMethod method) const noexcept {
        return class_ == message_class && method_ == method;
    }
    [[nodiscard]] const StunTransaction &transaction() const noexcept { return transaction_; }
    [[nodiscard]] bool has_fingerprint() const noexcept { return fingerprint_; }

    [[nodiscard]] std::optional<Bytes> find(StunAttribute type) const noexcept;
    [[nodiscard]] bool has(StunAttribute type) const noexcept { return find(type).has_value(); }
    [[nodiscard]] std::string_view text(StunAttribute type) const noexcept; // "" when absent
    [[nodiscard]] std::optional<std::uint32_t> number(StunAttribute type) const noexcept;
    [[nodiscard]] std::optional<std::uint64_t> long_number(StunAttribute type) const noexcept;
    [[nodiscard]] std::optional<Address> address(StunAttribute type) const noexcept; // XORed or not, by type
    [[nodiscard]] unsigned error_code() const noexcept;                              // 0: none or malformed
    // MESSAGE-INTEGRITY is there and was made with `key`; compared in constant time.
    [[nodiscard]] bool authenticated(Bytes key) const noexcept;
    [[nodiscard]] bool authenticated(std::string_view password) const noexcept;
    // Attributes that must be understood (RFC 8489 §15: below 0x8000) and that this file does not name.
    [[nodiscard]] std::vector<std::uint16_t> not_understood() const;

private:
    struct Item {
        std::uint16_t type = 0;
        Bytes value;
    };
    static constexpr std::size_t most_items = 64;

    bool read_items() noexcept;
    bool take_item(std::size_t at, std::uint16_t type, Bytes value) noexcept;

    Bytes whole_;
    StunClass class_ = StunClass::request;
    StunMethod method_ = StunMethod::binding;
    StunTransaction transaction_{};
    std::array<Item, most_items> items_;
    std::size_t count_ = 0;
    std::size_t integrity_at_ = 0; // offset of MESSAGE-INTEGRITY; 0: none
    bool fingerprint_ = false;
};

// A message to send.
class StunWriter {
public:
    StunWriter(StunClass message_class, StunMethod method, const StunTransaction &transaction);
    static StunWriter reply(const StunMessage &request, StunClass message_class);
    static StunWriter error(const StunMessage &request, unsigned code, std::string_view reason);

    StunWriter &add(StunAttribute type, Bytes value);
    StunWriter &add(StunAttribute type, std::string_view value);
    StunWriter &add_flag(StunAttribute type) { return add(type, Bytes{}); }
    StunWriter &add_number(StunAttribute type, std::uint32_t value);
    StunWriter &add_long(StunAttribute type, std::uint64_t value);
    StunWriter &add_address(StunAttribute type, const Address &address); // XORed

    [[nodiscard]] std::vector<std::uint8_t> finish(bool fingerprint = true);
    // With MESSAGE-INTEGRITY (HMAC-SHA1) by `key`.
    [[nodiscard]] std::vector<std::uint8_t> finish_signed(Bytes key, bool fingerprint = true);
    [[nodiscard]] std::vector<std::uint8_t> finish_signed(std::string_view password, bool fingerprint = true);

private:
    void set_length(std::size_t after_header) noexcept;
    std::vector<std::uint8_t> bytes_;
};

// The key of long-term credentials (RFC 8489 §9.2.2, MD5): of TURN servers.
std::array<std::uint8_t, 16> stun_long_term_key(std::string_view user, std::string_view realm,
                                                std::string_view password);

} // namespace offhook::media
