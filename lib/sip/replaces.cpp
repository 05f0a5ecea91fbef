#include "sip/replaces.hpp"

#include "sip/escape.hpp"
#include "sip/grammar.hpp"
#include "sip/headers.hpp"

namespace offhook::sip {

namespace {

Failure wrong(std::string_view text) {
    Error error = grammar::malformed("Replaces: expected CALL-ID;to-tag=…;from-tag=…", text).value();
    error.sip = 400;
    return fail(std::move(error));
}

bool same_tag(std::string_view named, std::string_view tag) noexcept {
    return named == tag || (tag.empty() && named == "0");
}

} // namespace

Result<Replaces> Replaces::parse(std::string_view text) {
    Replaces replaces;
    const auto semicolon = text.find(';');
    replaces.call_id = trim(text.substr(0, semicolon));
    if (replaces.call_id.empty() || semicolon == std::string_view::npos ||
        replaces.call_id.find_first_of(" \t,<>\"\r\n") != std::string::npos)
        return wrong(text);
    grammar::Scanner scanner(text.substr(semicolon));
    Params params;
    if (!grammar::parse_params(scanner, params)) return wrong(text);
    unsigned tags = 0;
    for (const auto &param : params.items) {
        if (iequals(param.name, "to-tag")) {
            replaces.to_tag = param.value;
            ++tags;
        } else if (iequals(param.name, "from-tag")) {
            replaces.from_tag = param.value;
            ++tags;
        } else if (iequals(param.name, "early-only")) {
            replaces.early_only = true;
        }
    }
    if (tags != 2 || replaces.to_tag.empty() || replaces.from_tag.empty()) return wrong(text);
    return replaces;
}

Result<Replaces> Replaces::parse_escaped(std::string_view text) {
    return parse(unescape(text));
}

Replaces Replaces::of(const DialogId &dialog) {
    return {dialog.call_id, dialog.remote_tag.empty() ? "0" : dialog.remote_tag,
            dialog.local_tag.empty() ? "0" : dialog.local_tag, false};
}

std::string Replaces::encode() const {
    return call_id + ";to-tag=" + to_tag + ";from-tag=" + from_tag + (early_only ? ";early-only" : "");
}

std::string Replaces::encode_escaped() const {
    return escape_header(encode());
}

ReplacesMatch match(const Replaces &replaces, std::string_view account,
                    std::span<const ReplaceableDialog> dialogs) noexcept {
    for (std::size_t i = 0; i < dialogs.size(); ++i) {
        const auto &dialog = dialogs[i];
        if (dialog.id.call_id != replaces.call_id || !same_tag(replaces.to_tag, dialog.id.local_tag) ||
            !same_tag(replaces.from_tag, dialog.id.remote_tag) || dialog.account != account)
            continue;
        if (dialog.state == DialogState::terminated) return {i, 603};
        if (dialog.state == DialogState::confirmed) return {i, replaces.early_only ? 486U : 200U};
        return {i, dialog.initiator ? 200U : 481U};
    }
    return {0, 481};
}

} // namespace offhook::sip
