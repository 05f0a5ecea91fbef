#include <algorithm>
#include <cctype>
#include <set>

#include "base/text.hpp"
#include "cmd/import.hpp"
#include "media/codec.hpp"
#include "phone/ice_settings.hpp"
#include "phone/target.hpp"
#include "sip/headers.hpp"

namespace offhook::cmd {

namespace {

std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : sanitise(text)) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + "\"";
}

std::string bare_key(std::string_view text) {
    std::string key;
    for (const char c : text) {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
        key += plain ? c : '-';
    }
    return key.empty() ? "account" : key;
}

// A number, and nothing that could be a name.
bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("+0123456789*#") == std::string_view::npos;
}

std::string list_of(const std::vector<std::string> &words) {
    std::string out = "[";
    for (const auto &word : words)
        out += (out.size() > 1 ? ", " : "") + toml_string(word);
    return out + "]";
}

void add_account(std::string &out, const ImportedAccount &account, bool secrets) {
    const auto text = [&out](const char *key, const std::string &value) {
        if (!value.empty()) out += std::string(key) + " = " + toml_string(value) + "\n";
    };
    out += "\n[account." + account.name + "]\n";
    text("aor", account.aor);
    text("display_name", account.display_name);
    text("registrar", account.registrar);
    text("proxy", account.proxy);
    text("auth_user", account.auth_user);
    if (secrets)
        text("password", account.password);
    else if (!account.password.empty())
        out += "# its password is only written with --output FILE\n";
    text("realm", account.realm);
    text("transport", account.transport);
    text("srtp", account.srtp);
    if (account.ice) out += "ice = true\n";
    text("stun", account.stun);
    if (account.expires_s != 0) out += "expires = \"" + std::to_string(account.expires_s) + "s\"\n";
    if (!account.codecs.empty()) out += "codecs = " + list_of(account.codecs) + "\n";
    if (!account.registers) out += "register = false\n";
}

} // namespace

std::string ImportPlace::prefix() const {
    return sanitise(file) + (line == 0 ? "" : ":" + std::to_string(line)) + ": ";
}

std::vector<std::pair<std::size_t, std::string>> numbered_lines(std::string_view text) {
    std::vector<std::pair<std::size_t, std::string>> out;
    std::size_t number = 0;
    for (const auto &line : split(text, '\n')) {
        ++number;
        const auto kept = sip::trim(line);
        if (!kept.empty()) out.emplace_back(number, kept);
    }
    return out;
}

bool parse_imported_address(std::string_view text, ImportedAddress &into) {
    text = sip::trim(text);
    std::string_view rest;
    const auto open = text.find('<');
    const auto close = open == std::string_view::npos ? open : text.find('>', open);
    if (close != std::string_view::npos) {
        into.display = sip::trim(text.substr(0, open));
        if (into.display.size() >= 2 && into.display.front() == '"' && into.display.back() == '"')
            into.display = into.display.substr(1, into.display.size() - 2);
        into.uri = text.substr(open + 1, close - open - 1);
        rest = text.substr(close + 1);
    } else {
        into.uri = text;
    }
    std::string param;
    bool quoted = false;
    const auto finish = [&] {
        const auto equals = param.find('=');
        const auto name = sip::trim(std::string_view(param).substr(0, equals));
        if (!name.empty())
            into.params.emplace_back(
                name, equals == std::string::npos
                          ? ""
                          : std::string(sip::trim(std::string_view(param).substr(equals + 1))));
        param.clear();
    };
    for (std::size_t i = 0; i < rest.size(); ++i) {
        if (quoted && rest[i] == '\\' && i + 1 < rest.size())
            param += rest[++i];
        else if (rest[i] == '"')
            quoted = !quoted;
        else if (rest[i] == ';' && !quoted)
            finish();
        else
            param += rest[i];
    }
    finish();
    const auto uri = sip::Uri::parse(into.uri);
    return uri && uri->is_sip();
}

std::string imported_codec(std::string_view name) {
    std::string key(sip::trim(name.substr(0, name.find('/'))));
    std::transform(key.begin(), key.end(), key.begin(), [](unsigned char c) { return std::tolower(c); });
    return media::parse_codec_list(key) ? key : "";
}

std::string imported_contact_uri(std::string_view text) {
    const auto trimmed = sip::trim(text);
    ImportedAddress address;
    if (parse_imported_address(trimmed, address)) return address.uri;
    std::string bare = address.uri;
    if (const auto uri = sip::Uri::parse(bare); uri && uri->scheme == "tel") return bare;
    if (const auto number = strip_separators(bare); is_number(number)) return "tel:" + number;
    if (bare.find('@') != std::string::npos && sip::Uri::parse("sip:" + bare)) return "sip:" + bare;
    return "";
}

void drop_unusable(Imported &imported) {
    const auto check = [&imported](const ImportedAccount &account, const char *key, std::string &value,
                                   auto parse) {
        if (value.empty()) return;
        if (const auto good = parse(value); !good) {
            imported.left_out.push_back("account " + sanitise(account.aor) + ": " + key + ": " +
                                        good.error().what);
            value.clear();
        }
    };
    const auto sip_uri = [](const std::string &text) -> Result<> {
        const auto uri = sip::Uri::parse(text);
        if (!uri) return fail(uri.error());
        if (!uri->is_sip()) return fail(Errc::parse, "\"" + sanitise(text) + "\" is no SIP URI");
        return {};
    };
    for (auto &account : imported.accounts) {
        check(account, "registrar", account.registrar, sip_uri);
        check(account, "proxy", account.proxy, sip_uri);
        check(account, "transport", account.transport, parse_transport_name);
        check(account, "STUN server", account.stun, parse_stun_uri);
    }
}

void unique_names(Imported &imported) {
    std::set<std::string> taken;
    for (auto &account : imported.accounts) {
        const auto aor = sip::Uri::parse(account.aor);
        if (!aor) continue;
        std::string name = bare_key(aor->user);
        if (taken.contains(name)) name = bare_key(aor->user + "-" + aor->host);
        for (int n = 2; taken.contains(name); ++n)
            name = bare_key(aor->user + "-" + aor->host) + "-" + std::to_string(n);
        taken.insert(name);
        account.name = name;
    }
}

std::string to_toml(const Imported &imported, bool secrets) {
    std::string out;
    for (const auto &account : imported.accounts)
        if (!imported.default_account.empty() && account.aor == imported.default_account) {
            out += "default_account = " + toml_string(account.name) + "\n";
            break;
        }
    if (!imported.codecs.empty()) out += "\n[media]\ncodecs = " + list_of(imported.codecs) + "\n";
    for (const auto &account : imported.accounts)
        add_account(out, account, secrets);
    if (!imported.contacts.empty()) out += "\n[contacts]\n";
    std::set<std::string> names;
    for (const auto &[name, uri] : imported.contacts) {
        std::string key = sanitise(name.empty() ? uri : name);
        for (int n = 2; names.contains(key); ++n)
            key = sanitise(name) + " " + std::to_string(n);
        names.insert(key);
        out += toml_string(key) + " = " + toml_string(uri) + "\n";
    }
    return out.starts_with('\n') ? out.substr(1) : out;
}

} // namespace offhook::cmd
