// The upstream mode "creds": the upstream knows each local user as one of its own phones. The bridge
// registers there as long as one of the user's browsers is registered here, and answers its challenges;
// browsers never see those credentials.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bridge/upstream_dialog.hpp"
#include "bridge/upstream_host.hpp"
#include "sip/registration.hpp"

namespace offhook::bridge {

// One local user as the upstream sees it.
class UpstreamLine final : private sip::Registration::Listener {
public:
    UpstreamLine(Core &core, const UserSettings &user, const sip::Uri &upstream,
                 UpstreamDialog::Outside outside);
    ~UpstreamLine() = default;
    UpstreamLine(const UpstreamLine &) = delete;
    UpstreamLine &operator=(const UpstreamLine &) = delete;

    void here(bool is_here); // one of the user's browsers is registered, or none any more
    void flow_failed(const sip::Flow &flow) { registration_.flow_failed(flow); }

    [[nodiscard]] const UserSettings &user() const noexcept { return user_; }
    [[nodiscard]] const sip::Uri &upstream() const noexcept { return upstream_uri_; } // nobody else is told
    [[nodiscard]] const sip::Uri &aor() const noexcept { return aor_; }
    [[nodiscard]] const std::string &contact_user() const noexcept { return contact_user_; }
    [[nodiscard]] UpstreamDialog dialog() const { return {aor_, outside_}; } // for a new call
    [[nodiscard]] bool registered() const { return registration_.registered(); }
    [[nodiscard]] Json describe() const; // for --status
    [[nodiscard]] std::optional<sip::Flow> flow() const { return registration_.flow(); }
    [[nodiscard]] std::string contact(const sip::Flow &flow) const { return registration_.contact_uri(flow); }
    // For requests other than REGISTER: bound to the realm of the settings, or to the one that the registrar
    // itself asked for. Null before that is known.
    [[nodiscard]] const std::shared_ptr<sip::Authenticator> &authenticator() const noexcept { return calls_; }

private:
    void on_registering() override {}
    void on_registered(const sip::Registration::Outcome &outcome) override;
    void on_failed(const Error &error, std::optional<Duration> retry_in) override;
    void on_unregistered() override;
    [[nodiscard]] sip::Registration::Options options(const sip::Uri &upstream) const;
    void bind_calls();
    void tell(bool registered, const std::string &text, const std::string &reason = {});

    Core &core_;
    const UserSettings &user_;
    sip::Uri upstream_uri_, aor_;
    std::string contact_user_;
    UpstreamDialog::Outside outside_;
    std::shared_ptr<sip::Authenticator> registrar_, calls_;
    sip::Registration registration_;
    bool here_ = false, told_registered_ = false;
    std::string reason_;             // why it is not registered; empty: nobody is here, or nothing came yet
    std::optional<TimePoint> until_; // of the registration
    std::optional<TimePoint> again_; // the next attempt
};

class UpstreamLines {
public:
    explicit UpstreamLines(Core &core);

    void start();
    void here(const std::string &user, bool is_here);
    void sign_off(); // no line is registered any more, as far as the upstream answers in time
    void flow_failed(const sip::Flow &flow);
    [[nodiscard]] bool trusts(const sip::Flow &flow) const { return host_.trusts(flow); }
    // The upstream as `user` reaches it.
    [[nodiscard]] Party party(const std::string &user) const;
    // The line that a request from upstream is for: by the Contact that we registered, or by the line's own
    // name in the Request-URI or To.
    [[nodiscard]] const UpstreamLine *target(const sip::Message &request) const;
    // A URI in our domain as the upstream would write it; others stay. Users become their lines.
    [[nodiscard]] sip::Uri outside(const sip::Uri &uri) const;
    [[nodiscard]] bool any_registered() const;
    [[nodiscard]] const std::vector<std::unique_ptr<UpstreamLine>> &all() const noexcept { return lines_; }

private:
    [[nodiscard]] const UpstreamLine *of(const std::string &user) const;

    Core &core_;
    UpstreamHost host_;
    std::vector<std::unique_ptr<UpstreamLine>> lines_;
};

} // namespace offhook::bridge
