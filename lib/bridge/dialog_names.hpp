// Where messages name dialogs other than their own by Call-ID and tags: Replaces (RFC 3891), Join (RFC 3911),
// Target-Dialog (RFC 4538), the same in the URI of Refer-To, Event: dialog (RFC 4235), and the bodies
// application/dialog-info+xml and message/sipfrag. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "sip/draft.hpp"

namespace offhook::bridge {

// A tag of the dialog with this Call-ID → what is to stand in its place.
using TagMap = std::function<std::string(std::string_view call_id, std::string_view tag)>;

// Everything that names a dialog, by `map`. What does not parse stays as it is.
void translate_tags(sip::Draft &draft, const TagMap &map);

} // namespace offhook::bridge
