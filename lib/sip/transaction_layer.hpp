// Owns the transactions of one endpoint: matches messages to them (RFC 3261 §17.1.3, §17.2.3, RFC 2543 rules
// for branches without the magic cookie), runs their timers, sends. Serves phone and bridge alike.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/loop.hpp"
#include "sip/draft.hpp"
#include "sip/flood_guard.hpp"
#include "sip/transaction.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

class TransactionLayer;

// A received request waiting for its final response. Copies refer to the same transaction; answering a
// transaction that ended is a no-op.
class ServerTransaction {
public:
    ServerTransaction() = default;
    [[nodiscard]] const Message &request() const;
    [[nodiscard]] const Flow &flow() const;
    // Sends a response on the flow the request came by (RFC 3261 §18.2.2). Provisionals may be repeated;
    // after a final one nothing more is sent, except 2xx retransmissions, which are the dialog's duty.
    void respond(const Draft &response) const;
    void respond(unsigned status, std::string_view reason = {}, std::string_view to_tag = {}) const;
    [[nodiscard]] bool answered() const; // a final response was sent
    void drop() const; // forgets it: unanswered, or (not INVITE) answered as every retransmission will be
    explicit operator bool() const noexcept { return !shared_.expired(); }
    friend bool operator==(const ServerTransaction &a, const ServerTransaction &b) noexcept {
        return !a.shared_.owner_before(b.shared_) && !b.shared_.owner_before(a.shared_);
    }

private:
    friend class TransactionLayer;
    struct Shared;
    std::weak_ptr<Shared> shared_;
};

// A request on its way. Destroying the handle detaches it: the transaction runs to its end unheard.
class ClientTransaction {
public:
    // response: provisional ones, then exactly one final (for INVITE: every 2xx, RFC 6026). error: timeout
    // (Errc::timeout) or transport failure (Errc::network, Errc::tls); then nothing more comes.
    using OnResponse = std::function<void(const Message &response, const Flow &flow)>;
    using OnFailure = std::function<void(const Error &error)>;

    ClientTransaction() = default;
    ClientTransaction(const ClientTransaction &) = delete;
    ClientTransaction &operator=(const ClientTransaction &) = delete;
    ClientTransaction(ClientTransaction &&) noexcept;
    ClientTransaction &operator=(ClientTransaction &&) noexcept;
    ~ClientTransaction();

    // INVITE only: sends CANCEL now or as soon as a provisional response has come (RFC 3261 §9.1). If no
    // final response follows within 64*T1 the transaction fails by timeout.
    void cancel(std::string_view reason_header = {});
    [[nodiscard]] bool running() const; // no final response yet
    explicit operator bool() const noexcept { return shared_ != nullptr; }

private:
    friend class TransactionLayer;
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

class TransactionLayer final {
public:
    struct Listener {
        // A new request outside any server transaction (never ACK for non-2xx, never CANCEL). An INVITE not
        // answered (nor dropped) when this returns gets 100 Trying.
        // An ACK for a 2xx comes here with an empty transaction.
        virtual void on_request(const Message &request, const Flow &flow, ServerTransaction transaction) = 0;
        // CANCEL for an INVITE not finally answered; the CANCEL itself was answered 200. The user answers the
        // INVITE with 487. `cancel` carries its Reason header.
        virtual void on_cancel(const ServerTransaction &invite, const Message &cancel) = 0;
        // A 2xx to an INVITE that matched no client transaction: a late or forked answer (RFC 3261
        // §13.2.2.4).
        virtual void on_stray_response(const Message &response, const Flow &flow) = 0;
        // INVITE server transaction ended without ACK (timer H), or a response could not be sent. A lost
        // stream alone is no failure: the response then goes to the Via sent-by address (RFC 3261 §18.2.2).
        virtual void on_server_failure(const ServerTransaction &transaction, const Error &error) = 0;
        virtual void on_flow_failed(const Flow &flow, const Error &error) = 0;

    protected:
        ~Listener() = default;
    };

    TransactionLayer(Loop &loop, Listener &listener, TimerValues timers = {});
    ~TransactionLayer();
    TransactionLayer(const TransactionLayer &) = delete;
    TransactionLayer &operator=(const TransactionLayer &) = delete;

    [[nodiscard]] Transports &transports();
    [[nodiscard]] const TimerValues &timers() const;

    // Sends `request` over `flow`: sets the top Via (sent-by of the flow, fresh branch, rport) and, when
    // missing, Max-Forwards. ACK for a 2xx is not a transaction: send_ack(). Failures at once also come by
    // `failure`, after this returned.
    [[nodiscard]] ClientTransaction request(Draft request, const Flow &flow,
                                            ClientTransaction::OnResponse response,
                                            ClientTransaction::OnFailure failure);
    // The ACK of a 2xx (a new branch each time it is built); keep the bytes for retransmissions.
    Result<std::string> send_ack(Draft ack, const Flow &flow);
    void resend(const Flow &flow, std::string_view bytes); // 2xx and ACK retransmissions

    // Asked before a new request costs anything; not set: everything passes.
    using Admission = std::function<FloodGuard::Verdict(const Message &request, const Flow &flow)>;
    void set_admission(Admission admission);

    [[nodiscard]] std::size_t size() const; // live transactions

private:
    friend class ClientTransaction;
    friend class ServerTransaction;

    struct Self;
    std::shared_ptr<Self> self_;
};

} // namespace offhook::sip
