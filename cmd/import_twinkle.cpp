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

class Profile {
public:
    Profile(const std::string &file, Imported &into) : file_(file), into_(into) {}

    void take(const std::string &key, const std::string &value, std::size_t line) {
        const std::string place = ImportPlace{file_, line}.prefix();
        if (as_it_is(key, value) || converted(key, value)) return;
        if (key == "codecs")
            account_.codecs = codecs_of(value, place, into_);
        else if (matters(key, value))
            into_.left_out.push_back(place + sanitise(key + "=" + value) + ": has no counterpart");
        else if (!value.empty() && ++count_ <= most_named)
            others_ += (others_.empty() ? "" : ", ") + sanitise(key);
    }

    void end() {
        const std::string place = ImportPlace{file_, 0}.prefix();
        if (user_.empty() || domain_.empty()) {
            into_.left_out.push_back(place + "no account (expected user_name and user_domain)");
            return;
        }
        account_.aor = "sip:" + sip::escape_user(user_) + "@" + domain_;
        into_.accounts.push_back(std::move(account_));
        if (!others_.empty()) into_.left_out.push_back(place + "without counterpart: " + others_);
    }

private:
    static constexpr std::size_t most_named = 200;

    bool as_it_is(const std::string &key, const std::string &value) {
        const std::pair<std::string_view, std::string &> texts[]{{"user_name", user_},
                                                                 {"user_domain", domain_},
                                                                 {"auth_name", account_.auth_user},
                                                                 {"user_display", account_.display_name},
                                                                 {"auth_pass", account_.password},
                                                                 {"auth_realm", account_.realm}};
        for (const auto &[name, into] : texts)
            if (key == name) {
                into = value;
                return true;
            }
        return false;
    }

    // False also for a value that ours has no counterpart of.
    bool converted(const std::string &key, const std::string &value) {
        const auto seconds = sip::parse_number(value);
        if (key == "registrar")
            account_.registrar = as_uri(value);
        else if (key == "outbound_proxy")
            account_.proxy = as_uri(value);
        else if (key == "register_at_startup")
            account_.registers = value != "no";
        else if (key == "registration_time" && seconds && *seconds > 0 && *seconds <= 604'800)
            account_.expires_s = static_cast<unsigned>(*seconds);
        else if (key == "sip_transport" && (value == "udp" || value == "tcp"))
            account_.transport = value;
        else if (key == "stun_server" && !value.empty())
            account_.stun = "stun:" + value;
        else
            return false;
        return true;
    }

    const std::string &file_;
    Imported &into_;
    ImportedAccount account_;
    std::string user_, domain_, others_;
    std::size_t count_ = 0;
};

} // namespace

void read_twinkle_profile(std::string_view text, const std::string &file, Imported &into) {
    Profile profile(file, into);
    for (const auto &[number, line] : numbered_lines(text)) {
        const auto equals = line.find('=');
        if (line[0] == '#' || equals == std::string::npos) continue;
        const auto part = std::string_view(line);
        profile.take(std::string(sip::trim(part.substr(0, equals))),
                     std::string(sip::trim(part.substr(equals + 1))), number);
    }
    profile.end();
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
