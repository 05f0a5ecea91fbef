#include "cmd/cli_values.hpp"

#include <algorithm>
#include <charconv>

#include <regex.h>

#include "base/text.hpp"
#include "bridge/settings_reader.hpp"
#include "phone/outbound_proxy.hpp"
#include "phone/settings.hpp"
#include "sip/headers.hpp"
#include "sip/uri.hpp"

namespace offhook::cmd {

namespace {

Failure bad(const std::string &text, const std::string &expected) {
    return fail(Errc::invalid_argument,
                "\"" + sanitise(text) + "\" cannot be used (expected " + expected + ")");
}

std::optional<double> parse_real(std::string_view text) {
    double value = 0;
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (error != std::errc{} || end != text.data() + text.size()) return {};
    return value;
}

bool is_token(std::string_view text) { // RFC 3261 §25.1
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 ||
               std::string_view("-.!%*_+`'~").find(static_cast<char>(c)) != std::string_view::npos;
    });
}

Result<Header> split_header(const std::string &text, const std::string &expected) {
    const auto colon = text.find(':');
    if (colon == std::string::npos) return bad(text, expected);
    const std::string name(sip::trim(std::string_view(text).substr(0, colon)));
    const std::string value(sip::trim(std::string_view(text).substr(colon + 1)));
    if (!is_token(name)) return bad(text, expected);
    return Header(name, value);
}

Result<Header> header_without_controls(const std::string &text) {
    auto header = split_header(text, "'NAME: VALUE'");
    if (!header) return header;
    const bool controls = std::any_of(header->second.begin(), header->second.end(),
                                      [](unsigned char c) { return c < 0x20 || c == 0x7F; });
    if (controls) return bad(text, "a header value without control characters");
    return header;
}

// What the phone writes itself: a second one would break the message (RFC 3261 §7.3.1).
bool is_own_header(const std::string &name) {
    constexpr std::string_view own[] = {"Via",
                                        "v",
                                        "From",
                                        "f",
                                        "To",
                                        "t",
                                        "Call-ID",
                                        "i",
                                        "CSeq",
                                        "Contact",
                                        "m",
                                        "Max-Forwards",
                                        "Content-Length",
                                        "l",
                                        "Content-Type",
                                        "c",
                                        "Route",
                                        "Record-Route",
                                        "Authorization",
                                        "Proxy-Authorization"};
    return std::any_of(std::begin(own), std::end(own),
                       [&](std::string_view other) { return sip::iequals(name, other); });
}

} // namespace

Result<std::string> parse_choice(const std::string &text, const std::string &words) {
    const auto known = split(words, '|');
    if (std::find(known.begin(), known.end(), text) != known.end()) return text;
    std::string list;
    for (const auto &word : known)
        list += (list.empty() ? "" : ", ") + word;
    return fail(Errc::invalid_argument, "\"" + sanitise(text) + "\" cannot be used (expected " + list + ")" +
                                            suggestion(text, known));
}

Result<std::string> parse_listen_text(const std::string &text) {
    if (text.find("://") != std::string::npos) { // the web sockets of wss-bridge
        if (auto socket = bridge::parse_web_socket(text); !socket) return tl::unexpected(socket.error());
        return text;
    }
    auto socket = parse_listen(text);
    if (!socket) return tl::unexpected(socket.error());
    return text;
}

Result<std::string> parse_sip_socket_text(const std::string &text) {
    if (auto socket = bridge::parse_sip_socket(text); !socket) return tl::unexpected(socket.error());
    return text;
}

Result<std::string> parse_media_text(const std::string &text) {
    if (auto nodes = bridge::parse_media(text); !nodes) return tl::unexpected(nodes.error());
    return text;
}

Result<std::string> parse_upstream_text(const std::string &text) {
    if (auto uri = bridge::parse_upstream(text); !uri) return tl::unexpected(uri.error());
    return text;
}

Result<std::string> parse_origin_text(const std::string &text) {
    return bridge::parse_origin(text);
}

Result<std::string> parse_network_text(const std::string &text) {
    if (auto network = Network::parse(text); !network) return tl::unexpected(network.error());
    return text;
}

Result<std::string> parse_port_range_text(const std::string &text) {
    if (auto range = bridge::parse_port_range(text); !range) return tl::unexpected(range.error());
    return text;
}

Result<std::string> parse_sip_uri(const std::string &text) {
    const auto uri = sip::Uri::parse(text);
    if (!uri)
        return fail(Errc::invalid_argument, "\"" + sanitise(text) + "\" is no SIP URI: " + uri.error().what);
    if (!uri->is_sip()) return bad(text, "a URI such as sip:alice@example.com");
    return text;
}

Result<std::string> parse_proxy(const std::string &text) {
    if (auto proxy = parse_outbound_proxy(text); !proxy)
        return fail(Errc::invalid_argument, "\"" + sanitise(text) + "\" is no proxy: " + proxy.error().what);
    return text;
}

Result<std::string> parse_dtmf_digits(const std::string &text) {
    const auto wrong = text.find_first_not_of("0123456789*#ABCDabcd,w");
    if (!text.empty() && wrong == std::string::npos) return text;
    return bad(text, "digits 0-9 * # A-D, and , or w for a pause");
}

Result<std::string> parse_regex_text(const std::string &text) {
    regex_t compiled{};
    const int code = regcomp(&compiled, text.c_str(), REG_EXTENDED | REG_NOSUB);
    if (code != 0) {
        char reason[128] = "";
        regerror(code, &compiled, reason, sizeof reason);
        return fail(Errc::invalid_argument, "\"" + sanitise(text) + "\" is no regular expression: " + reason);
    }
    regfree(&compiled);
    return text;
}

Result<Header> parse_extra_header(const std::string &text) {
    auto header = header_without_controls(text);
    if (!header) return header;
    if (is_own_header(header->first))
        return fail(Errc::invalid_argument,
                    "\"" + header->first + "\" is written by the phone itself and cannot be set");
    return header;
}

Result<Header> parse_any_header(const std::string &text) {
    auto header = header_without_controls(text);
    if (!header) return header;
    for (const char *own : {"Via", "v", "CSeq", "Content-Length", "l"})
        if (sip::iequals(header->first, own))
            return fail(Errc::invalid_argument,
                        "\"" + header->first + "\" cannot be set (give the whole message with --raw FILE)");
    return header;
}

Result<std::string> parse_method_token(const std::string &text) {
    if (!is_token(text) || text.size() > 32) return bad(text, "a method such as OPTIONS");
    if (text == "ACK" || text == "CANCEL")
        return fail(Errc::invalid_argument,
                    text + " belongs to an INVITE (give the whole message with --raw FILE)");
    return text;
}

Result<std::string> parse_expect(const std::string &text) {
    const auto status = [](const std::string &word) {
        const auto digit = [](char c) { return (c >= '0' && c <= '9') || c == 'x'; };
        return word.size() == 3 && word[0] >= '2' && word[0] <= '6' && digit(word[1]) && digit(word[2]);
    };
    const auto words = split(text, ',');
    if (text == "none" || std::all_of(words.begin(), words.end(), status)) return text;
    return bad(text, "final statuses such as 2xx or 401,407, or none");
}

bool status_matches(unsigned status, const std::string &expect) {
    const std::string digits = std::to_string(status);
    const auto words = split(expect, ',');
    return std::any_of(words.begin(), words.end(), [&](const std::string &word) {
        return word.size() == digits.size() &&
               std::equal(word.begin(), word.end(), digits.begin(),
                          [](char wanted, char seen) { return wanted == 'x' || wanted == seen; });
    });
}

Result<Header> parse_expected_header(const std::string &text) {
    auto header = split_header(text, "'NAME: REGEX'");
    if (!header) return header;
    if (auto pattern = parse_regex_text(header->second); !pattern) return tl::unexpected(pattern.error());
    return header;
}

Result<std::vector<double>> parse_tones(const std::string &text) {
    std::vector<double> tones;
    for (const auto &part : split(text, ',')) {
        const auto hz = parse_real(part);
        if (!hz || *hz < 50 || *hz > 4000)
            return bad(text, "one or two frequencies of 50 to 4000 Hz, such as 425 or 350,440");
        tones.push_back(*hz);
    }
    if (tones.size() > 2) return bad(text, "one or two frequencies");
    return tones;
}

Result<double> parse_mos(const std::string &text) {
    const auto value = parse_real(text);
    if (!value || *value < 1 || *value > 4.5) return bad(text, "a number from 1 to 4.5");
    return *value;
}

Result<int> parse_int(const std::string &text, int low, int high) {
    const auto value = sip::parse_number(text);
    if (!value || *value > static_cast<std::uint64_t>(high) || static_cast<int>(*value) < low)
        return bad(text, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
    return static_cast<int>(*value);
}

Result<Duration> parse_duration_from(const std::string &text, Duration least) {
    auto given = parse_duration(text);
    if (given && *given < least) return bad(text, "at least " + format_span(least));
    return given;
}

Result<unsigned> parse_status(const std::string &text) {
    const auto value = parse_int(text, 300, 699);
    if (!value) return bad(text, "a SIP status from 300 to 699");
    return static_cast<unsigned>(*value);
}

} // namespace offhook::cmd
