#include "media/sdp_bandwidth.hpp"

#include <algorithm>
#include <cctype>

namespace offhook::media {

namespace {

constexpr std::size_t most_lines = 8; // of the session and of each m=
constexpr std::size_t longest = 40;   // "X-something:4294967295"

// The next line without its end.
std::string_view take_line(std::string_view &text) {
    const auto end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

bool passes(std::string_view value) {
    const auto colon = value.find(':');
    if (colon == 0 || colon == std::string_view::npos || value.size() > longest) return false;
    const std::string_view type = value.substr(0, colon), number = value.substr(colon + 1);
    const auto word = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-'; };
    const auto digit = [](unsigned char c) { return std::isdigit(c) != 0; };
    return std::ranges::all_of(type, word) && !number.empty() && std::ranges::all_of(number, digit) &&
           type != "RS" && type != "RR";
}

void put(std::string &out, const std::vector<std::string> &lines) {
    for (const auto &line : lines)
        out += "b=" + line + "\r\n";
}

} // namespace

SdpBandwidths SdpBandwidths::read(std::string_view sdp) {
    SdpBandwidths out;
    while (!sdp.empty()) {
        const std::string_view line = take_line(sdp);
        if (line.starts_with("m=")) out.media.emplace_back();
        auto &list = out.media.empty() ? out.session : out.media.back();
        if (line.starts_with("b=") && list.size() < most_lines && passes(line.substr(2)))
            list.emplace_back(line.substr(2));
    }
    return out;
}

std::string SdpBandwidths::put_into(std::string_view sdp) const {
    std::string out;
    const std::vector<std::string> *waiting = nullptr; // for the first line that comes after b=
    std::size_t next = 0;
    const auto flush = [&] {
        if (waiting != nullptr) put(out, *waiting);
        waiting = nullptr;
    };
    waiting = &session;
    while (!sdp.empty()) {
        const std::string_view line = take_line(sdp);
        if (line.starts_with("t=") || line.starts_with("a=") || line.starts_with("m=")) flush();
        out.append(line).append("\r\n");
        if (line.starts_with("m=")) {
            waiting = next < media.size() ? &media[next] : nullptr;
            ++next;
        }
    }
    flush();
    return out;
}

} // namespace offhook::media
