// Sessions as texts, and what OfferAnswer makes of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "media/offer_answer.hpp"

namespace offhook::test::offers {

using namespace offhook::media;
using State = OfferAnswer::State;

inline LocalMedia local(std::string_view codecs = "opus,g722,pcma,pcmu", std::uint16_t port = 4000) {
    return {.rtp = Address::parse("192.0.2.1", port).value(),
            .public_ip = "",
            .codecs = parse_codec_list(codecs).value()};
}

inline std::string remote(const std::string &media, const char *connection = "IN IP4 192.0.2.9") {
    return "v=0\r\no=bob 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=" + std::string(connection) + "\r\nt=0 0\r\n" +
           media;
}

inline std::string audio(const std::string &formats, const std::string &attributes = "") {
    return remote("m=audio 5000 RTP/AVP " + formats + "\r\n" + attributes);
}

inline Sdp parsed(const Result<std::string> &body) {
    REQUIRE_MESSAGE(body, (body ? "" : body.error().what));
    const auto sdp = Sdp::parse(*body);
    REQUIRE(sdp);
    return *sdp;
}

inline std::vector<std::string> values(const SdpMedia &media, std::string_view name) {
    std::vector<std::string> found;
    for (const SdpAttribute &attribute : media.attributes)
        if (attribute.name == name) found.push_back(attribute.value);
    return found;
}

inline std::string direction(const Sdp &sdp, std::size_t at = 0) {
    for (const char *name : {"sendrecv", "sendonly", "recvonly", "inactive"})
        if (sdp.media.at(at).attribute(name) != nullptr) return name;
    return "";
}

inline Sdp answer_to(OfferAnswer &machine, const std::string &offer) {
    const auto applied = machine.apply_offer(offer);
    REQUIRE_MESSAGE(applied, (applied ? "" : applied.error().what));
    return parsed(machine.make_answer());
}

// Offers and lets `answer` agree to it.
inline Sdp agree_on(OfferAnswer &machine, const std::string &answer) {
    const Sdp offer = parsed(machine.make_offer());
    const auto applied = machine.apply_answer(answer);
    REQUIRE_MESSAGE(applied, (applied ? "" : applied.error().what));
    return offer;
}

} // namespace offhook::test::offers
