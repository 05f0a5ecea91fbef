// A small UAS for tests: a registrar (and answerer of any other request) with digest authentication, written
// on TransactionLayer. Counts what it hears; can be told to misbehave.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.hpp"
#include "sip/digest.hpp"
#include "sip/transaction_layer.hpp"

namespace offhook::test {

class Registrar final : sip::TransactionLayer::Listener {
public:
    explicit Registrar(Loop &loop, sip::TimerValues timers = {});

    Address listen(sip::TransportKind kind, std::uint16_t port = 0);
    [[nodiscard]] const std::map<std::string, unsigned> &bindings() const {
        return bindings_;
    } // URI → expires

    std::optional<sip::Credentials> credentials; // absent: everybody may
    std::string realm = "test";
    std::vector<std::string> algorithms{"MD5"}; // one challenge each, in this order
    bool refuse_all = false;                    // answers every credential with another challenge
    bool stale = false;                         // … that says stale=true
    unsigned max_expires = 3600, min_expires = 1;
    // Runs before anything else; true: it has answered.
    std::function<bool(const sip::Message &, const sip::Flow &, const sip::ServerTransaction &)> intercept;

    std::vector<sip::Message> requests; // as they came
    unsigned challenges = 0;

private:
    void on_request(const sip::Message &request, const sip::Flow &flow,
                    sip::ServerTransaction transaction) override;
    void on_cancel(const sip::ServerTransaction &, const sip::Message &) override {}
    void on_stray_response(const sip::Message &, const sip::Flow &) override {}
    void on_server_failure(const sip::ServerTransaction &, const Error &) override {}
    void on_flow_failed(const sip::Flow &, const Error &) override {}

    [[nodiscard]] bool authorized(const sip::Message &request) const;
    void challenge(const sip::Message &request, const sip::ServerTransaction &transaction);
    void answer_register(const sip::Message &request, const sip::ServerTransaction &transaction);
    void bind(const sip::Message &request, unsigned expires);

    std::map<std::string, unsigned> bindings_;
    std::vector<std::string> nonces_;
    sip::TransactionLayer layer_;
};

} // namespace offhook::test
