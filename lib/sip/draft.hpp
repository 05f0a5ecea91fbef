// A message being written. The encoder computes Content-Length; values must hold no CR or LF (they are
// replaced by spaces, so that nothing a user or peer gave us can start a header of its own).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sip/message.hpp"

namespace offhook::sip {

struct Draft {
    // Request: method and uri set. Response: status set.
    std::string method, uri;
    unsigned status = 0;
    std::string reason;
    std::vector<std::pair<std::string, std::string>> headers; // in order
    std::string body;

    static Draft request(std::string_view method, std::string_view uri);
    // A response to `request` (RFC 3261 §8.2.6): Via, From, To, Call-ID, CSeq copied; `to_tag` is added to
    // To when it has none and status > 100. Record-Route is copied when it makes a dialog (§12.1.1).
    // `reason` empty takes the standard phrase.
    static Draft response(const Message &request, unsigned status, std::string_view reason = {},
                          std::string_view to_tag = {});
    static Draft from_message(const Message &message); // to edit a received one

    Draft &add(std::string_view name, std::string_view value);     // at the end
    Draft &prepend(std::string_view name, std::string_view value); // before all others
    Draft &set(std::string_view name, std::string_view value);     // replaces all of that name, or adds
    Draft &erase(std::string_view name);
    Draft &erase_first(std::string_view name);
    [[nodiscard]] std::string_view get(std::string_view name) const noexcept; // first, "" when absent
    Draft &set_body(std::string_view content_type, std::string_view content);

    [[nodiscard]] bool is_request() const noexcept { return status == 0; }
    [[nodiscard]] std::string encode() const;
};

} // namespace offhook::sip
