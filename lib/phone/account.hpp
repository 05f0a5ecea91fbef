// An account: an identity, its servers and its registration. The peer-to-peer account (name "") has no
// servers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "phone/call_host.hpp"
#include "phone/outbound_proxy.hpp"
#include "sip/invite_session.hpp"
#include "sip/registration.hpp"

namespace offhook {

class Account final {
public:
    // Errors: Errc::config (an AOR, registrar or proxy that is no SIP URI).
    static Result<std::unique_ptr<Account>> open(CallHost &host, AccountSettings settings);
    ~Account() = default;
    Account(const Account &) = delete;
    Account &operator=(const Account &) = delete;

    [[nodiscard]] const AccountSettings &settings() const { return settings_; }
    [[nodiscard]] bool peer_to_peer() const { return aor_.host.empty(); }
    [[nodiscard]] bool registers() const { return settings_.registers && !peer_to_peer(); }
    [[nodiscard]] std::string domain() const { return peer_to_peer() ? std::string{} : aor_.host_port(); }
    [[nodiscard]] bool in_domain(const sip::Uri &uri) const; // of the AOR
    [[nodiscard]] bool has_user(const sip::Uri &uri) const;  // of the AOR, which is that of our Contact too

    // Outgoing calls. The live flow to the account's server when the call goes there.
    [[nodiscard]] std::optional<sip::Flow> flow_for(const sip::Uri &target) const;
    [[nodiscard]] sip::Uri next_hop(const sip::Uri &target) const;
    [[nodiscard]] sip::InviteSession::Options session_options(const sip::Uri &target,
                                                              const Address &local) const;
    [[nodiscard]] sip::InviteSession::Options answering_options(const sip::Message &invite,
                                                                const sip::Flow &flow) const;

    // Does `remote` belong to the servers of this account?
    [[nodiscard]] bool is_server(const Address &remote) const;

    void register_now();
    // Every binding of the address, whoever made it (Contact: *); account.unregistered or account.failed
    // tells.
    void remove_bindings();
    void unregister(std::function<void()> done); // `done` always comes, at once when there is nothing to do
    [[nodiscard]] bool registered() const;       // by one flow at least
    void query(std::function<void(Result<std::vector<std::string>>)> done);
    void link_changed();
    void flow_failed(const sip::Flow &flow);

private:
    Account(CallHost &host, AccountSettings settings);
    // One registration of the address by a flow of its own (RFC 5626 §4.2.1).
    struct AccountFlow final : sip::Registration::Listener {
        AccountFlow(Account &of, unsigned number) : account(of), reg_id(number) {}
        void on_registering() override { account.on_registering(*this); }
        void on_registered(const sip::Registration::Outcome &outcome) override {
            account.on_registered(*this, outcome);
        }
        void on_failed(const Error &error, std::optional<Duration> retry_in) override {
            account.on_failed(*this, error, retry_in);
        }
        void on_unregistered() override { account.on_unregistered(); }

        Account &account;
        unsigned reg_id;
        bool trying = false; // its first attempt is not over
        std::unique_ptr<sip::Registration> registration;
    };

    Result<> open_proxies();
    void ensure_registration();
    [[nodiscard]] sip::Registration::Options registration_options(unsigned reg_id) const;
    [[nodiscard]] sip::Registration *first() const; // a registered one if there is one
    void resolve_servers();
    void add_registered(sip::InviteSession::Options &options) const;
    void add_seen_address(sip::InviteSession::Options &options, const sip::Flow &flow) const;
    [[nodiscard]] std::string contact_user() const;
    [[nodiscard]] sip::SessionTimer::Options session_timer() const;
    [[nodiscard]] const OutboundProxy *proxy() const {
        return proxies_.empty() ? nullptr : &proxies_.front();
    }

    void on_registering(AccountFlow &flow);
    void on_registered(AccountFlow &flow, const sip::Registration::Outcome &outcome);
    void on_failed(AccountFlow &flow, const Error &error, std::optional<Duration> retry_in);
    void on_unregistered();

    CallHost &host_;
    AccountSettings settings_;
    sip::Uri aor_, registrar_;
    std::vector<OutboundProxy> proxies_; // in order of preference
    std::shared_ptr<sip::Authenticator> authenticator_;
    std::vector<std::unique_ptr<AccountFlow>> flows_;
    std::vector<std::unique_ptr<sip::Resolver::Query>> queries_;
    std::vector<Address> servers_;
};

// The user of a peer-to-peer call: who is logged in, as the user part of a URI.
std::string login_user();
// "urn:uuid:…" of this installation, made once and kept in $XDG_STATE_HOME/offhook/instance-id (RFC 5626
// §4.1). A state directory that cannot be written gives one that lasts as long as the process.
std::string instance_id();

} // namespace offhook
