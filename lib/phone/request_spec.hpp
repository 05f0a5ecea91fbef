// A request outside of any call, as Phone::request(), compose() and send_raw() take it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "sip/request.hpp"

namespace offhook {

struct RequestSpec {
    std::string method = "OPTIONS";
    std::string account; // as in DialOptions
    // The first of a name replaces what the phone would write itself, further ones are added. Via, CSeq and
    // Content-Length stay the phone's.
    std::vector<std::pair<std::string, std::string>> headers;
    std::string content_type, body;
    unsigned max_forwards = 70;
    Duration patience{0}; // for the final answer; 0: as long as the transaction lives (32 s)
};

struct RequestHandlers {
    // A way was chosen and the request goes out by it; again for each credential retry and fail-over.
    std::function<void(const sip::Flow &)> leaves;
    std::function<void(const sip::Message &)> provisional;
    // Once. The 2xx of an INVITE was acknowledged and ended by BYE already: nobody is there to talk.
    std::function<void(const sip::ClientRequest::Outcome &)> final;
};

struct RawHandlers {
    std::function<void(const sip::Flow &)> sent;          // queued, for a stream that still connects
    std::function<void(std::string_view bytes)> received; // each message from there, as it came
    std::function<void(const Error &)> failed;
};

} // namespace offhook
