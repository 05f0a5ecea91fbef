#include "bridge/settings_reader.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <set>

#include "base/config_reader.hpp"
#include "base/text.hpp"

namespace offhook::bridge {

namespace {

class Reader : ConfigReader {
public:
    Reader(const ConfigFile &file, Settings settings) : ConfigReader(file, report_.errors) {
        report_.settings = std::move(settings);
    }
    SettingsReport read();

private:
    Take flag(bool &into);
    Take whole(std::int64_t low, std::int64_t high, std::function<void(std::int64_t)> into);
    Take words(std::vector<std::string> &into);
    template <class T, class Parse>
    Take parsed(T &into, Parse parse);
    template <class T, class Parse>
    Take each(std::vector<T> &into, Parse parse);
    void tables(const ConfigMember &member, void (Reader::*one)(const ConfigTable &, const ConfigOrigin &));
    void user(const ConfigTable &table, const ConfigOrigin &origin);
    void secret(UserSettings &user, const std::string &path, const ConfigOrigin &origin);
    void read_password(std::string &into, const std::string &path, const std::string &whose,
                       const ConfigOrigin &origin);
    void upstream_secret(UserSettings &user, const std::string &path, const ConfigOrigin &origin);
    void device(const ConfigTable &table, const ConfigOrigin &origin);
    struct Jwt { // as it stands in the file
        std::optional<JwtKey> key;
        std::string issuer, audience, claim;
    };
    void logins(Jwt jwt, const ConfigOrigin &origin);

    SettingsReport report_;
    std::vector<std::pair<std::string, ConfigOrigin>> without_password_; // "user NAME"
};

Reader::Take Reader::flag(bool &into) {
    return [this, &into](const ConfigMember &member) {
        if (const auto *value = std::get_if<bool>(&member.value.value))
            into = *value;
        else
            error(member.value.origin, member.key + " must be true or false");
    };
}

Reader::Take Reader::whole(std::int64_t low, std::int64_t high, std::function<void(std::int64_t)> into) {
    return [this, low, high, into = std::move(into)](const ConfigMember &member) {
        const auto *value = std::get_if<std::int64_t>(&member.value.value);
        if (value != nullptr && *value >= low && *value <= high) return into(*value);
        error(member.value.origin, member.key + " must be a whole number from " + std::to_string(low) +
                                       " to " + std::to_string(high));
    };
}

template <class T, class Parse>
Reader::Take Reader::parsed(T &into, Parse parse) {
    return [this, &into, parse](const ConfigMember &member) {
        const auto *value = std::get_if<std::string>(&member.value.value);
        if (value == nullptr) return error(member.value.origin, member.key + " must be a string");
        auto result = parse(*value);
        if (result)
            into = std::move(*result);
        else
            error(member.value.origin, member.key + ": " + result.error().what);
    };
}

// A string, or a list of strings.
template <class T, class Parse>
Reader::Take Reader::each(std::vector<T> &into, Parse parse) {
    return [this, &into, parse](const ConfigMember &member) {
        std::vector<const ConfigValue *> values;
        if (const auto *items = std::get_if<ConfigArray>(&member.value.value))
            for (const auto &item : *items)
                values.push_back(&item);
        else
            values.push_back(&member.value);
        into.clear();
        for (const auto *value : values) {
            const auto *one = std::get_if<std::string>(&value->value);
            if (one == nullptr) {
                error(value->origin, member.key + " must be a string or a list of strings");
                continue;
            }
            auto result = parse(*one);
            if (result)
                into.push_back(std::move(*result));
            else
                error(value->origin, member.key + ": " + result.error().what);
        }
    };
}

Reader::Take Reader::words(std::vector<std::string> &into) {
    return each(into, [](const std::string &one) -> Result<std::string> { return one; });
}

void Reader::tables(const ConfigMember &member,
                    void (Reader::*one)(const ConfigTable &, const ConfigOrigin &)) {
    const auto *items = std::get_if<ConfigArray>(&member.value.value);
    if (items == nullptr)
        return error(member.origin, member.key + " must be a list of tables: [[bridge." + member.key + "]]");
    for (const auto &item : *items)
        if (const auto *table = item.table())
            (this->*one)(*table, item.origin);
        else
            error(item.origin, member.key + " must be a list of tables: [[bridge." + member.key + "]]");
}

void Reader::read_password(std::string &into, const std::string &path, const std::string &whose,
                           const ConfigOrigin &origin) {
    errno = 0;
    std::ifstream in(path);
    if (!in)
        return error(origin,
                     whose + ": " + fail_errno(Errc::config, errno, "read " + sanitise(path)).value().what);
    if (!std::getline(in, into) || into.empty())
        error(origin, whose + ": no password in the first line of " + sanitise(path));
}

void Reader::secret(UserSettings &out, const std::string &path, const ConfigOrigin &origin) {
    const int given = !out.password.empty() + !out.ha1.empty() + !path.empty();
    const std::string name = "user \"" + sanitise(out.name) + "\"";
    if (given > 1) return error(origin, name + " has more than one of password, password_file and ha1");
    if (given == 0) {
        without_password_.emplace_back(name, origin);
        return;
    }
    const bool hex =
        std::ranges::all_of(out.ha1, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (!out.ha1.empty() && (out.ha1.size() != 32 || !hex))
        return error(origin, name + ": ha1 must be 32 hexadecimal digits in lower case");
    if (path.empty()) {
        if (file_.others_may_read)
            report_.warnings.push_back(origin.message(file_.path, "others can read the password of " + name +
                                                                      " (chmod 600 " + file_.path + ")"));
        return;
    }
    read_password(out.password, path, name, origin);
}

// Whoever has it makes calls that the user pays for: a file that everybody can read is refused.
void Reader::upstream_secret(UserSettings &out, const std::string &path, const ConfigOrigin &origin) {
    UpstreamUser &up = out.upstream;
    const std::string name = "user \"" + sanitise(out.name) + "\"";
    const int given = !up.password.empty() + !path.empty();
    if (up.user.empty()) {
        if (given != 0 || up.aor || !up.realm.empty()) error(origin, name + ": no upstream_user");
        return;
    }
    if (given != 1)
        return error(origin,
                     name + (given == 0 ? " has no upstream password (expected upstream_password_file "
                                          "or upstream_password)"
                                        : " has both upstream_password and upstream_password_file"));
    if (path.empty()) {
        if (file_.others_may_read)
            report_.warnings.push_back(
                origin.message(file_.path, "others can read the upstream password of " + name +
                                               " (chmod 600 " + file_.path + ")"));
        return;
    }
    if (auto ours = check_private(path); !ours) return error(origin, name + ": " + ours.error().what);
    read_password(up.password, path, name, origin);
}

void Reader::user(const ConfigTable &table, const ConfigOrigin &origin) {
    UserSettings out;
    sip::Uri aor;
    std::string path, digest, upstream_path;
    members(table, " in [[bridge.user]]",
            {{"name", parsed(out.name, parse_user_name)},
             {"password", text(out.password)},
             {"password_file", text(path)},
             {"ha1", text(out.ha1)},
             {"devices", whole(1, 1000, [&](std::int64_t n) { out.devices = static_cast<unsigned>(n); })},
             {"may_call", words(out.may_call)},
             {"digest", text(digest)},
             {"upstream_user", text(out.upstream.user)},
             {"upstream_password", text(out.upstream.password)},
             {"upstream_password_file", text(upstream_path)},
             {"upstream_realm", text(out.upstream.realm)},
             {"upstream_aor", parsed(aor, parse_address)}});
    if (out.name.empty()) {
        const auto *name = find(table, "name");
        const auto *given = name != nullptr ? std::get_if<std::string>(&name->value.value) : nullptr;
        if (name == nullptr || (given != nullptr && given->empty()))
            error(origin, "a [[bridge.user]] has no name");
        return;
    }
    if (digest == "md5") out.digest = DigestOffer::md5;
    if (digest == "sha-256") out.digest = DigestOffer::sha256;
    if (!digest.empty() && digest != "md5" && digest != "sha-256" && digest != "both")
        error(origin, "digest must be \"both\", \"md5\" or \"sha-256\"");
    secret(out, path, origin);
    if (!aor.host.empty()) out.upstream.aor = aor;
    upstream_secret(out, upstream_path, origin);
    if (std::ranges::find(report_.settings.users, out.name, &UserSettings::name) !=
        report_.settings.users.end())
        return error(origin, "user \"" + sanitise(out.name) + "\" is there twice");
    report_.settings.users.push_back(std::move(out));
}

void Reader::device(const ConfigTable &table, const ConfigOrigin &origin) {
    DeviceSettings out;
    std::string uri;
    members(table, " in [[bridge.device]]", {{"name", text(out.name)}, {"uri", text(uri)}});
    auto parsed_uri = sip::Uri::parse(uri);
    const auto address = parsed_uri ? Address::parse(parsed_uri->host, parsed_uri->port)
                                    : Result<Address>(fail(Errc::config, ""));
    if (!parsed_uri || !parsed_uri->is_sip() || !address)
        return error(origin, "uri of a [[bridge.device]] must be a SIP URI with a numeric address, such as "
                             "\"sip:door@192.168.1.50\"");
    out.uri = *parsed_uri;
    out.address = *address;
    if (out.name.empty()) out.name = out.uri.user;
    if (out.name.empty()) return error(origin, "a [[bridge.device]] has no name");
    report_.settings.devices.push_back(std::move(out));
}

void Reader::logins(Jwt jwt, const ConfigOrigin &origin) {
    auto &out = report_.settings.logins;
    if (jwt.key) {
        out.jwt = JwtRules{*jwt.key, std::move(jwt.issuer), std::move(jwt.audience)};
        if (!jwt.claim.empty()) out.jwt->user_claim = std::move(jwt.claim);
    } else if (!(jwt.issuer + jwt.audience + jwt.claim).empty()) {
        error(origin, "jwt_issuer, jwt_audience and jwt_claim need jwt_key_file");
    }
    if (out.any()) return;
    for (const auto &[name, where] : without_password_)
        error(where, name + " has no password (expected password, password_file or ha1)");
}

SettingsReport Reader::read() {
    const auto *member = find(file_.root, "bridge");
    if (member == nullptr) return std::move(report_);
    const auto *table = member->value.table();
    if (table == nullptr) {
        error(member->origin, "bridge must be a table: [bridge]");
        return std::move(report_);
    }
    auto &s = report_.settings;
    std::string srtp;
    Jwt jwt;
    std::pair<std::uint16_t, std::uint16_t> range{s.rtp_min, s.rtp_max};
    sip::Uri upstream;
    members(*table, " in [bridge]",
            {{"domain", parsed(s.domain, parse_domain)},
             {"user", [this](const ConfigMember &m) { tables(m, &Reader::user); }},
             {"device", [this](const ConfigMember &m) { tables(m, &Reader::device); }},
             {"listen", each(s.web, parse_web_socket)},
             {"sip", each(s.sip, parse_sip_socket)},
             {"origin", each(s.origins, parse_origin)},
             {"trusted_proxies", each(s.proxies, Network::parse)},
             {"allow_native", flag(s.allow_native)},
             {"hide_forks", flag(s.hide_forks)},
             {"allow_ws", flag(s.allow_ws)},
             {"www", parsed(s.www, parse_www)},
             {"media", parsed(s.rtpengines, parse_media)},
             {"upstream", parsed(upstream, parse_upstream)},
             {"upstream_mode", parsed(s.upstream_mode, parse_upstream_mode)},
             {"jwt_key_file", parsed(jwt.key, load_jwt_key)},
             {"jwt_issuer", text(jwt.issuer)},
             {"jwt_audience", text(jwt.audience)},
             {"jwt_claim", text(jwt.claim)},
             {"cookie_key_file", parsed(s.logins.cookie_key, load_cookie_key)},
             {"cluster_key", text(s.cluster_key)},
             {"cluster_peers", each(s.peers, parse_sip_socket)},
             {"state_file", text(s.state_file)},
             {"rtp_ports", parsed(range, parse_port_range)},
             {"ice_port",
              whole(1024, 65'535, [&](std::int64_t n) { s.ice_port = static_cast<std::uint16_t>(n); })},
             {"ice_tcp", flag(s.ice_tcp)},
             {"public_address", text(s.public_address)},
             {"codecs", each(s.codecs, parse_bridge_codec)},
             {"srtp", text(srtp)},
             {"avpf", flag(s.avpf)},
             {"certificate", text(s.tls.certificate)},
             {"certificate_key", text(s.tls.key)},
             {"door_code", parsed(s.door_code, parse_door_code)},
             {"transcode", whole(0, 10'000, [&](std::int64_t n) { s.transcode = static_cast<unsigned>(n); })},
             {"media_workers",
              whole(1, 64, [&](std::int64_t n) { s.media_workers = static_cast<unsigned>(n); })}});
    logins(std::move(jwt), member->origin);
    if (srtp == "offer") s.srtp = PlainSrtp::offer;
    if (srtp == "require") s.srtp = PlainSrtp::require;
    if (!srtp.empty() && srtp != "off" && srtp != "offer" && srtp != "require")
        error(member->origin,
              "srtp must be \"off\", \"offer\" or \"require\", not \"" + sanitise(srtp) + "\"");
    if (!upstream.host.empty()) s.upstream = upstream;
    s.rtp_min = range.first;
    s.rtp_max = range.second;
    if (!s.public_address.empty() && !Address::parse(s.public_address))
        error(member->origin, "public_address: \"" + sanitise(s.public_address) + "\" is no IP address");
    return std::move(report_);
}

} // namespace

SettingsReport read_bridge_settings(const ConfigFile &file, Settings settings) {
    return Reader(file, std::move(settings)).read();
}

} // namespace offhook::bridge
