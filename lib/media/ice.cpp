#include "media/ice.hpp"

#include <algorithm>
#include <charconv>

#include <openssl/crypto.h>
#include <openssl/rand.h>

namespace offhook::media {

namespace {

constexpr std::size_t most_candidates = 64, most_named = 2;
constexpr std::size_t longest_name = 128;

// 6 bits a character, from RFC 8839's ice-char.
std::string random_text(std::size_t length) {
    static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text(length, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char *>(text.data()), static_cast<int>(length)) != 1)
        throw std::runtime_error("no random numbers for ICE credentials");
    for (char &c : text)
        c = alphabet[static_cast<unsigned char>(c) % 64];
    return text;
}

std::string_view take_word(std::string_view &rest) {
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    const auto word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size());
    return word;
}

template <class Number>
bool read(std::string_view text, Number &into) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
    return error == std::errc() && end == text.data() + text.size();
}

bool is(std::string_view text, std::string_view word) {
    return std::ranges::equal(text, word,
                              [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

std::optional<IceCandidateType> type_named(std::string_view text) {
    using Type = IceCandidateType;
    for (const Type type : {Type::host, Type::server_reflexive, Type::peer_reflexive, Type::relayed})
        if (is(text, name(type))) return type;
    return std::nullopt;
}

bool ice_chars(std::string_view text, std::size_t shortest) {
    return text.size() >= shortest && text.size() <= 256 && std::ranges::all_of(text, [](unsigned char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '+' || c == '/' || c == '-' || c == '_' || c == '=';
           });
}

std::string_view find(const SdpMedia &media, const Sdp &sdp, std::string_view name) {
    if (const auto *own = media.attribute(name)) return *own;
    const auto found = std::ranges::find(sdp.attributes, name, &SdpAttribute::name);
    return found == sdp.attributes.end() ? std::string_view{} : found->value;
}

bool same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace

IceCredentials IceCredentials::random() {
    return {random_text(8), random_text(24)};
}

std::string_view name(IceCandidateType type) noexcept {
    switch (type) {
    case IceCandidateType::host:
        return "host";
    case IceCandidateType::peer_reflexive:
        return "prflx";
    case IceCandidateType::server_reflexive:
        return "srflx";
    case IceCandidateType::relayed:
        break;
    }
    return "relay";
}

std::uint32_t ice_priority(IceCandidateType type, std::uint16_t local_preference,
                           unsigned component) noexcept {
    static constexpr std::uint32_t preferences[] = {126, 110, 100, 0};
    return preferences[static_cast<std::size_t>(type)] << 24 | std::uint32_t{local_preference} << 8 |
           (256 - component);
}

namespace {

// All but the address; "1 1 UDP 2130706431 HOST PORT typ host".
struct Line {
    IceCandidate candidate;
    std::string_view host;
    std::uint16_t port = 0;
};

std::optional<Line> read_line(std::string_view value) {
    Line line;
    IceCandidate &candidate = line.candidate;
    candidate.foundation = take_word(value);
    const auto component = take_word(value), transport = take_word(value), priority = take_word(value);
    line.host = take_word(value);
    const auto port = take_word(value), typ = take_word(value), type = take_word(value);
    if (!ice_chars(candidate.foundation, 1) || candidate.foundation.size() > 32 || !is(transport, "udp") ||
        !is(typ, "typ") || !read(component, candidate.component) || candidate.component < 1 ||
        candidate.component > 2 || !read(priority, candidate.priority) || !read(port, line.port))
        return std::nullopt;
    const auto known = type_named(type);
    if (!known) return std::nullopt;
    candidate.type = *known;
    return line;
}

bool mdns_name(std::string_view host) {
    constexpr std::string_view domain = ".local";
    return host.size() > domain.size() && host.size() <= longest_name &&
           is(host.substr(host.size() - domain.size()), domain) && host.front() != '.' &&
           host.front() != '-' && std::ranges::all_of(host, [](unsigned char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '.';
           });
}

} // namespace

// CVE-2020-26262's kin: checks must not be steered to a group or to nobody. Loopback stays allowed: it is
// where two phones on one machine meet, and a check reveals nothing there.
bool may_be_checked(const Address &address) {
    if (address.port() == 0 || address.is_any()) return false;
    const std::string ip = address.ip();
    if (address.family() == AF_INET6) return !ip.starts_with("ff");
    unsigned first = 0;
    (void)std::from_chars(ip.data(), ip.data() + ip.size(), first);
    return first != 0 && first < 224;
}

std::optional<IceCandidate> parse_candidate(std::string_view value) {
    auto line = read_line(value);
    if (!line) return std::nullopt;
    const auto address = Address::parse(line->host, line->port);
    if (!address || !may_be_checked(*address)) return std::nullopt;
    line->candidate.address = *address;
    return std::move(line->candidate);
}

std::optional<NamedCandidate> parse_named_candidate(std::string_view value) {
    auto line = read_line(value);
    if (!line || line->port == 0 || !mdns_name(line->host)) return std::nullopt;
    return NamedCandidate{std::move(line->candidate), std::string(line->host), line->port};
}

std::string encode(const IceCandidate &candidate) {
    std::string text = candidate.foundation + " " + std::to_string(candidate.component) + " UDP " +
                       std::to_string(candidate.priority) + " " + candidate.address.ip() + " " +
                       std::to_string(candidate.address.port()) + " typ " + std::string(name(candidate.type));
    if (candidate.related.is_set())
        text += " raddr " + candidate.related.ip() + " rport " + std::to_string(candidate.related.port());
    return text;
}

std::optional<IceDescription> ice_description(const SdpMedia &media, const Sdp &sdp) {
    IceDescription ice;
    ice.credentials = {std::string(find(media, sdp, "ice-ufrag")), std::string(find(media, sdp, "ice-pwd"))};
    if (!ice_chars(ice.credentials.ufrag, 4) || !ice_chars(ice.credentials.password, 22)) return std::nullopt;
    ice.lite = std::ranges::any_of(sdp.attributes, [](const auto &a) { return a.name == "ice-lite"; });
    for (const auto &attribute : media.attributes) {
        if (attribute.name != "candidate" || ice.candidates.size() == most_candidates) continue;
        if (auto candidate = parse_candidate(attribute.value))
            ice.candidates.push_back(std::move(*candidate));
        else if (auto named = parse_named_candidate(attribute.value); named && ice.named.size() < most_named)
            ice.named.push_back(std::move(*named));
    }
    return ice;
}

void add_attributes(SdpMedia &media, const IceDescription &ice) {
    media.attributes.push_back({"ice-ufrag", ice.credentials.ufrag});
    media.attributes.push_back({"ice-pwd", ice.credentials.password});
    for (const IceCandidate &candidate : ice.candidates)
        media.attributes.push_back({"candidate", encode(candidate)});
    media.attributes.push_back({"end-of-candidates", ""});
}

IceCheck judge_check(const StunMessage &message, const Address &from, const IceCredentials &local) {
    IceCheck check;
    const auto user = message.text(StunAttribute::username);
    if (user.empty() || !message.has(StunAttribute::message_integrity)) return check;
    const std::size_t colon = std::min(user.find(':'), user.size());
    if (!same(user.substr(0, colon), local.ufrag) || !message.authenticated(local.password)) {
        check.response = StunWriter::error(message, 401, "Unauthenticated").finish();
        return check;
    }
    if (const auto strange = message.not_understood(); !strange.empty()) {
        std::string list;
        for (const std::uint16_t type : strange)
            list += {static_cast<char>(type >> 8), static_cast<char>(type & 0xFF)};
        check.response = StunWriter::error(message, 420, "Unknown Attribute")
                             .add(StunAttribute::unknown_attributes, list)
                             .finish_signed(local.password);
        return check;
    }
    check.accepted = true;
    check.use_candidate = message.has(StunAttribute::use_candidate);
    check.priority = message.number(StunAttribute::priority).value_or(0);
    if (colon < user.size()) check.peer_ufrag = user.substr(colon + 1);
    for (const auto role : {StunAttribute::ice_controlling, StunAttribute::ice_controlled})
        if (const auto tie_breaker = message.long_number(role)) {
            check.controlling = role == StunAttribute::ice_controlling;
            check.tie_breaker = *tie_breaker;
        }
    check.response = StunWriter::reply(message, StunClass::success)
                         .add_address(StunAttribute::xor_mapped_address, from)
                         .finish_signed(local.password);
    return check;
}

} // namespace offhook::media
