// linphonerc: sections [proxy_N] are accounts, [auth_info_N] passwords, [friend_N] contacts.
#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "cmd/import.hpp"
#include "sip/headers.hpp"

namespace offhook::cmd {

namespace {

struct Value {
    std::string text;
    std::size_t line = 0;
};
struct Section {
    std::string name;
    std::size_t line = 0;
    std::map<std::string, Value> values;
    [[nodiscard]] std::string get(const std::string &key) const {
        const auto found = values.find(key);
        return found == values.end() ? "" : found->second.text;
    }
};

std::vector<Section> sections_of(std::string_view text) {
    std::vector<Section> out;
    for (const auto &[number, line] : numbered_lines(text)) {
        if (line[0] == '#' || line[0] == ';') continue;
        if (line[0] == '[') {
            out.push_back({line.substr(1, line.find(']') - 1), number, {}});
            continue;
        }
        const auto equals = line.find('=');
        if (out.empty() || equals == std::string::npos) continue;
        const auto key = sip::trim(std::string_view(line).substr(0, equals));
        out.back().values[std::string(key)] = {
            std::string(sip::trim(std::string_view(line).substr(equals + 1))), number};
    }
    return out;
}

// "<sip:pbx.example.com;transport=tls>" → "sip:pbx.example.com" and "tls".
std::string server_of(const std::string &text, std::string &transport) {
    ImportedAddress address;
    if (!parse_imported_address(text, address)) return "";
    auto uri = sip::Uri::parse(address.uri);
    if (transport.empty()) transport = uri->params.get("transport");
    uri->params = {};
    return uri->encode();
}

class Reader {
public:
    Reader(const std::string &file, Imported &into) : file_(file), into_(into) {}

    void read(const std::vector<Section> &sections) {
        std::string chosen;
        for (const auto &section : sections) {
            if (section.name.starts_with("proxy_"))
                account(section);
            else if (section.name.starts_with("friend_"))
                contact(section);
            else if (section.name.starts_with("audio_codec_"))
                codec(section);
            else if (section.name == "sip")
                chosen = sip_section(section);
            else if (section.name.starts_with("nat_policy_"))
                nat(section);
            else if (!section.name.starts_with("auth_info_"))
                leave(section.line, "[" + section.name + "]: has no counterpart");
        }
        for (const auto &section : sections)
            if (section.name.starts_with("auth_info_")) password(section);
        for (auto &entry : into_.accounts) {
            entry.srtp = srtp_;
            entry.ice = ice_;
            entry.stun = stun_;
        }
        const auto number = sip::parse_number(chosen);
        if (number && *number < by_number_.size()) into_.default_account = by_number_[*number];
    }

private:
    void leave(std::size_t line, const std::string &what) {
        into_.left_out.push_back(ImportPlace{file_, line}.prefix() + sanitise(what));
    }
    void leave_keys(const Section &section, std::initializer_list<std::string_view> known) {
        for (const auto &[key, value] : section.values)
            if (!value.text.empty() && std::find(known.begin(), known.end(), key) == known.end())
                leave(value.line,
                      "[" + section.name + "] " + key + "=" + value.text + ": has no counterpart");
    }

    void account(const Section &section) {
        ImportedAddress identity;
        if (!parse_imported_address(section.get("reg_identity"), identity)) {
            by_number_.emplace_back();
            return leave(section.line,
                         "[" + section.name + "]: no account (expected reg_identity with a SIP address)");
        }
        ImportedAccount out;
        out.aor = identity.uri;
        out.display_name = identity.display;
        out.registrar = server_of(section.get("reg_proxy"), out.transport);
        if (const auto route = section.get("reg_route"); !route.empty()) {
            ImportedAddress address;
            if (parse_imported_address(route, address)) {
                auto uri = sip::Uri::parse(address.uri);
                uri->params.erase("lr");
                out.proxy = uri->encode();
            } else
                leave(section.values.at("reg_route").line, "reg_route=" + route + ": no SIP address");
        }
        out.realm = section.get("realm");
        const auto expires = sip::parse_number(section.get("reg_expires"));
        if (expires && *expires > 0 && *expires <= 604'800) out.expires_s = static_cast<unsigned>(*expires);
        out.registers = section.get("reg_sendregister") != "0";
        leave_keys(section,
                   {"reg_identity", "reg_proxy", "reg_route", "realm", "reg_expires", "reg_sendregister"});
        by_number_.push_back(out.aor);
        into_.accounts.push_back(std::move(out));
    }

    void contact(const Section &section) {
        ImportedAddress address;
        if (!parse_imported_address(section.get("url"), address))
            return leave(section.line, "[" + section.name + "]: no contact with a SIP address");
        const auto uri = sip::Uri::parse(address.uri);
        into_.contacts.emplace_back(address.display.empty() ? uri->user_decoded() : address.display,
                                    address.uri);
    }

    // The first policy serves all accounts.
    void nat(const Section &section) {
        const auto protocols = split(section.get("protocols"), ',');
        const auto uses = [&](const char *name) {
            return std::find(protocols.begin(), protocols.end(), name) != protocols.end();
        };
        const auto server = section.get("stun_server");
        ice_ |= uses("ice");
        if (stun_.empty() && !server.empty() && uses("stun")) stun_ = "stun:" + server;
        leave_keys(section, {"ref", "protocols", "stun_server"});
        if (uses("turn")) leave(section.line, "[" + section.name + "]: the TURN server and its password");
    }

    void codec(const Section &section) {
        if (section.get("enabled") == "0") return;
        const auto name = imported_codec(section.get("mime"));
        if (name.empty()) return leave(section.line, "audio codec " + section.get("mime") + ": not known");
        if (std::find(into_.codecs.begin(), into_.codecs.end(), name) == into_.codecs.end())
            into_.codecs.push_back(name);
    }

    // The default account's number.
    std::string sip_section(const Section &section) {
        const auto encryption = section.get("media_encryption");
        if (encryption == "srtp")
            srtp_ = section.get("media_encryption_mandatory") == "1" ? "required" : "optional";
        else if (encryption == "dtls")
            srtp_ = "dtls";
        else if (!encryption.empty() && encryption != "none")
            leave(section.values.at("media_encryption").line,
                  "media_encryption=" + encryption + ": has no counterpart, calls would not be encrypted");
        leave_keys(section, {"media_encryption", "media_encryption_mandatory", "default_proxy"});
        return section.get("default_proxy");
    }

    void password(const Section &section) {
        const auto user = section.get("username"), domain = section.get("domain"),
                   realm = section.get("realm");
        bool used = false;
        for (auto &entry : into_.accounts) {
            const auto aor = sip::Uri::parse(entry.aor);
            if (!aor || aor->user_decoded() != user) continue;
            if (!domain.empty() && !sip::iequals(domain, aor->host)) continue;
            used = true;
            entry.auth_user = section.get("userid");
            entry.password = section.get("passwd");
            if (entry.realm.empty()) entry.realm = realm;
            if (entry.password.empty())
                leave(section.line,
                      "[" + section.name + "]: only a hash of the password of " + user + " is there");
        }
        if (!used) leave(section.line, "[" + section.name + "]: no account of user " + user);
    }

    const std::string &file_;
    Imported &into_;
    std::vector<std::string> by_number_; // AORs
    std::string srtp_, stun_;
    bool ice_ = false;
};

} // namespace

void read_linphone(std::string_view text, const std::string &file, Imported &into) {
    Reader(file, into).read(sections_of(text));
}

} // namespace offhook::cmd
