// What stands in the user part of our Record-Route and Path URIs: which connection and which device a request
// is for, signed, so that nothing has to be remembered (RFC 5626 §5.2) and no address leaks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace offhook::bridge {

struct FlowToken {
    std::uint32_t epoch = 0;      // of the bridge that made it: connection numbers start anew with each start
    std::uint64_t connection = 0; // 48 bits; 0: no stream
    std::uint64_t device = 0;     // device_hash()
    friend bool operator==(const FlowToken &, const FlowToken &) = default;
};

// Stable over reconnects, restarts and bridges of one cluster. FNV-1a: it needs no secrecy, the token is
// signed.
std::uint64_t device_hash(std::string_view device) noexcept;

class TokenKey {
public:
    // `secret` is the cluster key; empty makes a random one.
    explicit TokenKey(std::string secret);

    // 39 characters of base64url.
    [[nodiscard]] std::string seal(const FlowToken &token) const;
    // Nothing unless it was sealed with this key; compared in constant time.
    [[nodiscard]] std::optional<FlowToken> open(std::string_view text) const;

private:
    std::string secret_;
};

std::string base64url(std::string_view bytes);
std::optional<std::string> from_base64url(std::string_view text);
// The first `size` bytes of HMAC-SHA256.
std::string mac(std::string_view key, std::string_view text, std::size_t size);

} // namespace offhook::bridge
