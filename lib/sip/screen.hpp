// The door every received message passes first: framing, numbers, mandatory headers, versions.
#pragma once

#include <string>

#include "sip/message.hpp"

namespace offhook::sip {

enum class Verdict {
    pass,   // well-formed enough to be handled
    reject, // a request that deserves `status`; answer it statelessly
    drop,   // say nothing (broken responses, requests without a usable Via, ACKs)
    close   // answer if `status` is set, then close the stream: its framing cannot be trusted
};

struct Screening {
    Verdict verdict = Verdict::pass;
    unsigned status = 0;
    std::string reason; // reason phrase to send, in plain words: "CSeq method does not match"
};

// `stream`: came over TCP/TLS/WS, where Content-Length frames. Covers RFC 3261 §8.2, RFC 4475 and our
// limits: 400 for malformed mandatory headers, 505 for another SIP version, 416 for a foreign Request-URI
// scheme, multiple single-valued headers, CSeq ≥ 2^31 or another method, Content-Length beyond the datagram.
// How many Vias a response may have the transaction layer knows.
Screening screen(const Message &message, bool stream);

} // namespace offhook::sip
