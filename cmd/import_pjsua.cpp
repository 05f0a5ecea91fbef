// pjsua's configuration file: its command-line options, white space or '=' between option and value.
#include <optional>

#include "base/text.hpp"
#include "cmd/import.hpp"
#include "sip/headers.hpp"

namespace offhook::cmd {

namespace {

struct Option {
    std::size_t line = 0;
    std::string name, value;
};

// "--registrar=sip:b", or "--registrar" with its value to follow.
Option option_of(std::size_t line, const std::string &word) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) return {line, word.substr(2), ""};
    return {line, word.substr(2, equals - 2), word.substr(equals + 1)};
}

// "--id sip:a@b --registrar=sip:b" → options. A word that is none belongs to the option before it.
std::vector<Option> options_of(std::string_view text, const std::string &file, Imported &into) {
    std::vector<Option> out;
    for (const auto &[number, line] : numbered_lines(text)) {
        if (line[0] == '#') continue;
        const auto words = split_words(line);
        if (!words) {
            into.left_out.push_back(ImportPlace{file, number}.prefix() + words.error().what);
            continue;
        }
        for (const auto &word : *words) {
            if (word.starts_with("--"))
                out.push_back(option_of(number, word));
            else if (!out.empty() && out.back().value.empty())
                out.back().value = word;
            else
                into.left_out.push_back(ImportPlace{file, number}.prefix() + sanitise(word) + ": no option");
        }
    }
    return out;
}

class Reader {
public:
    Reader(const std::string &file, Imported &into) : file_(file), into_(into) {}

    void take(const Option &option) {
        const auto &[line, name, value] = option;
        if (name == "next-account") return finish();
        if (name == "id") return id(option);
        if (name == "registrar")
            account_.registrar = value;
        else if (name == "realm")
            account_.realm = value == "*" ? "" : value;
        else if (name == "username")
            account_.auth_user = value;
        else if (name == "password")
            account_.password = value;
        else if (name == "proxy")
            account_.proxy = without_lr(value);
        else if (name == "outbound")
            outbound_ = without_lr(value);
        else if (name == "reg-timeout")
            expires(option);
        else if (name == "use-srtp")
            srtp(option);
        else if (name == "use-ice")
            ice_ = true;
        else if (name == "stun-srv" && stun_.empty())
            stun_ = "stun:" + value;
        else if (name == "add-codec")
            codec(option);
        else if (name == "add-buddy")
            buddy(option);
        else
            leave(option, "has no counterpart");
    }

    void finish() {
        if (!account_.aor.empty()) {
            account_.registers = !account_.registrar.empty();
            into_.accounts.push_back(account_);
        } else if (!account_.registrar.empty() || !account_.auth_user.empty()) {
            into_.left_out.push_back(ImportPlace{file_, 0}.prefix() + "an account without --id");
        }
        account_ = {};
    }

    void end() {
        finish();
        for (auto &account : into_.accounts) {
            if (account.proxy.empty()) account.proxy = outbound_;
            account.srtp = srtp_;
            account.ice = ice_;
            account.stun = stun_;
        }
    }

private:
    void leave(const Option &option, const std::string &why) {
        into_.left_out.push_back(ImportPlace{file_, option.line}.prefix() + "--" + sanitise(option.name) +
                                 (option.value.empty() ? "" : " " + sanitise(option.value)) + ": " + why);
    }
    static std::string without_lr(const std::string &value) {
        auto uri = sip::Uri::parse(value);
        if (!uri) return value;
        uri->params.erase("lr"); // ours has it anyway
        return uri->encode();
    }
    void id(const Option &option) {
        ImportedAddress address;
        if (!parse_imported_address(option.value, address)) return leave(option, "no SIP address");
        account_.aor = address.uri;
        account_.display_name = address.display;
    }
    void expires(const Option &option) {
        const auto seconds = sip::parse_number(option.value);
        if (!seconds || *seconds == 0 || *seconds > 604'800) return leave(option, "no number of seconds");
        account_.expires_s = static_cast<unsigned>(*seconds);
    }
    void srtp(const Option &option) {
        if (option.value == "1") srtp_ = "optional";
        if (option.value == "2") srtp_ = "required";
        if (option.value.find_first_of("012") != 0) leave(option, "expected 0, 1 or 2");
    }
    void codec(const Option &option) {
        const auto codec = imported_codec(option.value);
        if (codec.empty()) return leave(option, "not known");
        into_.codecs.push_back(codec);
    }
    void buddy(const Option &option) {
        const auto uri = imported_contact_uri(option.value);
        if (uri.empty()) return leave(option, "no SIP address");
        const auto parsed = sip::Uri::parse(uri);
        into_.contacts.emplace_back(parsed && !parsed->user.empty() ? parsed->user_decoded() : uri, uri);
    }

    const std::string &file_;
    Imported &into_;
    ImportedAccount account_;
    std::string outbound_, srtp_, stun_;
    bool ice_ = false;
};

} // namespace

void read_pjsua(std::string_view text, const std::string &file, Imported &into) {
    Reader reader(file, into);
    for (const auto &option : options_of(text, file, into))
        reader.take(option);
    reader.end();
}

} // namespace offhook::cmd
