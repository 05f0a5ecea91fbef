#include "sip/trace.hpp"

#include "base/clock.hpp"
#include "sip/headers.hpp"
#include "sip/line.hpp"

namespace offhook::sip {

namespace {

constexpr std::string_view hidden = "…hidden…";

void append_escaped(std::string &out, std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && c != '\t') || byte == 0x7f)
            out.append("\\x").append(1, digits[byte >> 4U]).append(1, digits[byte & 15U]);
        else
            out += c;
    }
}

bool is_credentials(std::string_view line) {
    const std::string_view name = trim(line.substr(0, line.find(':')));
    return iequals(name, "Authorization") || iequals(name, "Proxy-Authorization");
}

// Values of `response` parameters and whatever a scheme other than Digest sends are replaced.
std::string mask_credentials(std::string_view line) {
    const auto colon = line.find(':');
    const std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
    std::string masked(line.substr(0, colon + 1));
    const auto scheme = AuthParams::parse(trim(value));
    if (!scheme || !iequals(scheme->scheme, "Digest")) return masked.append(" ").append(hidden);
    masked += " Digest";
    bool first = true;
    for (const Param &param : scheme->params.items) {
        const bool secret = iequals(param.name, "response");
        masked.append(first ? " " : ", ").append(param.name).append("=");
        masked.append(param.quoted ? "\"" : "")
            .append(secret ? hidden : param.value)
            .append(param.quoted ? "\"" : "");
        first = false;
    }
    return masked;
}

bool continues(std::string_view rest) {
    return rest.starts_with(' ') || rest.starts_with('\t');
}

std::string title(const Flow &flow, bool sent, std::size_t size, std::chrono::system_clock::time_point when) {
    return "--- " + format_utc(when) + (sent ? " sent " : " received ") + std::string(uri_token(flow.kind)) +
           ":" + flow.local.to_string() + (sent ? " -> " : " <- ") + flow.remote.to_string() + ", " +
           std::to_string(size) + " bytes\n";
}

} // namespace

std::string format_trace(const Flow &flow, bool sent, std::string_view bytes,
                         std::chrono::system_clock::time_point when) {
    return title(flow, sent, bytes.size(), when) + format_message(bytes);
}

std::string format_message(std::string_view bytes) {
    std::string out;
    bool in_headers = true;
    while (!bytes.empty()) {
        const std::string_view first = take_line(bytes);
        if (first.empty()) in_headers = false;
        if (in_headers && is_credentials(first)) {
            std::string whole(first);
            while (continues(bytes))
                whole += take_line(bytes);
            append_escaped(out, mask_credentials(whole));
        } else {
            append_escaped(out, first);
        }
        out += '\n';
    }
    return out;
}

} // namespace offhook::sip
