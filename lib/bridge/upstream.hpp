// The edge in front of somebody else's registrar: browsers' REGISTERs pass through, and calls for them come
// back by Path (RFC 3327, RFC 5626) or, where the registrar knows no Path, by a Contact of ours.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/courier.hpp"
#include "bridge/upstream_host.hpp"

namespace offhook::bridge {

class Upstream {
public:
    Upstream(Core &core, sip::Uri uri, UpstreamMode mode);
    ~Upstream();
    Upstream(const Upstream &) = delete;
    Upstream &operator=(const Upstream &) = delete;

    void start() { host_.start(); }
    // A browser's REGISTER. `changed` hears of bindings that the registrar granted.
    void register_(const sip::Message &request, const sip::Flow &flow, const sip::ServerTransaction &server,
                   std::function<void(const std::vector<Location::Change> &)> changed);
    [[nodiscard]] Party party() const { return host_.party(); } // requests of browsers go there
    [[nodiscard]] bool trusts(const sip::Flow &flow) const { return host_.trusts(flow); }
    // Whom a request that came from upstream is for: by our token in the topmost Route or in the Request-URI.
    // The connection that the token names, else the newest one of its device. A status: 404 without a token
    // of ours; 430, which makes the registrar try another flow (RFC 5626 §5.3.1), when there is none any
    // more, or 480 where the registrar knows of no flows.
    [[nodiscard]] tl::expected<const Binding *, unsigned> target(const sip::Message &request) const;
    [[nodiscard]] UpstreamMode mode() const noexcept { return mode_; }

private:
    struct Registering {
        sip::Message request;
        sip::Flow flow;
        sip::ServerTransaction server;
        UpstreamMode mode;
        std::shared_ptr<Courier> courier;
        std::function<void(const std::vector<Location::Change> &)> changed;
    };
    using RegisteringPtr = std::shared_ptr<Registering>;

    void rewrite(sip::Draft &draft, const Registering &work, const sip::Flow &out);
    void on_response(const RegisteringPtr &work, const sip::Message &response);
    [[nodiscard]] std::string own_contact(const sip::NameAddr &contact, const Registering &work,
                                          const sip::Flow &out);
    [[nodiscard]] bool knows_no_path(const Registering &work, const sip::Message &response) const;
    void restore_contacts(sip::Draft &draft, const sip::Message &response, const Registering &work) const;
    // The registrar has a Contact by which this device cannot be reached any more: of a connection, or of
    // another bridge, that it has left.
    [[nodiscard]] bool is_left(const sip::Uri &contact, const Registering &work) const;
    void note_left(const sip::Message &response, const Registering &work);
    [[nodiscard]] bool has_left(const Registering &work) const;

    Core &core_;
    UpstreamHost host_;
    UpstreamMode mode_;
    std::list<RegisteringPtr> working_;
    // Contacts that the next REGISTER of a device takes back, by device: it has the password for that.
    std::unordered_map<std::string, std::vector<std::string>> left_;
};

} // namespace offhook::bridge
