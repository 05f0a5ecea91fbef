#include "phone/settings_reader.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "base/config_reader.hpp"
#include "base/text.hpp"
#include "media/codec.hpp"
#include "phone/outbound_proxy.hpp"
#include "sip/headers.hpp"
#include "sip/uri.hpp"

namespace offhook {

namespace {

class Reader : ConfigReader {
public:
    explicit Reader(const ConfigFile &file) : ConfigReader(file, report_.errors) {}
    SettingsReport read();

private:
    Take uri(std::string &into);
    Take proxies(std::vector<std::string> &into);
    Take patterns(std::vector<std::string> &into);
    Take ip(std::string &into);
    Take codecs(std::vector<std::string> &into);
    Take table_of(void (Reader::*section)(const ConfigTable &));

    void accounts(const ConfigTable &table);
    void account(const ConfigMember &member);
    void passwords_of(const ConfigMember &member, const PasswordSource &source);
    void contacts(const ConfigTable &table);
    void audio(const ConfigTable &table);
    void media(const ConfigTable &table);
    void tls(const ConfigTable &table);
    void transfer(const ConfigTable &table);
    void presence(const ConfigTable &table);
    void network(const ConfigTable &table);
    void rtp_ports(const ConfigMember &member);
    void listen(const ConfigMember &member);

    SettingsReport report_;
    std::string public_address_;
};

Result<std::string> parse_uri(const std::string &text) {
    auto uri = sip::Uri::parse(text);
    if (!uri) return fail(Errc::config, "\"" + sanitise(text) + "\" is no SIP URI: " + uri.error().what);
    if (!uri->is_sip() && uri->scheme != "tel")
        return fail(Errc::config, "\"" + sanitise(text) + "\" is no SIP URI (expected sip:, sips: or tel:)");
    return text;
}

Reader::Take Reader::uri(std::string &into) {
    return [this, &into](const ConfigMember &member) { parsed(member, into, parse_uri); };
}

// One, or a list in order of preference.
Reader::Take Reader::proxies(std::vector<std::string> &into) {
    return [this, &into](const ConfigMember &member) {
        const auto take = [&](const ConfigMember &one) {
            std::string text;
            parsed(one, text, [](const std::string &value) {
                return parse_outbound_proxy(value).map([&](const OutboundProxy &) { return value; });
            });
            if (!text.empty()) into.push_back(text);
        };
        const auto *list = std::get_if<ConfigArray>(&member.value.value);
        if (list == nullptr) return take(member);
        for (const auto &item : *list)
            take({member.key, member.origin, item});
    };
}

Reader::Take Reader::patterns(std::vector<std::string> &into) {
    return [this, &into](const ConfigMember &member) {
        each_string(member, R"(a list of patterns such as ["0*", "*@example.com"])",
                    [&](const std::string &pattern) {
                        if (!pattern.empty()) into.push_back(pattern);
                        return !pattern.empty();
                    });
    };
}

Reader::Take Reader::ip(std::string &into) {
    return [this, &into](const ConfigMember &member) {
        parsed(member, into, [](const std::string &text) -> Result<std::string> {
            if (!Address::parse(text))
                return fail(Errc::config, "\"" + sanitise(text) + "\" is no IP address");
            return text;
        });
    };
}

Reader::Take Reader::codecs(std::vector<std::string> &into) {
    return [this, &into](const ConfigMember &member) {
        std::vector<std::string> keys;
        if (const auto *text = std::get_if<std::string>(&member.value.value))
            keys = split(*text, ',');
        else if (!each_string(member, R"(a list of codecs such as ["opus", "pcma"])",
                              [&](const std::string &key) {
                                  keys.push_back(key);
                                  return true;
                              }))
            return;
        std::string list;
        for (const auto &key : keys)
            list += (list.empty() ? "" : ",") + key;
        if (auto known = offhook::media::parse_codec_list(list); !known)
            return error(member.value.origin, member.key + ": " + known.error().what);
        into = std::move(keys);
    };
}

Reader::Take Reader::table_of(void (Reader::*section)(const ConfigTable &)) {
    return [this, section](const ConfigMember &member) {
        if (const auto *table = member.value.table()) return (this->*section)(*table);
        wrong_type(member, "a table");
    };
}

void Reader::accounts(const ConfigTable &table) {
    for (const auto &member : table)
        account(member);
}

void Reader::account(const ConfigMember &member) {
    const auto *table = member.value.table();
    if (table == nullptr) return wrong_type(member, "a table: [account." + member.key + "]");
    AccountSettings out;
    PasswordSource source;
    out.name = member.key;
    const auto transport = [this, &out](const ConfigMember &m) {
        parsed(m, out.transport, [](const std::string &text) { return parse_transport_name(text); });
    };
    const auto stun = [this, &out](const ConfigMember &m) { parsed(m, out.stun, parse_stun_uri); };
    const auto turn = [this, &out](const ConfigMember &m) { parsed(m, out.turn, parse_turn_uri); };
    const auto srtp = [this, &out](const ConfigMember &m) { parsed(m, out.srtp, parse_srtp); };
    members(
        *table, " in [account." + sanitise(member.key) + "]",
        {{"aor", uri(out.aor)},
         {"display_name", text(out.display_name)},
         {"register", flag(out.registers)},
         {"registrar", uri(out.registrar)},
         {"proxy", proxies(out.proxies)},
         {"flows", number(1, 4, [&out](std::int64_t value) { out.flows = static_cast<unsigned>(value); })},
         {"gruu", flag(out.gruu)},
         {"targets", patterns(out.targets)},
         {"auth_user", text(out.auth_user)},
         {"password", text(source.password)},
         {"password_file", text(source.file)},
         {"password_command", words(source.command)},
         {"realm", text(out.realm)},
         {"transport", transport},
         {"expires", duration(out.expires)},
         {"public_address", ip(out.public_address)},
         {"codecs", codecs(out.codecs)},
         {"session_expires", duration(out.session_expires)},
         {"anonymous", flag(out.anonymous)},
         {"srtp", srtp},
         {"ice", flag(out.ice)},
         {"relay_only", flag(out.relay_only)},
         {"stun", stun},
         {"turn", turn},
         {"turn_user", text(out.turn_user)},
         {"turn_password", text(out.turn_password)}});
    if (out.relay_only && !(out.ice && out.turn.given()))
        error(member.origin, "relay_only needs ice = true and a TURN server (turn = \"turn:HOST\")");
    if (find(*table, "aor") == nullptr)
        error(member.origin,
              "account \"" + sanitise(member.key) + R"(" has no aor (expected aor = "sip:user@domain"))");
    passwords_of(member, source);
    if (!source.empty()) report_.settings.passwords[out.name] = source;
    report_.settings.phone.accounts.push_back(std::move(out));
}

void Reader::passwords_of(const ConfigMember &member, const PasswordSource &source) {
    const std::array given{!source.password.empty(), !source.file.empty(), !source.command.empty()};
    if (std::ranges::count(given, true) > 1)
        error(member.origin, "account \"" + sanitise(member.key) +
                                 "\" has more than one of password, password_file and password_command");
    for (const char *key : {"password", "turn_password"}) {
        const auto *password = find(*member.value.table(), key);
        if (password == nullptr || !file_.others_may_read) continue;
        report_.warnings.push_back(password->origin.message(
            file_.path, "others can read this password (chmod 600 " + file_.path + ")"));
    }
}

void Reader::contacts(const ConfigTable &table) {
    for (const auto &member : table) {
        ContactSettings contact{member.key, "", ""};
        if (const auto *fields = member.value.table())
            members(*fields, " in contact \"" + sanitise(member.key) + "\"",
                    {{"uri", uri(contact.uri)}, {"account", text(contact.account)}});
        else if (std::holds_alternative<std::string>(member.value.value))
            parsed(member, contact.uri, parse_uri);
        else
            wrong_type(member, "a URI or a table with uri and account");
        report_.settings.phone.contacts.push_back(std::move(contact));
    }
}

void Reader::audio(const ConfigTable &table) {
    auto &settings = report_.settings;
    auto &voice = settings.phone.voice;
    const auto echo = [this, &voice](const ConfigMember &m) {
        parsed(m, voice.echo, [](const std::string &text) { return media::parse_echo_mode(text); });
    };
    members(table, " in [audio]",
            {{"device", text(settings.phone.audio)},
             {"pipe_format", text(settings.phone.pipe_format)},
             {"echo_cancellation", echo},
             {"noise_suppression", flag(voice.noise_suppression)},
             {"gain_control", flag(voice.gain_control)},
             {"tts_command", words(settings.tts_command)}});
}

void Reader::media(const ConfigTable &table) {
    auto &phone = report_.settings.phone;
    const auto dtmf = [this, &phone](const ConfigMember &m) {
        parsed(m, phone.dtmf_mode, [](const std::string &text) { return parse_dtmf_mode(text); });
    };
    members(table, " in [media]",
            {{"codecs", codecs(phone.codecs)},
             {"ptime", number(10, 60, [&](std::int64_t ms) { phone.ptime_ms = static_cast<unsigned>(ms); })},
             {"opus_complexity",
              number(0, 10, [&](std::int64_t n) { phone.opus_complexity = static_cast<int>(n); })},
             {"dtx", flag(phone.dtx)},
             {"rtp_ports", [this](const ConfigMember &m) { rtp_ports(m); }},
             {"dtmf_mode", dtmf},
             {"rtp_timeout", duration(phone.rtp_timeout)}});
}

void Reader::rtp_ports(const ConfigMember &member) {
    const auto *value = as<std::string>(member, "a range such as \"10000-10100\"");
    if (value == nullptr) return;
    const auto parts = split(*value, '-');
    const auto low = sip::parse_number(parts[0]);
    const auto high = parts.size() == 2 ? sip::parse_number(parts[1]) : std::nullopt;
    if (!low || !high || *low < 1024 || *high > 65535 || *high < *low + 1)
        return error(member.value.origin,
                     "rtp_ports must be a range such as \"10000-10100\" within 1024-65535");
    report_.settings.phone.rtp_port_min = static_cast<std::uint16_t>(*low);
    report_.settings.phone.rtp_port_max = static_cast<std::uint16_t>(*high);
}

void Reader::transfer(const ConfigTable &table) {
    auto &phone = report_.settings.phone;
    const auto refer = [this, &phone](const ConfigMember &m) {
        parsed(m, phone.refer, [](const std::string &text) { return parse_refer_policy(text); });
    };
    members(table, " in [transfer]", {{"refer", refer}, {"anywhere", flag(phone.refer_anywhere)}});
}

void Reader::presence(const ConfigTable &table) {
    const auto watchers = [this](const ConfigMember &member) {
        each_string(member, R"(a list of addresses such as ["sip:desk@example.com", "sip:*@example.com"])",
                    [this](const std::string &text) {
                        const bool address = starts_with_any(text, {"sip:", "sips:"});
                        if (address) report_.settings.phone.watchers.push_back(text);
                        return address;
                    });
    };
    members(table, " in [presence]", {{"watchers", watchers}});
}

void Reader::tls(const ConfigTable &table) {
    auto &tls = report_.settings.phone.tls;
    members(table, " in [tls]",
            {{"ca_file", text(tls.ca_file)},
             {"certificate", text(tls.certificate)},
             {"certificate_key", text(tls.key)},
             {"insecure", flag(tls.insecure)}});
}

void Reader::network(const ConfigTable &table) {
    auto &sctp = report_.settings.phone.sctp;
    const auto port = [](std::int64_t n) { return static_cast<std::uint16_t>(n); };
    const auto allow_direct = [this](const ConfigMember &m) {
        if (const auto *value = as<bool>(m, "true or false")) report_.settings.phone.allow_direct = *value;
    };
    members(
        table, " in [network]",
        {{"listen", [this](const ConfigMember &m) { listen(m); }},
         {"public_address", ip(public_address_)},
         {"allow_direct", allow_direct},
         {"sctp_udp_port", number(0, 65535, [&](std::int64_t n) { sctp.udp_port = port(n); })},
         {"sctp_peer_udp_port", number(1, 65535, [&](std::int64_t n) { sctp.peer_udp_port = port(n); })}});
}

void Reader::listen(const ConfigMember &member) {
    auto &list = report_.settings.phone.listen;
    const auto one = [&](const std::string &text, const ConfigOrigin &origin) {
        if (auto socket = parse_listen(text); socket)
            list.push_back(*socket);
        else
            error(origin, "listen: " + socket.error().what);
    };
    if (const auto *single = std::get_if<std::string>(&member.value.value))
        return one(*single, member.value.origin);
    const auto *items = as<ConfigArray>(member, "an address or a list of addresses");
    if (items == nullptr) return;
    for (const auto &item : *items)
        if (const auto *text = std::get_if<std::string>(&item.value))
            one(*text, item.origin);
        else
            error(item.origin, "listen must be a list of strings");
}

SettingsReport Reader::read() {
    auto &settings = report_.settings;
    members(file_.root, "",
            {{"default_account", text(settings.default_account)},
             {"account", table_of(&Reader::accounts)},
             {"contacts", table_of(&Reader::contacts)},
             {"audio", table_of(&Reader::audio)},
             {"media", table_of(&Reader::media)},
             {"tls", table_of(&Reader::tls)},
             {"transfer", table_of(&Reader::transfer)},
             {"presence", table_of(&Reader::presence)},
             {"network", table_of(&Reader::network)},
             {"bridge", [](const ConfigMember &) {}}}); // wss-bridge reads that itself
    std::vector<std::string> names;
    for (auto &account : settings.phone.accounts) {
        names.push_back(account.name);
        if (account.public_address.empty()) account.public_address = public_address_;
    }
    if (!settings.default_account.empty() &&
        std::find(names.begin(), names.end(), settings.default_account) == names.end())
        error(find(file_.root, "default_account")->value.origin,
              "no account \"" + sanitise(settings.default_account) + "\"" +
                  suggestion(settings.default_account, names));
    return std::move(report_);
}

} // namespace

SettingsReport read_settings(const ConfigFile &file) {
    return Reader(file).read();
}

} // namespace offhook
