// Descriptions with keys or fingerprints, and what OfferAnswer makes of them.
#pragma once

#include <string>

#include <doctest/doctest.h>

#include "media/offer_answer.hpp"

namespace offhook::test::secure {

using namespace offhook::media;

inline const std::string key80 = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"; // RFC 4568 §4.1

inline LocalMedia local(SrtpPolicy policy) {
    return {.rtp = Address::parse("192.0.2.1", 4000).value(),
            .public_ip = "",
            .codecs = parse_codec_list("pcmu").value(),
            .transport = {.srtp = policy}};
}

inline std::string body(const std::string &protocol, const std::string &lines, int port = 5000) {
    return "v=0\r\no=bob 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio " +
           std::to_string(port) + " " + protocol + " 0\r\n" + lines;
}

inline std::string crypto(const std::string &text) {
    return "a=crypto:" + text + "\r\n";
}
inline const std::string line80 = crypto("1 AES_CM_128_HMAC_SHA1_80 inline:" + key80);
inline const std::string line32 = crypto("2 AES_CM_128_HMAC_SHA1_32 inline:" + key80);

inline SdpMedia media_of(const Result<std::string> &text) {
    REQUIRE_MESSAGE(text, (text ? "" : text.error().what));
    return Sdp::parse(*text).value().media.at(0);
}

// What `ours` says to `offer`: the answer's audio line.
inline Result<std::string> answer(OfferAnswer &ours, const std::string &offer) {
    if (auto applied = ours.apply_offer(offer); !applied) return fail(applied.error());
    return ours.make_answer();
}

} // namespace offhook::test::secure
