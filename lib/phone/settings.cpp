#include "phone/settings.hpp"

#include "base/text.hpp"
#include "sip/headers.hpp"

namespace offhook {

namespace {

Failure expected_one_of(std::string_view text, std::string_view what, const std::vector<std::string> &words) {
    std::string list;
    for (const auto &word : words)
        list += (list.empty() ? "" : ", ") + word;
    return fail(Errc::invalid_argument, "\"" + sanitise(text) + "\" is no " + std::string(what) +
                                            " (expected " + list + ")" + suggestion(text, words));
}

} // namespace

Result<DtmfMode> parse_dtmf_mode(std::string_view text) {
    if (text == "auto") return DtmfMode::automatic;
    if (text == "rfc4733") return DtmfMode::rfc4733;
    if (text == "info") return DtmfMode::info;
    if (text == "inband") return DtmfMode::inband;
    return expected_one_of(text, "DTMF mode", {"auto", "rfc4733", "info", "inband"});
}

Result<EarlyMedia> parse_early_media(std::string_view text) {
    if (text == "play") return EarlyMedia::play;
    if (text == "ignore") return EarlyMedia::ignore;
    return expected_one_of(text, "early-media mode", {"ignore", "play"});
}

Result<media::SrtpPolicy> parse_srtp(std::string_view text) {
    if (text == "off") return media::SrtpPolicy::off;
    if (text == "optional") return media::SrtpPolicy::optional;
    if (text == "required") return media::SrtpPolicy::required;
    if (text == "dtls") return media::SrtpPolicy::dtls;
    return expected_one_of(text, "way of encrypting media", {"off", "optional", "required", "dtls"});
}

Result<ReferPolicy> parse_refer_policy(std::string_view text) {
    if (text == "allow") return ReferPolicy::allow;
    if (text == "ask") return ReferPolicy::ask;
    if (text == "deny") return ReferPolicy::deny;
    return expected_one_of(text, "policy for transfers", {"allow", "ask", "deny"});
}

Result<sip::TransportKind> parse_transport_name(std::string_view text) {
    const auto kind = sip::parse_transport(text);
    if (!kind) return expected_one_of(text, "transport", {"udp", "tcp", "tls", "ws", "wss", "dtls", "sctp"});
    return *kind;
}

Result<ListenSettings> parse_listen(std::string_view text) {
    ListenSettings listen;
    const auto bad = [text] {
        return fail(Errc::invalid_argument,
                    "\"" + sanitise(text) +
                        "\" is no address to listen on (expected [TRANSPORT:]ADDRESS[:PORT])");
    };
    std::string_view rest = text;
    if (const auto colon = rest.find(':');
        colon != std::string_view::npos && sip::parse_transport(rest.substr(0, colon))) {
        auto kind = parse_transport_name(rest.substr(0, colon));
        if (!kind) return tl::unexpected(kind.error());
        listen.kind = *kind;
        rest.remove_prefix(colon + 1);
    }
    std::string_view host = rest, port_text;
    if (const auto bracket = rest.find(']'); rest.starts_with('[') && bracket != std::string_view::npos) {
        host = rest.substr(0, bracket + 1);
        if (bracket + 1 < rest.size()) {
            if (rest[bracket + 1] != ':') return bad();
            port_text = rest.substr(bracket + 2);
            if (port_text.empty()) return bad();
        }
    } else if (const auto colon = rest.find(':');
               colon != std::string_view::npos && colon == rest.rfind(':')) {
        host = rest.substr(0, colon);
        port_text = rest.substr(colon + 1);
        if (port_text.empty()) return bad();
    }
    const auto port = port_text.empty() ? std::optional<std::uint64_t>(0) : sip::parse_number(port_text);
    if (!port || *port > 65535) return bad();
    auto address = Address::parse(host == "*" ? "0.0.0.0" : host, static_cast<std::uint16_t>(*port));
    if (!address) return bad();
    listen.address = *address;
    return listen;
}

} // namespace offhook
