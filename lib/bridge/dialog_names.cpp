#include "bridge/dialog_names.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "sip/escape.hpp"
#include "sip/grammar.hpp"
#include "sip/replaces.hpp"

namespace offhook::bridge {

namespace {

// "CALL-ID;to-tag=A;from-tag=B", with parameters of any other name between.
std::string dialog_id(std::string_view text, const TagMap &map) {
    const auto semicolon = std::min(text.find(';'), text.size());
    const auto call_id = sip::trim(text.substr(0, semicolon));
    sip::grammar::Scanner scanner(text.substr(semicolon));
    sip::Params params;
    if (call_id.empty() || !sip::grammar::parse_params(scanner, params)) return std::string(text);
    bool changed = false;
    for (auto &param : params.items) {
        if (!param.has_value || !sip::grammar::to_lower(param.name).ends_with("-tag")) continue;
        auto mapped = map(call_id, param.value);
        changed |= mapped != param.value;
        param.value = std::move(mapped);
    }
    return changed ? std::string(call_id) + params.encode() : std::string(text);
}

bool names_dialog(std::string_view header) {
    constexpr std::array names{"Replaces", "Join", "Target-Dialog"};
    return std::ranges::any_of(names, [&](const char *name) { return sip::iequals(header, name); });
}

// "<sip:carl@house.test?Replaces=…%3Bto-tag%3D…&Require=replaces>"
std::string uri_headers(std::string_view text, const TagMap &map) {
    const auto question = text.find('?');
    if (question == std::string_view::npos) return std::string(text);
    const auto end = std::min(text.find('>', question), text.size());
    std::string out(text.substr(0, question));
    bool changed = false;
    char before = '?';
    for (auto rest = text.substr(question + 1, end - question - 1); !rest.empty(); before = '&') {
        const auto item = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(item.size() + 1, rest.size()));
        const auto equals = std::min(item.find('='), item.size());
        out += before;
        if (equals == item.size() || !names_dialog(item.substr(0, equals))) {
            out += item;
            continue;
        }
        const std::string plain = sip::unescape(item.substr(equals + 1));
        const std::string mapped = dialog_id(plain, map);
        changed |= mapped != plain;
        out += mapped == plain ? std::string(item)
                               : std::string(item.substr(0, equals + 1)) + sip::escape_header(mapped);
    }
    return changed ? out + std::string(text.substr(end)) : std::string(text);
}

// "dialog;call-id="…";to-tag=…;from-tag=…" (RFC 4235 §3.2)
std::string event(std::string_view text, const TagMap &map) {
    const auto semicolon = std::min(text.find(';'), text.size());
    sip::grammar::Scanner scanner(text.substr(semicolon));
    sip::Params params;
    if (!sip::grammar::parse_params(scanner, params) || !params.has("call-id")) return std::string(text);
    const std::string call_id(params.get("call-id"));
    for (const char *name : {"to-tag", "from-tag"})
        if (params.has(name)) params.set(name, map(call_id, params.get(name)));
    return std::string(text.substr(0, semicolon)) + params.encode();
}

struct Span {
    std::size_t begin = 0, end = 0;
    [[nodiscard]] std::string_view of(std::string_view text) const { return text.substr(begin, end - begin); }
};

// The value of an attribute inside a start tag.
std::optional<Span> attribute(std::string_view tag, std::string_view name) {
    for (auto at = tag.find(name); at != std::string_view::npos; at = tag.find(name, at + 1)) {
        if (at == 0 ||
            (tag[at - 1] != ' ' && tag[at - 1] != '\n' && tag[at - 1] != '\t' && tag[at - 1] != '\r'))
            continue;
        auto value = tag.find_first_not_of(" \t\r\n", at + name.size());
        if (value == std::string_view::npos || tag[value] != '=') continue;
        value = tag.find_first_of("\"'", value);
        if (value == std::string_view::npos) return {};
        const auto end = tag.find(tag[value], value + 1);
        if (end == std::string_view::npos) return {};
        return Span{value + 1, end};
    }
    return {};
}

// <dialog call-id="…" local-tag="…" remote-tag="…"> and <replaces …> of RFC 4235.
std::string dialog_info(std::string_view text, const TagMap &map) {
    std::string out;
    while (!text.empty()) {
        const auto begin = std::min(text.find('<'), text.size());
        const auto end = std::min(text.find('>', begin), text.size());
        std::string tag(text.substr(begin, end - begin));
        if (const auto call_id = attribute(tag, "call-id")) {
            const std::string id(call_id->of(tag));
            for (const char *name : {"local-tag", "remote-tag"})
                if (const auto value = attribute(tag, name))
                    tag.replace(value->begin, value->end - value->begin, map(id, value->of(tag)));
        }
        out.append(text.substr(0, begin)).append(tag);
        text.remove_prefix(end);
        if (!text.empty()) { // '>'
            out += text.front();
            text.remove_prefix(1);
        }
    }
    return out;
}

// A part of a message: From and To of the dialog that its Call-ID names.
std::string fragment(std::string_view text, const TagMap &map) {
    std::vector<std::pair<std::string_view, std::string_view>> lines; // text, its end
    std::string call_id;
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto next = std::min(end + 1, text.size());
        const auto line =
            text.substr(0, end > 0 && end < text.size() && text[end - 1] == '\r' ? end - 1 : end);
        lines.emplace_back(line, text.substr(line.size(), next - line.size()));
        const auto colon = line.find(':');
        if (colon != std::string_view::npos &&
            sip::header_id(sip::trim(line.substr(0, colon))) == sip::HeaderId::call_id)
            call_id = sip::trim(line.substr(colon + 1));
        text.remove_prefix(next);
    }
    std::string out;
    for (const auto &[line, end] : lines) {
        const auto colon = std::min(line.find(':'), line.size());
        const auto id = sip::header_id(sip::trim(line.substr(0, colon)));
        auto address = id == sip::HeaderId::from || id == sip::HeaderId::to
                           ? sip::NameAddr::parse(sip::trim(line.substr(std::min(colon + 1, line.size()))))
                           : Result<sip::NameAddr>(fail(Errc::parse, "not this one"));
        const std::string mapped = address && !call_id.empty() ? map(call_id, address->tag()) : std::string();
        if (address && !mapped.empty() && mapped != address->tag()) {
            address->params.set("tag", mapped);
            out.append(line.substr(0, colon)).append(": ").append(address->encode());
        } else {
            out += line;
        }
        out += end;
    }
    return out;
}

} // namespace

void translate_tags(sip::Draft &draft, const TagMap &map) {
    std::string_view type;
    for (auto &[name, value] : draft.headers) {
        const auto id = sip::header_id(name);
        if (names_dialog(name))
            value = dialog_id(value, map);
        else if (id == sip::HeaderId::refer_to || (id == sip::HeaderId::contact && draft.status / 100 == 3))
            value = uri_headers(value, map);
        else if (id == sip::HeaderId::event)
            value = event(value, map);
        else if (id == sip::HeaderId::content_type)
            type = sip::trim(std::string_view(value).substr(0, value.find(';')));
    }
    if (sip::iequals(type, "application/dialog-info+xml"))
        draft.body = dialog_info(draft.body, map);
    else if (sip::iequals(type, "message/sipfrag"))
        draft.body = fragment(draft.body, map);
}

} // namespace offhook::bridge
