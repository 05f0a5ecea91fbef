// REFER (RFC 3515) and Refer-To as values: what may be asked of us, and how we ask it. No I/O.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sip/message.hpp"
#include "sip/replaces.hpp"
#include "sip/uri.hpp"

namespace offhook::sip {

// Whom to call, and whose place that call takes. Of the headers a URI can carry only Replaces is obeyed (and
// Require: replaces, which says the same): a stranger's Route or From in our INVITE would be his request in
// our name (RFC 3261 §19.1.5).
struct ReferTo {
    Uri uri; // sip or sips without method and headers, or tel (RFC 3966), which needs a domain to be called
    std::optional<Replaces> replaces{};

    // One header value. Errors: Errc::parse with the status to answer: 416 for another scheme, 400 for
    // headers we do not obey and what is malformed, 603 for a method other than INVITE.
    static Result<ReferTo> parse(std::string_view value);
    [[nodiscard]] std::string encode() const; // always with <> (RFC 3515 §2.1)
};

// Refer-To of a REFER: exactly one (RFC 3515 §2.4.2). Errors: as above.
Result<ReferTo> refer_to_of(const Message &refer);

// Refer-Sub (RFC 4488): false means no implicit subscription; nothing when absent or unreadable.
std::optional<bool> refer_sub_of(const Message &message);

} // namespace offhook::sip
