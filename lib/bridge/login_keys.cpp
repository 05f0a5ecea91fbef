// The keys of web applications that say who their visitors are: read from files, and whether they fit the
// rest.
#include <algorithm>
#include <fstream>
#include <iterator>

#include <sys/stat.h>

#include "base/text.hpp"
#include "bridge/settings_reader.hpp"

namespace offhook::bridge {

namespace {

constexpr std::size_t largest_key = 16'384;

Result<std::string> content(const std::string &path) {
    std::ifstream in(path, std::ios::binary);
    std::string out(largest_key + 1, '\0');
    in.read(out.data(), static_cast<std::streamsize>(out.size()));
    out.resize(static_cast<std::size_t>(in.gcount()));
    if (out.empty()) return fail(Errc::config, "nothing can be read from " + sanitise(path));
    if (out.size() > largest_key) return fail(Errc::config, sanitise(path) + " is no key: it is too long");
    return out;
}

} // namespace

Result<> check_private(const std::string &path) {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0 || (found.st_mode & S_IROTH) == 0) return {};
    return fail(Errc::config, "everybody can read " + sanitise(path) + " (chmod 600 " + sanitise(path) + ")");
}

Result<JwtKey> load_jwt_key(const std::string &path) {
    const auto text = content(path);
    if (!text) return tl::unexpected(text.error());
    auto key = JwtKey::read(*text);
    if (!key) return fail(Errc::config, sanitise(path) + ": " + key.error().what);
    if (key->secret())
        if (auto ours = check_private(path); !ours) return tl::unexpected(ours.error());
    return key;
}

Result<std::string> load_cookie_key(const std::string &path) {
    const auto text = content(path);
    if (!text) return tl::unexpected(text.error());
    if (auto ours = check_private(path); !ours) return tl::unexpected(ours.error());
    std::string key = *text;
    if (key.ends_with('\n')) key.pop_back();
    if (key.size() < JwtKey::shortest_secret)
        return fail(Errc::config, sanitise(path) + ": the key has " + std::to_string(key.size()) +
                                      " bytes (expected at least " + std::to_string(JwtKey::shortest_secret) +
                                      ")");
    return key;
}

Result<> check_logins(const Settings &settings) {
    if (settings.logins.any() && settings.proxies_registrations())
        return fail(Errc::config,
                    "jwt_key_file and cookie_key_file are for users of the bridge, and here the "
                    "upstream has them (expected no upstream, or upstream_mode \"creds\")");
    // A browser sends its cookies for any page that may connect.
    const auto anybody = std::ranges::find_if(settings.origins, [](const std::string &pattern) {
        return glob_match(pattern, "https://stranger.invalid") || glob_match(pattern, "stranger.invalid");
    });
    if (!settings.logins.cookie_key.empty() && anybody != settings.origins.end())
        return fail(Errc::config, "cookie_key_file: with the origin \"" + sanitise(*anybody) +
                                      "\" every page could use the cookies of its visitors (expected the "
                                      "origins of your pages)");
    return {};
}

} // namespace offhook::bridge
