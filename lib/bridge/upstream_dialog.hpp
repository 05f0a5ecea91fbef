// One dialog, or one request outside of any, as the upstream may see it in the mode "creds": sent by the
// line's address instead of the browser's, and counted on its own, as each answer to a challenge takes a
// number more (RFC 3261 §22.2). Call-ID and tags stay, so that Replaces still means what it says. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "sip/draft.hpp"
#include "sip/message.hpp"

namespace offhook::bridge {

class UpstreamDialog {
public:
    // A URI of ours as the upstream writes it.
    using Outside = std::function<sip::Uri(const sip::Uri &uri)>;

    UpstreamDialog(sip::Uri aor, Outside outside) : aor_(std::move(aor)), outside_(std::move(outside)) {}

    // A request of the browser on its way out. `caller`: the dialog is its own call, so that From is what it
    // calls itself; else From is what the upstream called it.
    void outward(sip::Draft &request, bool caller);
    // The upstream answered a request; `response` says what number that had in the end.
    void answered(const sip::Message &response);
    // The response for the browser, which knows its own request only.
    static void inward(sip::Draft &response, const sip::Message &request);

private:
    [[nodiscard]] std::uint32_t number_for(std::string_view method, std::uint32_t own);

    sip::Uri aor_;
    Outside outside_;
    std::uint32_t last_ = 0;                         // sent
    std::uint32_t invite_ = 0;                       // the browser's number of its last INVITE
    std::map<std::uint32_t, std::uint32_t> invites_; // the browser's number → the one sent, for ACK and PRACK
};

} // namespace offhook::bridge
