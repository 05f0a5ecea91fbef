// Keeps one binding of an address of record (RFC 3261 §10) alive: registers, refreshes, backs off, follows
// the link. When to try next is decided by the pure RegistrationPolicy; this class does the sending.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.hpp"
#include "sip/request.hpp"

namespace offhook::sip {

class Registration {
public:
    struct Options {
        Uri aor;                     // sip:alice@example.com
        Uri registrar;               // its user part is not sent; no host: that of the AOR
        std::string contact_user;    // escaped user part of our Contact
        std::vector<Uri> route;      // outbound proxies in order (loose routing); may be empty
        std::optional<Uri> next_hop; // send there instead of to the first of them or the registrar
        std::chrono::seconds expires{600};
        std::vector<Uri> alternatives; // other outbound proxies, for when the first cannot be reached
        std::shared_ptr<Authenticator> authenticator; // may be null
        std::optional<TransportKind> transport;       // the account's preference
        std::string instance_id;                      // "urn:uuid:…": RFC 5626 outbound; empty: none
        unsigned reg_id = 1;                          // with instance_id
        // Between pings on the flow (RFC 5626 §3.5): absent: 25 s on UDP, 110 s on streams; 0: none.
        std::optional<Duration> keep_alive;
        bool once = false; // no retries, no refreshes: the first outcome is the last
        std::vector<std::pair<std::string, std::string>> headers; // added as they are: User-Agent, Allow …
    };
    struct Outcome {
        std::chrono::seconds granted{0};
        std::vector<NameAddr> bindings; // all Contacts of the AOR
        Flow flow;
    };
    // Any of these may destroy the Registration.
    struct Listener {
        virtual void on_registering() = 0;                      // a REGISTER goes out (not for refreshes)
        virtual void on_registered(const Outcome &outcome) = 0; // each 200 to a REGISTER with Contact
        // error.sip has the status when the registrar said no. `retry_in` absent: no further attempt.
        virtual void on_failed(const Error &error, std::optional<Duration> retry_in) = 0;
        virtual void on_unregistered() = 0;

    protected:
        ~Listener() = default;
    };

    Registration(Loop &loop, TransactionLayer &layer, Resolver &resolver, Options options,
                 Listener &listener);
    ~Registration(); // sends nothing
    Registration(const Registration &) = delete;
    Registration &operator=(const Registration &) = delete;

    void start();       // registers and keeps registered
    void refresh_now(); // the link changed: registers at once on a new flow; back-off starts anew
    // Removes our binding, or with `all` every binding of the AOR; `done` comes once, also when the registrar
    // does not answer (5 s). Nothing is renewed from now on; start() begins anew.
    void unregister(std::function<void(Result<>)> done, bool all = false);
    // REGISTER without Contact: what the registrar has. Independent of start().
    void query(std::function<void(Result<std::vector<NameAddr>>)> done);
    // To be told by whoever hears TransactionLayer::Listener::on_flow_failed: a dead flow of ours is replaced
    // within 2 s.
    void flow_failed(const Flow &flow);

    [[nodiscard]] bool registered() const;
    [[nodiscard]] std::optional<Flow> flow() const; // of the last 200
    // Our address as the registrar sees it, when it differs from the local one (Via received, rport).
    [[nodiscard]] std::optional<Address> public_address() const;
    [[nodiscard]] std::vector<std::string> service_route() const; // Route values for requests (RFC 3608)
    [[nodiscard]] Uri next_hop() const;                           // the proxy or registrar in use
    [[nodiscard]] std::string gruu() const; // public GRUU of this instance (RFC 5627); empty: none was given
    // The Contact URI registered by `flow`, for requests and dialogs of this account.
    [[nodiscard]] std::string contact_uri(const Flow &flow) const;

private:
    struct Self;
    std::shared_ptr<Self> self_;
};

} // namespace offhook::sip
