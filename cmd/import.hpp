// Other phones' accounts and contacts, as far as offhook has a place for them. The readers are pure: text in,
// values out, and one line for everything that is left out.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace offhook::cmd {

struct ImportedAccount {
    std::string name; // key of the table; unique_names() makes it one
    std::string aor, display_name, registrar, proxy, auth_user, password, realm, transport, srtp, stun;
    std::vector<std::string> codecs;
    unsigned expires_s = 0; // 0: not said
    bool registers = true, ice = false;
};

struct Imported {
    std::vector<ImportedAccount> accounts;
    std::vector<std::pair<std::string, std::string>> contacts; // name, URI
    std::string default_account;                               // AOR of it; empty: none
    std::vector<std::string> codecs;                           // of the whole phone
    std::vector<std::string> left_out;                         // "accounts:3: answermode=auto: …"
};

// Where a text came from: "accounts:3: ".
struct ImportPlace {
    std::string file;
    std::size_t line = 0;
    [[nodiscard]] std::string prefix() const;
};

void read_baresip_accounts(std::string_view text, const std::string &file, Imported &into);
void read_baresip_contacts(std::string_view text, const std::string &file, Imported &into);
void read_pjsua(std::string_view text, const std::string &file, Imported &into);
void read_linphone(std::string_view text, const std::string &file, Imported &into);
void read_twinkle_profile(std::string_view text, const std::string &file, Imported &into);
void read_twinkle_book(std::string_view text, const std::string &file, Imported &into);

// Takes out what offhook.toml would not accept, and tells of it.
void drop_unusable(Imported &imported);
// Keys for the accounts: the user of the AOR, with the domain where that is not enough.
void unique_names(Imported &imported);
// offhook.toml. Without `secrets` passwords are left out and told of.
std::string to_toml(const Imported &imported, bool secrets);

// What the readers share.
// "Bob" <sip:bob@x>;a=b → display, URI and parameters; false when there is no SIP URI in it.
struct ImportedAddress {
    std::string display, uri;
    std::vector<std::pair<std::string, std::string>> params; // values without quotes
};
bool parse_imported_address(std::string_view text, ImportedAddress &into);
// "opus/48000/2" → "opus" when it is a codec of ours, else "".
std::string imported_codec(std::string_view name);
// What a contact's address becomes: a URI, or "" when it is none. A number becomes a tel: URI.
std::string imported_contact_uri(std::string_view text);
std::vector<std::pair<std::size_t, std::string>>
numbered_lines(std::string_view text); // trimmed, no empty ones

} // namespace offhook::cmd
