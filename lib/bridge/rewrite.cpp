#include "bridge/rewrite.hpp"

#include <algorithm>

#include "sip/grammar.hpp"

namespace offhook::bridge {

namespace {

using sip::HeaderId;

void replace_list(sip::Draft &draft, std::string_view header, const std::vector<std::string_view> &values) {
    std::vector<std::string> kept(values.begin(), values.end()); // views may point into the draft
    draft.erase(header);
    for (const auto &value : kept)
        draft.add(header, value);
}

// Are these credentials for `realm`? Reads no further than that. Tokens name none: they are for whoever is
// here.
bool names_realm(std::string_view credentials, std::string_view realm) {
    sip::grammar::Scanner scanner(sip::trim(credentials));
    if (sip::iequals(scanner.take(sip::grammar::token), "Bearer")) return realm != "\n";
    while (true) {
        sip::Param param;
        if (!sip::grammar::parse_param(scanner, param)) return false;
        if (sip::iequals(param.name, "realm")) return param.value == realm;
        while (scanner.accept(',')) // empty list elements are allowed (RFC 7235 §1.2)
            scanner.skip_space();
    }
}

std::optional<unsigned> seconds_of(std::string_view value) {
    const auto seconds = sip::parse_delta_seconds(value);
    return seconds ? std::optional<unsigned>(*seconds) : std::nullopt;
}

} // namespace

unsigned max_forwards(const sip::Message &request) noexcept {
    const auto number = sip::parse_number(request.value(HeaderId::max_forwards));
    return number ? static_cast<unsigned>(std::min<std::uint64_t>(*number, 255)) : 70;
}

std::size_t visits(const sip::Message &request,
                   const std::function<bool(std::string_view, unsigned short)> &local) {
    std::size_t count = 0;
    for (const auto element : request.list(HeaderId::via))
        if (const auto via = sip::Via::parse(element); via && local(via->host, via->port)) ++count;
    return count;
}

sip::Draft forwardable(const sip::Message &request, const IsOurs &ours, std::string_view realm) {
    auto draft = sip::Draft::from_message(request);
    draft.set("Max-Forwards", std::to_string(std::max(max_forwards(request), 1U) - 1));
    auto routes = request.list(HeaderId::route);
    const auto foreign = std::ranges::find_if(routes, [&](std::string_view element) {
        const auto route = sip::NameAddr::parse(element);
        return !route || !ours(route->uri);
    });
    routes.erase(routes.begin(), foreign);
    replace_list(draft, "Route", routes);
    std::erase_if(draft.headers, [&](const auto &header) {
        const auto id = sip::header_id(header.first);
        if (id != HeaderId::authorization && id != HeaderId::proxy_authorization) return false;
        return names_realm(header.second, realm);
    });
    return draft;
}

sip::Draft backward(const sip::Message &response) {
    auto draft = sip::Draft::from_message(response);
    auto vias = response.list(HeaderId::via);
    if (!vias.empty()) vias.erase(vias.begin());
    std::vector<std::pair<std::string, std::string>> headers;
    headers.reserve(vias.size());
    for (const auto via : vias)
        headers.emplace_back("Via", via);
    draft.erase("Via");
    draft.headers.insert(draft.headers.begin(), headers.begin(), headers.end());
    return draft;
}

void drop_token(sip::Draft &draft, std::string_view header, std::string_view tag) {
    std::string kept;
    for (const auto &[name, value] : draft.headers) {
        if (sip::header_id(name) != sip::header_id(header)) continue;
        for (const auto token : sip::split_list(value))
            if (!sip::iequals(token, tag)) kept.append(kept.empty() ? "" : ", ").append(token);
    }
    if (kept.empty())
        draft.erase(header);
    else
        draft.set(header, kept);
}

void fix_timers_towards_phone(sip::Draft &request, unsigned least) {
    const std::string asked(request.get("Session-Expires"));
    const auto seconds = seconds_of(asked);
    if (!seconds || *seconds >= least) return;
    const auto rest = asked.find(';');
    request.set("Session-Expires",
                std::to_string(least) + (rest == std::string::npos ? "" : asked.substr(rest)));
    if (least > session_seconds && seconds_of(request.get("Min-SE")).value_or(0) < least)
        request.set("Min-SE", std::to_string(least));
}

std::optional<unsigned> longer_session(const sip::Message &request, const sip::Draft &sent,
                                       const sip::Message &response) {
    const auto asked = seconds_of(request.value(HeaderId::session_expires)),
               ours = seconds_of(sent.get("Session-Expires")),
               least = seconds_of(response.value(HeaderId::min_se));
    if (response.status() != 422 || !asked || !ours || !least || *asked >= *ours || *least <= *ours)
        return {};
    return least;
}

void fix_timers_towards_browser(sip::Draft &response, const sip::Message &request, unsigned seconds) {
    if (response.status / 100 != 2 || !response.get("Session-Expires").empty()) return;
    if (!request.has(HeaderId::session_expires)) return;
    response.add("Session-Expires", std::to_string(seconds) + ";refresher=uac");
}

bool keep_md5_challenges(sip::Draft &response) {
    const auto asks = [](const std::pair<std::string, std::string> &header) {
        const auto id = sip::header_id(header.first);
        return id == HeaderId::www_authenticate || id == HeaderId::proxy_authenticate;
    };
    const auto other = [](const std::pair<std::string, std::string> &header) {
        const auto challenge = sip::AuthParams::parse(header.second);
        if (!challenge) return true;
        const auto algorithm = challenge->params.get("algorithm");
        return !sip::iequals(challenge->scheme, "Digest") ||
               (!algorithm.empty() && !sip::iequals(algorithm, "MD5"));
    };
    const bool any = std::ranges::any_of(response.headers,
                                         [&](const auto &header) { return asks(header) && !other(header); });
    if (any)
        std::erase_if(response.headers, [&](const auto &header) { return asks(header) && other(header); });
    return any;
}

void without_sips(sip::Draft &request) {
    for (const char *header : {"From", "To"}) {
        auto address = sip::NameAddr::parse(request.get(header));
        if (!address || !address->uri.is_sips()) continue;
        address->uri.scheme = "sip";
        request.set(header, address->encode());
    }
}

bool names_sips(const sip::Message &request) noexcept {
    const auto sips = [&](HeaderId id) { return request.value(id).find("sips:") != std::string_view::npos; };
    return sips(HeaderId::from) || sips(HeaderId::to);
}

void set_tag(sip::Draft &draft, std::string_view header, std::string_view tag) {
    auto address = sip::NameAddr::parse(draft.get(header));
    if (!address) return;
    address->params.set("tag", tag);
    draft.set(header, address->encode());
}

void restore_names(sip::Draft &response, const sip::Message &request) {
    const auto now = sip::NameAddr::parse(response.get("To")),
               asked = sip::NameAddr::parse(request.value(HeaderId::to));
    response.set("From", request.value(HeaderId::from));
    response.set("To", request.value(HeaderId::to));
    if (now && asked && asked->tag().empty() && !now->tag().empty()) set_tag(response, "To", now->tag());
}

void raise_rack(sip::Draft &prack, std::uint32_t by) {
    const std::string rack(prack.get("RAck"));
    const auto first = rack.find(' '), second = rack.find(' ', first + 1);
    if (first == std::string::npos || second == std::string::npos) return;
    const auto number = sip::parse_number(std::string_view(rack).substr(first + 1, second - first - 1));
    if (number)
        prack.set("RAck", rack.substr(0, first + 1) + std::to_string(*number + by) + rack.substr(second));
}

void as_invite(sip::Draft &request) {
    request.method = "INVITE";
    const std::string_view cseq = request.get("CSeq");
    request.set("CSeq", std::string(cseq.substr(0, cseq.find(' '))) + " INVITE");
}

sip::Draft ack_of(const sip::Draft &invite, const sip::Message &response) {
    auto ack = sip::Draft::request("ACK", invite.uri);
    for (const auto &[name, value] : invite.headers) {
        const auto id = sip::header_id(name);
        if (id == HeaderId::route || id == HeaderId::from || id == HeaderId::to || id == HeaderId::call_id ||
            id == HeaderId::authorization || id == HeaderId::proxy_authorization)
            ack.add(name, value);
    }
    const auto cseq = response.value(HeaderId::cseq); // a challenge may have raised it
    ack.add("CSeq", std::string(cseq.substr(0, cseq.find(' '))) + " ACK");
    return ack.add("Max-Forwards", "70");
}

bool describes(const sip::Message &request) noexcept {
    const auto method = request.method();
    return method == sip::Method::invite || method == sip::Method::update || method == sip::Method::prack;
}

bool has_parts(const sip::Message &message) noexcept {
    const std::string_view type = sip::trim(message.value(HeaderId::content_type));
    return !message.body().empty() && sip::iequals(type.substr(0, type.find('/')), "multipart");
}

void strip_body(sip::Draft &draft) {
    draft.body.clear();
    draft.erase("Content-Type").erase("Content-Disposition");
}

bool has_sdp(const sip::Message &message) noexcept {
    if (message.body().empty()) return false;
    const std::string_view type = message.value(HeaderId::content_type);
    return sip::iequals(sip::trim(type.substr(0, type.find(';'))), "application/sdp");
}

} // namespace offhook::bridge
