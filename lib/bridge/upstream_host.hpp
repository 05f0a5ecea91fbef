// The server in front of which the bridge stands: where it is, and whether something came from there.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "bridge/core.hpp"

namespace offhook::bridge {

class UpstreamHost {
public:
    UpstreamHost(Core &core, sip::Uri uri);

    void start(); // resolves it, now and again
    [[nodiscard]] const sip::Uri &uri() const noexcept { return uri_; }
    [[nodiscard]] Party party() const; // requests for it
    // Did it come from one of its addresses? Never true of a browser.
    [[nodiscard]] bool trusts(const sip::Flow &flow) const;

private:
    void resolve();

    Core &core_;
    sip::Uri uri_;
    std::vector<Address> addresses_;
    std::unique_ptr<sip::Resolver::Query> query_;
    Timer again_;
    bool told_lost_ = false;
};

} // namespace offhook::bridge
