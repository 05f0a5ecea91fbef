// The b= lines of a session description (RFC 8866 §5.8), apart from Sdp: only who passes descriptions on
// needs them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace offhook::media {

struct SdpBandwidths {
    std::vector<std::string> session;            // "AS:512"
    std::vector<std::vector<std::string>> media; // of each m=
    // At most 8 each; what is not TYPE:NUMBER is left out, and so are RS and RR (RFC 3556): RTCP is not
    // passed on.
    static SdpBandwidths read(std::string_view sdp);
    // `sdp`, which has none, with these lines where they belong. More media than it has: they stay out.
    [[nodiscard]] std::string put_into(std::string_view sdp) const;
};

} // namespace offhook::media
