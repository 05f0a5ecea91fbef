// Keys in the session description (RFC 4568): the a=crypto line as a value. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "media/sdp.hpp"
#include "media/srtp_suite.hpp"

namespace offhook::media {

struct CryptoLine {
    unsigned tag = 1;
    std::string suite_name;        // as the peer writes it, for the answer to repeat
    SrtpKey key;                   // of the side that wrote the line
    std::vector<std::uint8_t> mki; // in each packet that is protected with it; empty: none
};

// The value of a=crypto. Nothing for what cannot be used: an unknown suite, a key of another length or with
// another encoding, several keys, an MKI longer than 128 bytes, session parameters that weaken the stream or
// that we do not know (RFC 4568 §6.3.8: those without "-" in front must be understood). A lifetime is read
// over: no call reaches it.
std::optional<CryptoLine> parse_crypto(std::string_view value);
std::string encode(const CryptoLine &line); // the value of a=crypto

// The usable lines in their order; at most the first 32 lines of a media section are looked at.
std::vector<CryptoLine> crypto_lines(const SdpMedia &media);
[[nodiscard]] bool has_crypto(const SdpMedia &media) noexcept; // any line at all, usable or not

} // namespace offhook::media
