// The HTTP side of the bridge's web sockets: who may connect, the web phone's files, health and metrics.
#pragma once

#include <functional>
#include <string>

#include "bridge/refusals.hpp"
#include "bridge/settings.hpp"
#include "sip/web_server.hpp"

namespace offhook::bridge {

class Web final : public sip::WebServer {
public:
    struct Source {                           // what is asked for when somebody looks
        std::function<std::string()> metrics; // Prometheus text format
        std::function<void(Refusal what, const Address &source, const std::string &why)> refused;
        // Told of every web socket that is opened.
        std::function<void(const sip::HttpHead &request, const sip::Flow &flow)> opened;
    };

    Web(const Settings &settings, Source source) : settings_(settings), source_(std::move(source)) {}

    Result<Address> client(const sip::HttpHead &request, const sip::Flow &flow) override;
    [[nodiscard]] bool is_proxy(const Address &address) const override;
    void limit_reached(Limit limit, const Address &remote) override;
    std::optional<sip::HttpResponse> refuse_upgrade(const sip::HttpHead &request,
                                                    const sip::Flow &flow) override;
    sip::HttpResponse answer(const sip::HttpHead &request, const sip::Flow &flow) override;

private:
    [[nodiscard]] static bool by_https(const sip::HttpHead &request, const sip::Flow &flow);
    [[nodiscard]] bool origin_allowed(const sip::HttpHead &request, bool secure) const;
    [[nodiscard]] sip::HttpResponse page(std::string_view path) const;
    [[nodiscard]] sip::HttpResponse file(std::string_view path) const;
    [[nodiscard]] sip::HttpResponse config(const sip::HttpHead &request, const sip::Flow &flow) const;

    const Settings &settings_;
    Source source_;
};

// "text/html; charset=utf-8" by the ending of the name; application/octet-stream when unknown.
std::string_view content_type(std::string_view name) noexcept;
// A path of a URL as a path below a folder: no "..", no hidden files, no control characters. Empty: none.
std::string safe_path(std::string_view url_path);

} // namespace offhook::bridge
