// One request of ours from resolving to its final answer: resolution, fail-over to the next hop
// (RFC 3263 §4.3), digest retry (at most one per realm, bound to the account's realm and next hop).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sip/digest.hpp"
#include "sip/resolver.hpp"
#include "sip/transaction_layer.hpp"

namespace offhook::sip {

// Who may be told what. Shared by all requests of an account; keeps nonces for the next request.
class Authenticator {
public:
    struct Options {
        Credentials credentials;
        std::string realm;      // empty: whatever the account's own registrar or proxy asks for
        bool allow_weak = true; // MD5 without qop
    };
    explicit Authenticator(Options options) : options_(std::move(options)) {}

    // Adds Authorization / Proxy-Authorization for the challenges in `response` (401 or 407), strongest
    // first. `trusted`: the response came from the account's registrar or proxy; a challenge from anybody
    // else gets nothing. False when nothing could be added (no credentials, foreign realm, already tried and
    // not stale).
    bool answer(const Message &response, bool trusted, Draft &request);
    // Repeats what the last challenge taught us (nonce reuse, nc + 1) without waiting for another 401.
    void apply_cached(bool trusted, Draft &request);
    // Forgets that a retry was made: call before each new request (not for its retries).
    void begin();

private:
    struct Known {
        Challenge challenge;
        ClientNonce nonce;
        std::vector<std::string> tried; // Call-IDs of requests that answered it
    };
    [[nodiscard]] bool acceptable(const Challenge &challenge) const;
    bool learn(const Challenge &challenge, std::string_view call_id);

    Options options_;
    std::vector<Known> known_; // by realm and kind
};

class ClientRequest {
public:
    struct Options {
        Draft draft;  // without Via; Contact may be set by `prepare`
        Uri next_hop; // first Route or Request-URI
        // Where to go when there is no way to next_hop, in order. A Route that names next_hop names them
        // instead.
        std::vector<Uri> alternatives;
        std::optional<TransportKind> transport;       // the account's preference
        std::optional<Flow> flow;                     // use this live flow instead of resolving
        std::shared_ptr<Authenticator> authenticator; // may be null
        bool trusted = true; // next_hop is the account's registrar/proxy (or in its domain)
        Duration total{0};   // give up after this with Errc::timeout; 0 = transaction timers only
        // Runs each time a flow was chosen, before sending: fill in Contact with the flow's address.
        std::function<void(Draft &draft, const Flow &flow)> prepare;
    };
    struct Outcome { // final response or error; exactly one
        Result<Message> response;
        Flow flow;
        bool authenticated = false; // credentials had been sent
    };
    using OnProvisional = std::function<void(const Message &, const Flow &)>;
    using OnFinal = std::function<void(const Outcome &)>;

    // For INVITE every further 2xx comes to `final` again (forking).
    ClientRequest(TransactionLayer &layer, Resolver &resolver, Loop &loop, Options options,
                  OnProvisional provisional, OnFinal final);
    ~ClientRequest(); // detaches; an INVITE should be cancelled first
    ClientRequest(const ClientRequest &) = delete;
    ClientRequest &operator=(const ClientRequest &) = delete;

    void cancel(std::string_view reason_header = {});
    [[nodiscard]] const Draft &draft() const;  // as last sent (CSeq, Authorization)
    [[nodiscard]] const Uri &next_hop() const; // the one in use: next_hop, or an alternative

private:
    struct Self;
    std::shared_ptr<Self> self_;
};

} // namespace offhook::sip
