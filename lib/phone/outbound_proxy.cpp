#include "phone/outbound_proxy.hpp"

#include <algorithm>

#include "sip/headers.hpp"

namespace offhook {

namespace {

constexpr std::size_t path_at_most = 1024;

bool is_path(std::string_view path) {
    return path.size() <= path_at_most && path.starts_with('/') && std::ranges::all_of(path, [](char c) {
               return c > ' ' && c < 0x7f && c != '#' && c != '"' && c != '<' && c != '>';
           });
}

} // namespace

Result<OutboundProxy> parse_outbound_proxy(std::string_view text) {
    const auto slashes = text.find("://");
    const auto scheme = text.substr(0, slashes == std::string_view::npos ? 0 : slashes);
    const bool secure = sip::iequals(scheme, "wss");
    OutboundProxy proxy;
    if (!secure && !sip::iequals(scheme, "ws")) {
        auto uri = sip::Uri::parse(text);
        if (!uri) return fail(Errc::invalid_argument, uri.error().what);
        if (!uri->is_sip())
            return fail(Errc::invalid_argument, "expected a sip: or sips: URI or a wss:// URL");
        proxy.uri = std::move(*uri);
        if (!proxy.uri.params.has("lr")) proxy.uri.params.set_flag("lr");
        return proxy;
    }
    const auto rest = text.substr(slashes + 3);
    const auto slash = std::min(rest.find('/'), rest.size());
    proxy.as_route = false;
    proxy.path = slash == rest.size() ? "/" : rest.substr(slash);
    auto uri = sip::Uri::parse("sip:" + std::string(rest.substr(0, slash)) +
                               ";transport=" + (secure ? "wss" : "ws"));
    if (!uri || !uri->user.empty() || !is_path(proxy.path))
        return fail(Errc::invalid_argument,
                    "expected " + std::string(secure ? "wss" : "ws") + "://HOST[:PORT][/PATH]");
    proxy.uri = std::move(*uri);
    return proxy;
}

} // namespace offhook
