// Replaces (RFC 3891): which call an INVITE takes the place of. A value and a pure matcher.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sip/dialog.hpp"
#include "sip/dialog_state.hpp"

namespace offhook::sip {

struct Replaces {
    std::string call_id, to_tag, from_tag;
    bool early_only = false;

    // One header value. Errors: Errc::parse with 400 (§3: all three parts, each tag once).
    static Result<Replaces> parse(std::string_view text);
    // As it stands in the headers of a URI ("?Replaces=…"), %HH taken apart. Errors: the same.
    static Result<Replaces> parse_escaped(std::string_view text);
    // The dialog as its peer must name it: his From tag is our remote tag when the INVITE came from him; in
    // Replaces, to-tag is the tag of whoever gets this header (§3).
    static Replaces of(const DialogId &dialog); // for the REFER of a transferor: the reader is the peer
    [[nodiscard]] std::string encode() const;
    [[nodiscard]] std::string encode_escaped() const; // for a Refer-To URI
    friend bool operator==(const Replaces &, const Replaces &) = default;
};

// What is known of a call that could be replaced.
struct ReplaceableDialog {
    DialogId id;
    DialogState state = DialogState::confirmed;
    bool initiator = false; // our INVITE made it: an early one may be replaced, one that rings here may not
    std::string account;    // whose call it is
};

struct ReplacesMatch {
    std::size_t index = 0; // of the dialog; meaningful when status is 200
    unsigned status = 200; // 481: nobody's call, or another account's; 486: confirmed but early-only was
                           // asked (§3); 603: it has ended
};

// RFC 3891 §3: Call-ID, to-tag = our tag, from-tag = the peer's, all three, and the account that the INVITE
// came to. A missing tag in an old dialog (RFC 2543) matches "0".
ReplacesMatch match(const Replaces &replaces, std::string_view account,
                    std::span<const ReplaceableDialog> dialogs) noexcept;

} // namespace offhook::sip
