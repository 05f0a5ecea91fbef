#include "cmd/setup.hpp"

#include <algorithm>
#include <cstdlib>

#include <unistd.h>

#include "base/text.hpp"
#include "cmd/secret.hpp"
#include "media/codec.hpp"
#include "sip/headers.hpp"
#include "sip/uri.hpp"

namespace offhook::cmd {

namespace {

std::string environment(const char *name) {
    const char *value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): read before any thread starts
    return value == nullptr ? "" : value;
}

std::string user_configuration() {
    std::string base = environment("XDG_CONFIG_HOME");
    if (!base.starts_with('/')) { // the XDG specification: relative values are ignored
        const std::string home = environment("HOME");
        if (home.empty()) return "";
        base = home + "/.config";
    }
    return base + "/offhook/offhook.toml";
}

Result<FileSettings> read_file(const GlobalOptions &options, std::vector<std::string> &warnings) {
    auto file = load_configuration(options);
    if (!file) return tl::unexpected(file.error());
    if (!*file) return FileSettings{};
    auto report = read_settings(**file);
    if (!report.errors.empty()) return fail(Errc::config, report.errors.front());
    warnings = std::move(report.warnings);
    return std::move(report.settings);
}

AccountSettings *by_name(PhoneSettings &phone, const std::string &name) {
    const auto at = std::find_if(phone.accounts.begin(), phone.accounts.end(),
                                 [&](const AccountSettings &a) { return a.name == name; });
    return at == phone.accounts.end() ? nullptr : &*at;
}

Result<> choose_account(const GlobalOptions &options, const FileSettings &file, Setup &setup) {
    setup.account = !options.account.empty() ? options.account : environment("OFFHOOK_ACCOUNT");
    if (!options.aor.empty()) {
        if (!options.account.empty())
            return fail(Errc::invalid_argument, "--account and --aor: give one of them");
        AccountSettings account;
        account.name = setup.account = "command-line";
        account.aor = options.aor;
        account.registers = !options.registrar.empty();
        setup.phone.accounts.insert(setup.phone.accounts.begin(), account);
        return {};
    }
    if (setup.account.empty()) setup.account = file.default_account;
    if (setup.account.empty() || by_name(setup.phone, setup.account) != nullptr) return {};
    std::vector<std::string> names;
    for (const auto &account : setup.phone.accounts)
        names.push_back(account.name);
    return fail(Errc::config, "no account \"" + sanitise(setup.account) + "\" in the configuration" +
                                  suggestion(setup.account, names));
}

bool changes_account(const GlobalOptions &o) {
    return !o.registrar.empty() || !o.proxies.empty() || !o.auth_user.empty() || !o.transport.empty() ||
           !o.public_address.empty() || !o.srtp.empty() || !o.stun.empty() || !o.turn.empty() || o.ice;
}

// The flags about the way of the media, for one account.
Result<> override_media(const GlobalOptions &o, AccountSettings &account) {
    const auto parsed = [](const std::string &flag, const std::string &text, auto parse,
                           auto &into) -> Result<> {
        if (text.empty()) return {};
        auto value = parse(text);
        if (!value) return fail(value.error().code, flag + ": " + value.error().what);
        into = std::move(*value);
        return {};
    };
    account.ice = account.ice || o.ice;
    for (const auto &done : {parsed("--srtp", o.srtp, parse_srtp, account.srtp),
                             parsed("--stun", o.stun, parse_stun_uri, account.stun),
                             parsed("--turn", o.turn, parse_turn_uri, account.turn)})
        if (!done) return done;
    if (!o.turn.empty() && !account.ice)
        return fail(Errc::invalid_argument, "--turn needs --ice: without it nobody would use the relay");
    if (const auto user = environment("OFFHOOK_TURN_USER"); !user.empty()) account.turn_user = user;
    if (const auto password = environment("OFFHOOK_TURN_PASSWORD"); !password.empty())
        account.turn_password = password;
    return {};
}

Result<> override_account(const GlobalOptions &o, AccountSettings &account) {
    if (!o.registrar.empty()) account.registrar = o.registrar;
    if (!o.proxies.empty()) account.proxies = o.proxies;
    if (!o.auth_user.empty()) account.auth_user = o.auth_user;
    if (!o.public_address.empty()) account.public_address = o.public_address;
    if (auto done = override_media(o, account); !done) return done;
    if (!o.transport.empty()) account.transport = sip::parse_transport(o.transport);
    return {};
}

// Flags that speak of the account change the chosen one, or else all (the peer-to-peer one included).
Result<> override_accounts(const GlobalOptions &o, Setup &setup) {
    if (!changes_account(o)) return {};
    if (!o.public_address.empty() && !Address::parse(o.public_address))
        return fail(Errc::invalid_argument,
                    "--public-address: \"" + sanitise(o.public_address) + "\" is no IP address");
    if (setup.phone.accounts.empty()) {
        if (!o.registrar.empty() || !o.auth_user.empty())
            return fail(Errc::invalid_argument,
                        "--registrar and --auth-user need an account (--aor URI or -a NAME)");
        AccountSettings direct;
        direct.registers = false;
        setup.phone.accounts.push_back(direct);
    }
    for (auto &account : setup.phone.accounts) {
        if (!setup.account.empty() && account.name != setup.account) continue;
        if (auto done = override_account(o, account); !done) return done;
    }
    return {};
}

Result<> resolve_passwords(const GlobalOptions &options, const FileSettings &file, Setup &setup) {
    PasswordSource given;
    given.file = options.password_file;
    if (given.file.empty()) given.password = environment("OFFHOOK_PASSWORD");
    for (auto &account : setup.phone.accounts) {
        if (!setup.account.empty() && account.name != setup.account) continue;
        const auto from_file = file.passwords.find(account.name);
        const PasswordSource *source = !given.empty()                      ? &given
                                       : from_file != file.passwords.end() ? &from_file->second
                                                                           : nullptr;
        if (source == nullptr) continue;
        auto password = resolve_password(*source);
        if (!password) return tl::unexpected(password.error());
        account.password = *password;
    }
    if (!given.file.empty() && setup.phone.accounts.empty())
        return fail(Errc::invalid_argument, "--password-file needs an account (--aor URI or -a NAME)");
    return {};
}

Result<> apply_flags(const GlobalOptions &o, PhoneSettings &phone) {
    if (!o.listen.empty()) phone.listen.clear();
    for (const auto &text : o.listen) {
        auto socket = parse_listen(text);
        if (!socket) return tl::unexpected(socket.error());
        phone.listen.push_back(*socket);
    }
    if (o.sctp_udp_port) phone.sctp.udp_port = static_cast<std::uint16_t>(*o.sctp_udp_port);
    if (o.sctp_peer_udp_port) phone.sctp.peer_udp_port = static_cast<std::uint16_t>(*o.sctp_peer_udp_port);
    if (!o.codecs.empty()) {
        if (auto known = media::parse_codec_list(o.codecs); !known)
            return fail(Errc::invalid_argument, "--codecs: " + known.error().what);
        phone.codecs = split(o.codecs, ',');
        for (auto &account : phone.accounts)
            account.codecs.clear();
    }
    if (!o.audio.empty()) phone.audio = o.audio;
    phone.dtx |= o.dtx;
    if (!o.tls_ca.empty()) phone.tls.ca_file = o.tls_ca;
    if (!o.tls_certificate.empty()) phone.tls.certificate = o.tls_certificate;
    if (!o.tls_key.empty()) phone.tls.key = o.tls_key;
    phone.tls.insecure |= o.tls_insecure;
    for (const auto &[flag, file] : {std::pair("--tls-ca", phone.tls.ca_file),
                                     {"--tls-certificate", phone.tls.certificate},
                                     {"--tls-key", phone.tls.key}})
        if (!file.empty() && access(file.c_str(), R_OK) != 0)
            return fail_errno(Errc::invalid_argument, errno, std::string(flag) + " " + file);
    return {};
}

} // namespace

Result<std::optional<ConfigFile>> load_configuration(const GlobalOptions &options) {
    const auto load = [](const std::string &path) -> Result<std::optional<ConfigFile>> {
        auto file = load_config(path);
        if (!file) return tl::unexpected(file.error());
        return std::move(*file);
    };
    if (!options.config.empty()) return load(options.config);
    if (const auto path = environment("OFFHOOK_CONFIG"); !path.empty()) return load(path);
    for (const auto &path : {user_configuration(), std::string("/etc/offhook/offhook.toml")})
        if (!path.empty() && access(path.c_str(), F_OK) == 0) return load(path);
    return std::optional<ConfigFile>{};
}

Result<Setup> prepare(const GlobalOptions &options) {
    Setup setup;
    auto file = read_file(options, setup.warnings);
    if (!file) return tl::unexpected(file.error());
    setup.phone = file->phone;
    setup.tts_command = file->tts_command;
    for (const auto &step : {choose_account(options, *file, setup), override_accounts(options, setup),
                             apply_flags(options, setup.phone), resolve_passwords(options, *file, setup)})
        if (!step) return tl::unexpected(step.error());
    if (setup.phone.tls.insecure)
        setup.warnings.emplace_back(
            "TLS certificates are not verified: anybody can listen in (--tls-insecure)");
    return setup;
}

const AccountSettings *account_for(const Setup &setup, const std::string &target) {
    const auto &accounts = setup.phone.accounts;
    const auto named = [&](const std::string &name) -> const AccountSettings * {
        for (const auto &account : accounts)
            if (account.name == name) return &account;
        return nullptr;
    };
    if (!setup.account.empty()) return named(setup.account);
    for (const auto &contact : setup.phone.contacts)
        if (sip::iequals(contact.name, target) && !contact.account.empty()) return named(contact.account);
    for (const auto &account : accounts)
        if (std::ranges::any_of(account.targets,
                                [&](const auto &pattern) { return glob_match(pattern, target); }))
            return &account;
    if (const auto uri = sip::Uri::parse(target))
        for (const auto &account : accounts) {
            const auto aor = sip::Uri::parse(account.aor);
            if (aor && sip::iequals(aor->host, uri->host)) return &account;
        }
    return accounts.empty() ? nullptr : &accounts.front();
}

Result<AccountSettings *> needed_account(Setup &setup) {
    for (auto &account : setup.phone.accounts)
        if (!account.name.empty() && (setup.account.empty() || account.name == setup.account))
            return &account;
    return fail(Errc::invalid_argument,
                "no account to register (expected -a NAME of the configuration, or --aor URI)");
}

} // namespace offhook::cmd
