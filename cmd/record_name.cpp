#include "cmd/record_name.hpp"

#include <array>
#include <cctype>
#include <ctime>
#include <string_view>

namespace offhook::cmd {

namespace {

std::string safe_peer(std::string_view uri) {
    if (const auto colon = uri.find(':');
        colon != std::string_view::npos && uri.substr(0, colon).find('@') == std::string_view::npos)
        uri.remove_prefix(colon + 1);
    uri = uri.substr(0, std::min(uri.find_first_of(";?>"), uri.size()));
    std::string out;
    for (const char c : uri.substr(0, 64)) {
        const bool fine = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                          std::string_view(".-_+@").find(c) != std::string_view::npos;
        out += fine ? c : '_';
    }
    if (out.empty() || out[0] == '.') out.insert(0, "_");
    return out;
}

std::string local_time(std::chrono::system_clock::time_point when, const char *format) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
    std::tm parts{};
    localtime_r(&seconds, &parts);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), format, &parts)};
}

void replace_all(std::string &text, std::string_view what, const std::string &with) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
        text.replace(at, what.size(), with);
}

} // namespace

std::string expand_record_name(std::string name, const std::string &peer_uri,
                               std::chrono::system_clock::time_point when) {
    replace_all(name, "{date}", local_time(when, "%Y-%m-%d"));
    replace_all(name, "{time}", local_time(when, "%H%M%S"));
    replace_all(name, "{peer}", safe_peer(peer_uri));
    return name;
}

} // namespace offhook::cmd
