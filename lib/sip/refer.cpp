#include "sip/refer.hpp"

#include "sip/grammar.hpp"
#include "sip/headers.hpp"

namespace offhook::sip {

namespace {

Failure refused(unsigned status, std::string what) {
    return fail(Errc::parse, "Refer-To: " + std::move(what), status);
}

std::string_view next_part(std::string_view &rest, char separator) {
    const auto end = rest.find(separator);
    const auto part = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    return part;
}

// "Replaces=…&Require=replaces"
Result<> take_headers(std::string_view headers, ReferTo &target) {
    while (!headers.empty()) {
        auto value = next_part(headers, '&');
        const std::string name = unescape(next_part(value, '='));
        if (iequals(name, "Replaces") && !target.replaces) {
            auto replaces = Replaces::parse_escaped(value);
            if (!replaces) return refused(400, replaces.error().what);
            target.replaces = std::move(*replaces);
        } else if (!iequals(name, "Require") || !iequals(unescape(value), "replaces")) {
            return refused(400, "expected no header but Replaces in the URI, found " + name);
        }
    }
    return {};
}

} // namespace

Result<ReferTo> ReferTo::parse(std::string_view value) {
    auto address = NameAddr::parse(value);
    if (!address) return refused(400, address.error().what);
    ReferTo target;
    target.uri = std::move(address->uri);
    const bool number = !address->star && iequals(target.uri.scheme, "tel") && !target.uri.user.empty();
    if (address->star || !(target.uri.is_sip() || number))
        return refused(416, "expected a sip, sips or tel URI, found " +
                                (address->star ? std::string("*") : target.uri.scheme + ":"));
    if (const auto method = target.uri.params.get("method"); !method.empty() && method != "INVITE")
        return refused(603, "expected method INVITE, found " + std::string(method));
    target.uri.params.erase("method");
    const std::string headers = std::move(target.uri.headers);
    target.uri.headers.clear();
    target.uri.password.clear();
    if (auto taken = take_headers(headers, target); !taken) return fail(taken.error());
    return target;
}

std::string ReferTo::encode() const {
    Uri full = uri;
    full.headers = replaces ? "Replaces=" + replaces->encode_escaped() : std::string{};
    return "<" + full.encode() + ">";
}

Result<ReferTo> refer_to_of(const Message &refer) {
    if (const auto count = refer.list(HeaderId::refer_to).size(); count != 1)
        return refused(400, "expected one, found " + std::to_string(count));
    return ReferTo::parse(refer.value(HeaderId::refer_to));
}

std::optional<bool> refer_sub_of(const Message &message) {
    const Header *header = message.find("Refer-Sub");
    if (header == nullptr) return std::nullopt;
    const auto word = trim(header->value.substr(0, header->value.find(';')));
    if (iequals(word, "false")) return false;
    if (iequals(word, "true")) return true;
    return std::nullopt;
}

} // namespace offhook::sip
