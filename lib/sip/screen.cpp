#include "sip/screen.hpp"

#include <array>

#include "sip/grammar.hpp"

namespace offhook::sip {

namespace {

// What is wrong, before it is decided whether that is answered or dropped.
struct Fault {
    unsigned status = 0; // 0: nothing
    std::string_view reason;
    bool framing = false; // on a stream nothing after this can be trusted
    explicit operator bool() const noexcept { return status != 0; }
};

constexpr unsigned bad_request = 400;

Fault bad(std::string_view reason) {
    return {bad_request, reason, false};
}

// SIP-Version = "SIP" "/" 1*DIGIT "." 1*DIGIT; case does not count (RFC 3261 §7.1).
bool is_version(std::string_view text) {
    if (text.size() < 4 || !iequals(text.substr(0, 4), "SIP/")) return false;
    text.remove_prefix(4);
    const std::size_t dot = text.find('.');
    return dot != std::string_view::npos && dot > 0 && dot + 1 < text.size() &&
           grammar::all(text.substr(0, dot), grammar::digit) &&
           grammar::all(text.substr(dot + 1), grammar::digit);
}

Fault check_version(const Message &message) {
    if (iequals(message.version(), "SIP/2.0")) return {};
    if (is_version(message.version())) return {505, "Version Not Supported", false};
    return bad("Malformed start line");
}

Fault check_framing(const Message &message, bool stream) {
    const std::size_t count = message.count(HeaderId::content_length);
    if (count > 1) return {bad_request, "More than one Content-Length", true};
    if (count == 0) return stream ? Fault{bad_request, "Content-Length is missing", true} : Fault{};
    const auto length = parse_number(message.value(HeaderId::content_length));
    if (!length) return {bad_request, "Content-Length is not a number", true};
    if (*length > message.body().size()) return {bad_request, "Content-Length is larger than the body", true};
    return {};
}

Fault check_request_uri(const Message &message) {
    const auto uri = message.uri();
    if (!uri) return bad("Malformed Request-URI");
    if (!uri->is_sip() && uri->scheme != "tel") return {416, "Unsupported URI Scheme", false};
    // RFC 3261 §19.1.1 forbids them here; they must never become headers (RFC 4475 §3.1.2.11).
    if (!uri->headers.empty()) return bad("Request-URI with headers");
    return {};
}

struct Single {
    HeaderId id;
    bool mandatory;
    std::string_view missing, repeated;
};

constexpr std::array single_valued{
    Single{HeaderId::from, true, "From is missing", "More than one From"},
    Single{HeaderId::to, true, "To is missing", "More than one To"},
    Single{HeaderId::call_id, true, "Call-ID is missing", "More than one Call-ID"},
    Single{HeaderId::cseq, true, "CSeq is missing", "More than one CSeq"},
    Single{HeaderId::max_forwards, false, "", "More than one Max-Forwards"},
    Single{HeaderId::content_type, false, "", "More than one Content-Type"},
    Single{HeaderId::expires, false, "", "More than one Expires"},
    Single{HeaderId::event, false, "", "More than one Event"},
    Single{HeaderId::subscription_state, false, "", "More than one Subscription-State"},
    Single{HeaderId::refer_to, false, "", "More than one Refer-To"},
    Single{HeaderId::replaces, false, "", "More than one Replaces"},
    Single{HeaderId::rseq, false, "", "More than one RSeq"},
    Single{HeaderId::rack, false, "", "More than one RAck"},
    Single{HeaderId::session_expires, false, "", "More than one Session-Expires"},
    Single{HeaderId::min_se, false, "", "More than one Min-SE"},
};

Fault check_counts(const Message &message) {
    std::array<std::uint16_t, static_cast<std::size_t>(HeaderId::other) + 1> counts{};
    for (const auto &header : message.headers()) {
        if (header.name.empty()) return bad("Malformed header line");
        ++counts.at(static_cast<std::size_t>(header.id));
    }
    for (const auto &header : single_valued) {
        const auto count = counts.at(static_cast<std::size_t>(header.id));
        if (count > 1) return bad(header.repeated);
        if (count == 0 && header.mandatory) return bad(header.missing);
    }
    return {};
}

// callid = word [ "@" word ]: visible characters of any kind in practice, but no white space.
bool is_call_id(std::string_view text) {
    for (const char c : text)
        if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) return false;
    return !text.empty();
}

Fault check_cseq(const Message &message) {
    const auto cseq = message.cseq();
    if (!cseq) return bad("Malformed CSeq");
    if (message.is_request() && cseq->method != message.method_token())
        return bad("CSeq method does not match");
    return {};
}

Fault check_values(const Message &message) {
    const auto from = message.from();
    const auto to = message.to();
    if (!from || from->star) return bad("Malformed From");
    if (!to || to->star) return bad("Malformed To");
    if (!is_call_id(message.call_id())) return bad("Malformed Call-ID");
    if (const Fault fault = check_cseq(message)) return fault;
    if (message.has(HeaderId::max_forwards)) {
        const auto hops = parse_number(message.value(HeaderId::max_forwards));
        if (!hops || *hops > 255) return bad("Max-Forwards is not a number from 0 to 255");
    }
    return {};
}

// What a dialog would be built from.
Fault check_addresses(const Message &message) {
    if (!message.addresses(HeaderId::contact)) return bad("Malformed Contact");
    if (!message.addresses(HeaderId::route)) return bad("Malformed Route");
    if (!message.addresses(HeaderId::record_route)) return bad("Malformed Record-Route");
    return {};
}

Fault check_request(const Message &message, bool stream) {
    if (const Fault fault = check_version(message)) return fault;
    if (const Fault fault = check_framing(message, stream)) return fault;
    if (const Fault fault = check_request_uri(message)) return fault;
    if (const Fault fault = check_counts(message)) return fault;
    if (const Fault fault = check_values(message)) return fault;
    return check_addresses(message);
}

Fault check_response(const Message &message, bool stream) {
    if (const Fault fault = check_framing(message, stream)) return fault;
    if (const Fault fault = check_version(message)) return fault;
    if (const Fault fault = check_counts(message)) return fault;
    if (const Fault fault = check_values(message)) return fault;
    return check_addresses(message);
}

} // namespace

Screening screen(const Message &message, bool stream) {
    const bool request = message.is_request();
    // Without a usable Via there is nowhere to answer to, and a response belongs to nobody.
    const bool answerable = message.top_via().has_value();
    Fault fault = request ? check_request(message, stream) : check_response(message, stream);
    if (!fault && !answerable) fault = bad("Malformed Via");
    if (!fault) return {};
    const bool silent = !request || !answerable || message.method() == Method::ack;
    const Verdict verdict = stream && fault.framing ? Verdict::close
                            : silent                ? Verdict::drop
                                                    : Verdict::reject;
    return {verdict, silent ? 0 : fault.status, std::string(fault.reason)};
}

} // namespace offhook::sip
