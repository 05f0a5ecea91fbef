#include "media/sdes.hpp"

#include <algorithm>
#include <charconv>

#include <openssl/evp.h>

namespace offhook::media {

namespace {

constexpr std::size_t most_lines = 32;
constexpr std::size_t longest_key_text = 64; // base64 of 46 bytes, the longest key with salt

std::string_view take_word(std::string_view &rest) {
    const std::size_t start = std::min(rest.find_first_not_of(" \t"), rest.size());
    rest.remove_prefix(start);
    const std::size_t length = std::min(rest.find_first_of(" \t"), rest.size());
    const auto word = rest.substr(0, length);
    rest.remove_prefix(length);
    return word;
}

// Strict: exactly `size` bytes, with or without the padding (some leave it out).
std::optional<SrtpKey> decode_key(std::string_view text, SrtpSuite suite) {
    const std::size_t size = info(suite).size(), unpadded = (size * 8 + 5) / 6;
    while (text.size() > unpadded && text.back() == '=')
        text.remove_suffix(1);
    if (text.size() != unpadded) return std::nullopt;
    const auto alphabet = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
               c == '/';
    };
    if (!std::ranges::all_of(text, alphabet)) return std::nullopt;
    std::string padded(text);
    padded.resize((unpadded + 3) / 4 * 4, '=');
    std::array<std::uint8_t, longest_key_text> bytes{};
    if (EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char *>(padded.data()),
                        static_cast<int>(padded.size())) < 0)
        return std::nullopt;
    return SrtpKey(suite, std::span(bytes).first(size));
}

bool starts(std::string_view text, std::string_view prefix) {
    return text.size() >= prefix.size() &&
           std::ranges::equal(text.substr(0, prefix.size()), prefix, {},
                              [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
}

constexpr std::string_view method = "inline:";
constexpr unsigned longest_mki = 128; // RFC 4568 §6.1

std::optional<unsigned> number(std::string_view text, unsigned most) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > most)
        return std::nullopt;
    return value;
}

// "1:4" is 00 00 00 01. Values beyond 32 bits are not met.
std::optional<std::vector<std::uint8_t>> decode_mki(std::string_view text) {
    const std::size_t colon = text.find(':');
    const auto value = number(text.substr(0, colon), UINT32_MAX);
    const auto size = number(text.substr(colon + 1), longest_mki);
    if (!value || !size || *size == 0 || (*size < 4 && *value >> (8 * *size) != 0)) return std::nullopt;
    std::vector<std::uint8_t> bytes(*size);
    for (std::size_t i = 0; i < std::min<std::size_t>(*size, 4); ++i)
        bytes[*size - 1 - i] = static_cast<std::uint8_t>(*value >> (8 * i));
    return bytes;
}

// "inline:KEY|2^20|1:4": key and MKI, without the lifetime. One key only.
struct KeyParameters {
    std::string_view key;
    std::vector<std::uint8_t> mki;
};

std::optional<KeyParameters> key_parameters(std::string_view text) {
    if (!starts(text, method) || text.find(';') != std::string_view::npos) return std::nullopt;
    text.remove_prefix(method.size());
    const std::size_t bar = std::min(text.find('|'), text.size());
    KeyParameters out{text.substr(0, bar), {}};
    for (text.remove_prefix(bar); !text.empty();) {
        text.remove_prefix(1);
        const auto field = text.substr(0, text.find('|'));
        text.remove_prefix(field.size());
        if (field.find(':') == std::string_view::npos) continue;
        auto mki = decode_mki(field);
        if (!mki || !text.empty()) return std::nullopt; // the last field it is
        out.mki = std::move(*mki);
    }
    return out;
}

bool harmless(std::string_view session_parameter) {
    return session_parameter.front() == '-' || starts(session_parameter, "wsh="); // a hint (RFC 4568 §6.3.7)
}

} // namespace

std::optional<CryptoLine> parse_crypto(std::string_view value) {
    const auto tag = take_word(value), suite = take_word(value), parameters = take_word(value);
    CryptoLine line;
    const auto [end, error] = std::from_chars(tag.data(), tag.data() + tag.size(), line.tag);
    if (tag.empty() || tag.size() > 9 || error != std::errc() || end != tag.data() + tag.size())
        return std::nullopt;
    const auto *known = srtp_suite_named(suite);
    auto given = key_parameters(parameters);
    if (known == nullptr || !given) return std::nullopt;
    const auto key = decode_key(given->key, known->suite);
    if (!key) return std::nullopt;
    for (auto word = take_word(value); !word.empty(); word = take_word(value))
        if (!harmless(word)) return std::nullopt;
    line.suite_name = suite;
    line.key = *key;
    line.mki = std::move(given->mki);
    return line;
}

std::string encode(const CryptoLine &line) {
    const auto bytes = line.key.bytes();
    std::string text(longest_key_text + 1, '\0');
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char *>(text.data()), bytes.data(),
                                       static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(length));
    return std::to_string(line.tag) + " " + line.suite_name + " inline:" + text;
}

std::vector<CryptoLine> crypto_lines(const SdpMedia &media) {
    std::vector<CryptoLine> lines;
    std::size_t seen = 0;
    for (const auto &attribute : media.attributes) {
        if (attribute.name != "crypto") continue;
        if (++seen > most_lines) break;
        if (auto line = parse_crypto(attribute.value)) lines.push_back(std::move(*line));
    }
    return lines;
}

bool has_crypto(const SdpMedia &media) noexcept {
    return media.attribute("crypto") != nullptr;
}

} // namespace offhook::media
