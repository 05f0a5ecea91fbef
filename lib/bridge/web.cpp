#include "bridge/web.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/json.hpp"
#include "base/text.hpp"
#include "bridge/forwarded.hpp"
#include "bridge/web_phone.hpp"
#include "sip/headers.hpp"
#include "sip/websocket_handshake.hpp"

namespace offhook::bridge {

namespace {

constexpr std::uintmax_t largest_file = std::uintmax_t{16} * 1024 * 1024;

constexpr std::array<std::pair<std::string_view, std::string_view>, 12> types{{
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".json", "application/json"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".ico", "image/x-icon"},
    {".webmanifest", "application/manifest+json"},
    {".woff2", "font/woff2"},
    {".wav", "audio/wav"},
}};

sip::HttpResponse not_found() {
    return sip::HttpResponse::text(404, "There is nothing here.");
}

// The web sockets of this very host, for browsers that do not count them as 'self'.
std::string own_web_sockets(std::string_view host) {
    const bool plain = !host.empty() && std::ranges::all_of(host, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("-.:[]").find(c) != std::string_view::npos;
    });
    return plain ? " ws://" + std::string(host) + " wss://" + std::string(host) : "";
}

// Pages may not be framed or guessed at, speak to this bridge only, and send no form anywhere.
void protect(sip::HttpResponse &response, const sip::HttpHead &request) {
    response.headers.insert(response.headers.end(),
                            {{"X-Content-Type-Options", "nosniff"},
                             {"X-Frame-Options", "DENY"},
                             {"Referrer-Policy", "no-referrer"},
                             {"Cache-Control", "no-cache"},
                             {"Cross-Origin-Opener-Policy", "same-origin"},
                             {"Cross-Origin-Resource-Policy", "same-origin"},
                             {"Content-Security-Policy",
                              "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
                              "media-src 'self' blob: mediastream:; connect-src 'self'" +
                                  own_web_sockets(request.value("Host")) +
                                  "; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"}});
}

} // namespace

std::string_view content_type(std::string_view name) noexcept {
    const auto found =
        std::ranges::find_if(types, [&](const auto &type) { return name.ends_with(type.first); });
    return found == types.end() ? "application/octet-stream" : found->second;
}

std::string safe_path(std::string_view url_path) {
    std::string out;
    for (const auto &part : split(url_path, '/')) {
        if (part.empty()) continue;
        const bool odd = std::ranges::any_of(part, [](char c) {
            const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                               c == '-' || c == '_' || c == '.';
            return !plain;
        });
        if (odd || part.front() == '.') return {};
        out += (out.empty() ? "" : "/") + part;
    }
    return url_path.ends_with('/') ? out + (out.empty() ? "" : "/") + "index.html" : out;
}

bool Web::origin_allowed(const sip::HttpHead &request, bool secure) const {
    const std::string_view origin = request.value("Origin");
    if (request.count("Origin") > 1) return false;
    if (origin.empty()) return settings_.allow_native; // not a browser
    if (settings_.origins.empty()) return sip::is_own_origin(request, secure);
    const auto host = origin.substr(std::min(origin.find("://") + 3, origin.size()));
    return std::ranges::any_of(settings_.origins, [&](const std::string &pattern) {
        return glob_match(pattern, pattern.find("://") == std::string::npos ? host : origin) ||
               pattern == "*";
    });
}

bool Web::is_proxy(const Address &address) const {
    return std::ranges::any_of(settings_.proxies,
                               [&](const Network &network) { return network.contains(address); });
}

void Web::limit_reached(Limit limit, const Address &remote) {
    if (limit == Limit::connections)
        return source_.refused(Refusal::connections, remote, "a connection was not taken: too many");
    if (limit == Limit::per_address)
        return source_.refused(Refusal::connections_of_address, remote,
                               "a connection was not taken: too many from there");
    source_.refused(Refusal::silent, remote, "connections that said nothing made way for others");
}

Result<Address> Web::client(const sip::HttpHead &request, const sip::Flow &flow) {
    if (!is_proxy(flow.remote)) return flow.remote;
    const auto client = forwarded_client(request, settings_.proxies);
    if (!client) {
        source_.refused(Refusal::forwarded, flow.remote, client.error().what);
        return tl::unexpected(client.error());
    }
    if (!*client) return flow.remote;
    return (*client)->port() == 0 ? (*client)->with_port(flow.remote.port()) : **client;
}

// A reverse proxy with TLS says so. Who claims it without one misleads itself alone: browsers do not.
bool Web::by_https(const sip::HttpHead &request, const sip::Flow &flow) {
    return sip::is_secure(flow.kind) || request.value("X-Forwarded-Proto") == "https";
}

std::optional<sip::HttpResponse> Web::refuse_upgrade(const sip::HttpHead &request, const sip::Flow &flow) {
    if (!origin_allowed(request, by_https(request, flow))) {
        source_.refused(Refusal::origin, flow.remote,
                        "a page of " + sanitise(request.value("Origin")).substr(0, 100) + " may not connect");
        return sip::HttpResponse::text(403, "This page may not connect here (Origin).");
    }
    source_.opened(request, flow);
    return std::nullopt;
}

sip::HttpResponse Web::file(std::string_view path) const {
    const std::string relative = safe_path(path);
    if (relative.empty()) return not_found();
    std::error_code error;
    const auto whole = std::filesystem::path(settings_.www) / relative;
    if (!std::filesystem::is_regular_file(whole, error) ||
        std::filesystem::file_size(whole, error) > largest_file)
        return not_found();
    std::ifstream in(whole, std::ios::binary);
    std::stringstream content;
    content << in.rdbuf();
    sip::HttpResponse out;
    out.content_type = content_type(relative);
    out.body = content.str();
    out.headers = {{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-cache"}};
    return out;
}

sip::HttpResponse Web::page(std::string_view path) const {
    const std::string name = safe_path(path);
    for (const auto &known : web_phone_files())
        if (known.name == name) {
            sip::HttpResponse out;
            out.content_type = content_type(known.name);
            out.body = known.content;
            return out;
        }
    return not_found();
}

sip::HttpResponse Web::config(const sip::HttpHead &request, const sip::Flow &flow) const {
    sip::HttpResponse out;
    out.content_type = "application/json";
    const std::string scheme = by_https(request, flow) ? "wss://" : "ws://";
    out.body = Json::object()
                   .add("url", scheme + std::string(request.value("Host")) + "/ws")
                   .add("domain", settings_.domain)
                   .add("iceServers", Json::Array())
                   .dump();
    protect(out, request);
    return out;
}

sip::HttpResponse Web::answer(const sip::HttpHead &request, const sip::Flow &flow) {
    if (request.method != "GET" && request.method != "HEAD")
        return sip::HttpResponse::text(405, "Only GET and HEAD are served.");
    const std::string_view path = request.path();
    if (path == "/healthz") return sip::HttpResponse::text(200, "ok");
    if (path == "/config.json") return config(request, flow);
    if (path == "/metrics") {
        sip::HttpResponse out;
        out.content_type = "text/plain; version=0.0.4";
        out.body = source_.metrics();
        return out;
    }
    if (path == "/ws") return sip::WebServer::answer(request, flow);
    if (!settings_.www.empty()) return file(path);
    auto out = page(path);
    protect(out, request);
    return out;
}

} // namespace offhook::bridge
