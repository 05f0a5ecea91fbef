#include "sip/draft.hpp"

#include <algorithm>

#include "sip/grammar.hpp"
#include "sip/status.hpp"

namespace offhook::sip {

namespace {

// "v" and "Via" are the same header; only names of one letter stand for others.
bool same_header(std::string_view a, std::string_view b) noexcept {
    if (iequals(a, b)) return true;
    if ((a.size() == 1) == (b.size() == 1)) return false;
    const HeaderId id = header_id(a);
    return id != HeaderId::other && id == header_id(b);
}

// Nothing a user or peer gave us may end a line.
void append_clean(std::string &out, std::string_view text) {
    const std::size_t from = out.size();
    out += text;
    for (const char end : {'\r', '\n', '\0'})
        for (auto at = out.find(end, from); at != std::string::npos; at = out.find(end, at + 1))
            out[at] = ' ';
}

bool copied_into_response(HeaderId id, bool makes_dialog) noexcept {
    switch (id) {
    case HeaderId::via:
    case HeaderId::from:
    case HeaderId::to:
    case HeaderId::call_id:
    case HeaderId::cseq:
        return true;
    case HeaderId::record_route:
        return makes_dialog;
    default:
        return false;
    }
}

// RFC 3261 §12.1.1, RFC 6665 §4.4.1, RFC 3515: requests whose positive answer makes a dialog.
bool makes_dialog(Method method, unsigned status) noexcept {
    if (method == Method::invite) return status > 100 && status < 300;
    const bool subscribes =
        method == Method::subscribe || method == Method::refer || method == Method::notify;
    return subscribes && status >= 200 && status < 300;
}

std::string with_tag(std::string_view to, std::string_view tag) {
    std::string value(to);
    if (tag.empty()) return value;
    // A malformed To goes back as it came.
    if (const auto parsed = NameAddr::parse(to); parsed && !parsed->params.has("tag"))
        value.append(";tag=").append(tag);
    return value;
}

} // namespace

Draft Draft::request(std::string_view method, std::string_view uri) {
    Draft draft;
    draft.method = method;
    draft.uri = uri;
    return draft;
}

Draft Draft::response(const Message &request, unsigned status, std::string_view reason,
                      std::string_view to_tag) {
    Draft draft;
    draft.status = status;
    draft.reason = reason.empty() ? reason_phrase(status) : reason;
    const bool dialog = makes_dialog(request.method(), status);
    draft.headers.reserve(request.headers().size());
    for (const auto &header : request.headers()) {
        // RFC 3261 §8.2.6.1: a 100 repeats the Timestamp.
        const bool timestamp = status == 100 && iequals(header.name, "Timestamp");
        if (!timestamp && !copied_into_response(header.id, dialog)) continue;
        const bool tagged = header.id == HeaderId::to && status > 100;
        draft.add(header.name, tagged ? with_tag(header.value, to_tag) : std::string(header.value));
    }
    return draft;
}

Draft Draft::from_message(const Message &message) {
    Draft draft;
    draft.method = message.method_token();
    draft.uri = message.request_uri();
    draft.status = message.status();
    draft.reason = message.reason();
    constexpr std::size_t more = 4; // a proxy adds some
    draft.headers.reserve(message.headers().size() + more);
    for (const auto &header : message.headers())
        if (header.id != HeaderId::content_length && !header.name.empty())
            draft.add(header.name, header.value);
    draft.body = message.body();
    return draft;
}

Draft &Draft::add(std::string_view name, std::string_view value) {
    headers.emplace_back(name, value);
    return *this;
}

Draft &Draft::prepend(std::string_view name, std::string_view value) {
    headers.emplace(headers.begin(), name, value);
    return *this;
}

Draft &Draft::set(std::string_view name, std::string_view value) {
    const std::string kept(value); // may be a view into a header that is about to go
    const auto matches = [&](const auto &header) { return same_header(header.first, name); };
    const auto first = std::find_if(headers.begin(), headers.end(), matches);
    if (first == headers.end()) return add(name, kept);
    first->second = kept;
    headers.erase(std::remove_if(std::next(first), headers.end(), matches), headers.end());
    return *this;
}

Draft &Draft::erase(std::string_view name) {
    std::erase_if(headers, [&](const auto &header) { return same_header(header.first, name); });
    return *this;
}

Draft &Draft::erase_first(std::string_view name) {
    const auto first = std::find_if(headers.begin(), headers.end(),
                                    [&](const auto &header) { return same_header(header.first, name); });
    if (first != headers.end()) headers.erase(first);
    return *this;
}

std::string_view Draft::get(std::string_view name) const noexcept {
    for (const auto &[key, value] : headers)
        if (same_header(key, name)) return value;
    return {};
}

Draft &Draft::set_body(std::string_view content_type, std::string_view content) {
    body = content;
    return set("Content-Type", content_type);
}

std::string Draft::encode() const {
    std::string out;
    out.reserve(1024 + body.size());
    if (is_request()) {
        append_clean(out, method);
        out += ' ';
        append_clean(out, uri);
        out += " SIP/2.0\r\n";
    } else {
        out += "SIP/2.0 " + std::to_string(status) + ' ';
        append_clean(out, reason);
        out += "\r\n";
    }
    for (const auto &[name, value] : headers) {
        if (same_header(name, "Content-Length")) continue;
        append_clean(out, name);
        out += ": ";
        append_clean(out, value);
        out += "\r\n";
    }
    out += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    return out += body;
}

} // namespace offhook::sip
