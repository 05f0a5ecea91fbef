// Twinkle: a profile (NAME.cfg, key=value) is an account, twinkle.ab the address book.
#include <map>

#include "base/text.hpp"
#include "cmd/import.hpp"
#include "sip/headers.hpp"

namespace offhook::cmd {

namespace {

std::string as_uri(const std::string &server) { // "pbx.example.com:5070" or a URI
    if (server.empty() || server.starts_with("sip:") || server.starts_with("sips:")) return server;
    return "sip:" + server;
}

// "a|b\|c" → "a", "b|c".
std::vector<std::string> fields_of(const std::string &line) {
    std::vector<std::string> out(1);
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\\' && i + 1 < line.size())
            out.back() += line[++i];
        else if (line[i] == '|')
            out.emplace_back();
        else
            out.back() += line[i];
    }
    return out;
}

std::vector<std::string> codecs_of(const std::string &value, const std::string &place, Imported &into) {
    // Its names that are not ours with other letters.
    static const std::map<std::string, std::string> names{{"g711a", "pcma"}, {"g711u", "pcmu"}};
    std::vector<std::string> out;
    for (const auto &name : split(value, ',')) {
        const auto known = names.find(name);
        const auto codec = known != names.end() ? known->second : imported_codec(name);
        if (codec.empty())
            into.left_out.push_back(place + "codecs: " + sanitise(name) + " is not known");
        else
            out.push_back(codec);
    }
    return out;
}

// Settings that change what calls do get a line of their own, those of taste share one.
bool matters(const std::string &key, const std::string &value) {
    if (value.empty() || value == "no" || value == "0") return false;
    return key == "nat_public_ip" || key == "zrtp_enabled" || key.starts_with("script_") ||
           key.starts_with("number_conversion") || key == "auth_op" || key == "auth_amf" ||
           key == "mwi_subscribe" || key == "pres_subscribe" || key == "sip_to_proxy";
}

} // namespace

void read_twinkle_profile(std::string_view text, const std::string &file, Imported &into) {
    ImportedAccount account;
    std::string user, domain, others;
    std::size_t count = 0;
    for (const auto &[number, line] : numbered_lines(text)) {
        const auto equals = line.find('=');
        if (line[0] == '#' || equals == std::string::npos) continue;
        const std::string place = ImportPlace{file, number}.prefix();
        const std::string key(sip::trim(std::string_view(line).substr(0, equals)));
        const std::string value(sip::trim(std::string_view(line).substr(equals + 1)));
        const auto seconds = sip::parse_number(value);
        if (key == "user_name")
            user = value;
        else if (key == "user_domain")
            domain = value;
        else if (key == "user_display")
            account.display_name = value;
        else if (key == "auth_name")
            account.auth_user = value;
        else if (key == "auth_pass")
            account.password = value;
        else if (key == "auth_realm")
            account.realm = value;
        else if (key == "registrar")
            account.registrar = as_uri(value);
        else if (key == "outbound_proxy")
            account.proxy = as_uri(value);
        else if (key == "register_at_startup")
            account.registers = value != "no";
        else if (key == "registration_time" && seconds && *seconds > 0 && *seconds <= 604'800)
            account.expires_s = static_cast<unsigned>(*seconds);
        else if (key == "codecs")
            account.codecs = codecs_of(value, place, into);
        else if (key == "sip_transport" && (value == "udp" || value == "tcp"))
            account.transport = value;
        else if (key == "stun_server" && !value.empty())
            account.stun = "stun:" + value;
        else if (matters(key, value))
            into.left_out.push_back(place + sanitise(key + "=" + value) + ": has no counterpart");
        else if (!value.empty() && ++count <= 200)
            others += (others.empty() ? "" : ", ") + sanitise(key);
    }
    const ImportPlace whole{file, 0};
    if (user.empty() || domain.empty()) {
        into.left_out.push_back(whole.prefix() + "no account (expected user_name and user_domain)");
        return;
    }
    account.aor = "sip:" + sip::escape_user(user) + "@" + domain;
    into.accounts.push_back(std::move(account));
    if (!others.empty()) into.left_out.push_back(whole.prefix() + "without counterpart: " + others);
}

void read_twinkle_book(std::string_view text, const std::string &file, Imported &into) {
    for (const auto &[number, line] : numbered_lines(text)) {
        if (line[0] == '#') continue;
        const auto fields = fields_of(line); // first name, infix, last name, address, remark
        const ImportPlace place{file, number};
        if (fields.size() != 5) {
            into.left_out.push_back(place.prefix() + "no contact (expected five fields)");
            continue;
        }
        std::string name;
        for (std::size_t i = 0; i < 3; ++i)
            if (!fields[i].empty()) name += (name.empty() ? "" : " ") + fields[i];
        const auto uri = imported_contact_uri(fields[3]);
        if (uri.empty()) {
            into.left_out.push_back(place.prefix() + sanitise(name) + ": \"" + sanitise(fields[3]) +
                                    "\" is neither an address nor a number");
            continue;
        }
        into.contacts.emplace_back(name, uri);
        if (!fields[4].empty())
            into.left_out.push_back(place.prefix() + sanitise(name) + ": the remark \"" +
                                    sanitise(fields[4]) + "\"");
    }
}

} // namespace offhook::cmd
