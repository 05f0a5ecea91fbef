// baresip's files "accounts" and "contacts": one address with parameters on each line.
#include "base/text.hpp"
#include "cmd/import.hpp"
#include "sip/headers.hpp"

namespace offhook::cmd {

namespace {

class Account {
public:
    Account(ImportPlace place, Imported &into) : place_(std::move(place)), into_(into) {}

    void read(const std::string &line) {
        ImportedAddress address;
        const bool good = parse_imported_address(line, address);
        const auto uri = sip::Uri::parse(address.uri);
        if (!good || uri->user.empty()) return leave("no account (expected <sip:user@domain>)");
        account_.display_name = address.display;
        sip::Uri aor = *uri;
        account_.transport = aor.params.get("transport");
        account_.password = aor.password; // as very old versions wrote it
        for (const auto &param : aor.params.items)
            if (!sip::iequals(param.name, "transport")) leave(param.name + ": a parameter of the address");
        aor.params = {};
        aor.password.clear();
        account_.aor = aor.encode();
        for (const auto &[name, value] : address.params)
            param(name, value);
        into_.accounts.push_back(std::move(account_));
    }

private:
    void leave(const std::string &what) const { into_.left_out.push_back(place_.prefix() + sanitise(what)); }

    void param(const std::string &name, const std::string &value) {
        if (name == "auth_user")
            account_.auth_user = value;
        else if (name == "auth_pass")
            account_.password = value;
        else if (name == "outbound" || name == "outbound1")
            account_.proxy = value;
        else if (name == "regint")
            interval(value);
        else if (name == "mediaenc")
            encryption(value);
        else if (name == "stunserver" && value.starts_with("stun:"))
            account_.stun = value;
        else if (name == "medianat" && value == "ice")
            account_.ice = true;
        else if (name == "audio_codecs")
            codecs(value);
        else if (name == "answermode" && value == "manual")
            return; // ours too
        else
            leave(name + "=" + value + ": has no counterpart");
    }

    void interval(const std::string &value) {
        const auto seconds = sip::parse_number(value);
        if (!seconds || *seconds > 604'800) return leave("regint=" + value + ": no number of seconds");
        account_.registers = *seconds != 0;
        account_.expires_s = static_cast<unsigned>(*seconds);
    }

    void encryption(const std::string &value) {
        if (value == "srtp")
            account_.srtp = "optional";
        else if (value == "srtp-mand" || value == "srtp-mandf")
            account_.srtp = "required";
        else if (value.starts_with("dtls_srtp"))
            account_.srtp = "dtls";
        else
            leave("mediaenc=" + value + ": has no counterpart, calls would not be encrypted");
    }

    void codecs(const std::string &value) {
        for (const auto &name : split(value, ',')) {
            const auto codec = imported_codec(name);
            if (codec.empty())
                leave("audio_codecs: " + name + " is not known");
            else
                account_.codecs.push_back(codec);
        }
    }

    ImportPlace place_;
    Imported &into_;
    ImportedAccount account_;
};

} // namespace

void read_baresip_accounts(std::string_view text, const std::string &file, Imported &into) {
    for (const auto &[number, line] : numbered_lines(text))
        if (line[0] != '#') Account({file, number}, into).read(line);
}

void read_baresip_contacts(std::string_view text, const std::string &file, Imported &into) {
    for (const auto &[number, line] : numbered_lines(text)) {
        if (line[0] == '#') continue;
        ImportedAddress address;
        const ImportPlace place{file, number};
        if (!parse_imported_address(line, address)) {
            into.left_out.push_back(place.prefix() + "no contact (expected \"Name\" <sip:user@domain>)");
            continue;
        }
        into.contacts.emplace_back(address.display, address.uri);
        for (const auto &[name, value] : address.params)
            into.left_out.push_back(place.prefix() + sanitise(name + "=" + value) + ": has no counterpart");
    }
}

} // namespace offhook::cmd
