// A dialog (RFC 3261 §12) as a value: what is needed to build and to judge requests inside it. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sip/draft.hpp"
#include "sip/message.hpp"

namespace offhook::sip {

// Call-ID, local tag, remote tag: the key under which a UserAgent finds a dialog.
struct DialogId {
    std::string call_id, local_tag, remote_tag;
    friend bool operator==(const DialogId &, const DialogId &) = default;
};

struct Dialog {
    DialogId id;
    std::string local, remote;      // From and To values of our requests, without tags
    std::string remote_target;      // the peer's Contact URI
    std::vector<std::string> route; // Route values, in sending order
    std::uint32_t local_cseq = 0;   // of the last request of ours
    std::uint32_t remote_cseq = 0;  // of the peer's last; 0: none yet
    bool secure = false;

    // UAC: from our INVITE as sent and a response with a To tag (§12.1.2).
    // UAS: from the received INVITE and the tag we give it (§12.1.1). Errors: Errc::parse (no Contact …).
    static Result<Dialog> uac(const Draft &request, const Message &response);
    static Result<Dialog> uas(const Message &request, std::string_view local_tag);

    // A request inside the dialog (§12.2.1.1); CSeq grows, except for ACK, which takes `cseq`.
    [[nodiscard]] Draft request(std::string_view method, std::uint32_t cseq = 0);
    // Where such a request goes first: top Route (a strict router cannot be served: not_supported) or target.
    [[nodiscard]] Result<Uri> next_hop() const;
    // §12.2.2: false when the request is older than what we have seen (answer 500).
    [[nodiscard]] bool accept_cseq(std::uint32_t cseq) noexcept;
    // Target refresh by INVITE and its 2xx (§12.2).
    void refresh_target(const Message &message);
};

} // namespace offhook::sip

template <>
struct std::hash<offhook::sip::DialogId> {
    std::size_t operator()(const offhook::sip::DialogId &id) const noexcept {
        const std::hash<std::string> of_text;
        return of_text(id.call_id) ^ (of_text(id.local_tag) * 31) ^ (of_text(id.remote_tag) * 131);
    }
};
