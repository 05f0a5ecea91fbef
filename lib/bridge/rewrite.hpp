// What a proxy between browsers and phones changes in a message: hop-by-hop headers, and the few fields where
// browsers' SIP libraries and phones do not understand each other. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sip/draft.hpp"
#include "sip/message.hpp"

namespace offhook::bridge {

// A Route of ours? Then it is taken off before forwarding.
using IsOurs = std::function<bool(const sip::Uri &uri)>;

// The request for the next hop: Max-Forwards counted down, our own Route headers taken off, credentials for
// our realm too (RFC 3261 §22.3), and tokens, which whoever reads them could use. With realm "\n" all of them
// stay. The caller has seen Max-Forwards > 0.
sip::Draft forwardable(const sip::Message &request, const IsOurs &ours, std::string_view realm);
// The response for the previous hop: without the top Via.
sip::Draft backward(const sip::Message &response);

unsigned max_forwards(const sip::Message &request) noexcept; // 70 when absent
// Our own Via entries in it: a request may pass us twice (a call forwarded back in), not for ever.
std::size_t visits(const sip::Message &request,
                   const std::function<bool(std::string_view, unsigned short)> &local);

// Takes `tag` out of the comma lists of `header`.
void drop_token(sip::Draft &draft, std::string_view header, std::string_view tag);

// Session timers (RFC 4028): JsSIP asks for 90 s, below the minimum of many PBXs, and does not understand
// 422.
inline constexpr unsigned session_seconds = 1800;
// The shortest interval for a phone: it may have asked for a longer one than ours.
void fix_timers_towards_phone(sip::Draft &request, unsigned least = session_seconds);
// A 422 to `sent`, which asked for more than `request` did: the interval that would do (RFC 4028 §7.4).
// Nothing: it is not our interval that is too short.
std::optional<unsigned> longer_session(const sip::Message &request, const sip::Draft &sent,
                                       const sip::Message &response);
// Without Session-Expires in the 2xx JsSIP refreshes every 45 s by UPDATE, which few phones know.
void fix_timers_towards_browser(sip::Draft &response, const sip::Message &request,
                                unsigned seconds = session_seconds);

// The libraries of browsers' phones know MD5 alone, and look at the last challenge only: others go where
// there is one. False: none is left that they can answer.
bool keep_md5_challenges(sip::Draft &response);

// Browsers' libraries answer 416 to "sips:" in To: the same address without it, in From and To.
void without_sips(sip::Draft &request);
[[nodiscard]] bool names_sips(const sip::Message &request) noexcept; // in From or To
// From, and To but for its tag, as in the request: on the way there they were changed.
void restore_names(sip::Draft &response, const sip::Message &request);
void set_tag(sip::Draft &draft, std::string_view header, std::string_view tag); // of From or To

void raise_rack(sip::Draft &prack, std::uint32_t by); // the INVITE's number in RAck (RFC 3262 §7.2)
void as_invite(sip::Draft &request); // an UPDATE with an offer → the re-INVITE that says the same
// The ACK of a 2xx, RFC 3261 §13.2.2.4.
sip::Draft ack_of(const sip::Draft &invite, const sip::Message &response);

bool has_sdp(const sip::Message &message) noexcept;   // a body of application/sdp
bool has_parts(const sip::Message &message) noexcept; // multipart: a description may be inside
void strip_body(sip::Draft &draft);
bool describes(const sip::Message &request) noexcept; // offers and answers come with this method

} // namespace offhook::bridge
