// UserAgent: the UA core of RFC 3261 §8. One per process or test party. It owns transports, transactions and
// the resolver, refuses what cannot be served (405, 420, 415, 481, 482 …), answers OPTIONS, and hands
// requests inside dialogs to their usages.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/loop.hpp"
#include "sip/dialog.hpp"
#include "sip/request.hpp"
#include "sip/resolver.hpp"
#include "sip/transaction_layer.hpp"

namespace offhook::sip {

class UserAgent final : private TransactionLayer::Listener {
public:
    struct Listener {
        // Is this Request-URI one of ours? Otherwise 404. `flow` tells how it came.
        virtual bool serves(const Uri &request_uri, const Message &request, const Flow &flow) = 0;
        // A new INVITE that may be served; 100 was sent. Take it by InviteSession::incoming() or respond.
        virtual void on_invite(const Message &invite, const Flow &flow, ServerTransaction transaction) = 0;
        virtual void on_flow_failed(const Flow &flow, const Error &error) = 0;
        // A SUBSCRIBE that makes a dialog (RFC 6665 §4.2.1); nothing was sent yet.
        // Who overrides these two keeps the transaction.  NOLINTBEGIN(performance-unnecessary-value-param)
        virtual void on_subscribe(const Message &, const Flow &, ServerTransaction transaction) {
            transaction.respond(489, {}, random_token());
        }
        // A server of ours, or this machine: may send as many requests as it likes.
        [[nodiscard]] virtual bool trusts(const Flow &flow) const { return flow.remote.is_loopback(); }
        // RFC 3428, in or out of a dialog; nothing was sent yet.
        virtual void on_message(const Message &, const Flow &, ServerTransaction transaction) {
            transaction.respond(405);
        }
        // NOLINTEND(performance-unnecessary-value-param)

    protected:
        ~Listener() = default;
    };

    // A dialog usage: gets the requests inside its dialog.
    struct Usage {
        virtual void on_request(const Message &request, const Flow &flow, ServerTransaction transaction) = 0;
        virtual void on_cancel(const ServerTransaction &invite, const Message &cancel) = 0;
        virtual void on_server_failure(const ServerTransaction &transaction, const Error &error) = 0;

    protected:
        ~Usage() = default;
    };

    struct Options {
        std::string product; // User-Agent; empty: none
        TimerValues timers;
        FloodGuard::Limits limits; // of strangers, outside dialogs
    };

    UserAgent(Loop &loop, Options options, Listener &listener);
    ~UserAgent();
    UserAgent(const UserAgent &) = delete;
    UserAgent &operator=(const UserAgent &) = delete;

    [[nodiscard]] Loop &loop() noexcept { return loop_; }
    [[nodiscard]] Transports &transports() { return layer_.transports(); }
    [[nodiscard]] TransactionLayer &transactions() noexcept { return layer_; }
    [[nodiscard]] Resolver &resolver() noexcept { return resolver_; }
    [[nodiscard]] const Options &options() const noexcept { return options_; }

    // Without a remote tag: the usage gets the NOTIFYs that may make a dialog of it, whoever sends them.
    void add_usage(const DialogId &id, Usage &usage);
    void remove_usage(const DialogId &id, const Usage &usage); // unless another has taken the dialog over
    // The INVITE that made a UAS dialog, so that CANCEL and timer H find the usage.
    void watch_invite(const ServerTransaction &invite, Usage &usage);
    void unwatch(const Usage &usage); // before the usage dies

    // A request of ours; kept alive by the returned object.
    [[nodiscard]] std::unique_ptr<ClientRequest> request(ClientRequest::Options options,
                                                         ClientRequest::OnProvisional provisional,
                                                         ClientRequest::OnFinal final);

    // Sends the ACK of a 2xx towards `next_hop` (by `flow` when that leads there); `sent` gets what to repeat
    // for retransmitted 2xx.
    void send_ack(Draft ack, const Uri &next_hop, const Flow &flow,
                  std::function<void(const std::string &bytes, const Flow &flow)> sent);
    // A 2xx of a fork nobody wants: ACK, then BYE (RFC 3261 §13.2.2.4).
    void refuse_fork(const Draft &invite, const Message &response, const Flow &flow);

    // True when a request for `next_hop` may go by `flow`: alive, same address, a transport no weaker than
    // asked.
    [[nodiscard]] bool leads_to(const Flow &flow, const Uri &next_hop);

    // Sees a request through to its end without anybody listening (a BYE whose session is gone).
    void keep_until_final(ClientRequest::Options options);

    // Adds User-Agent/Server, Allow and Supported as RFC 3261 §20.5 wants them.
    void add_capabilities(Draft &draft) const;

private:
    void on_request(const Message &request, const Flow &flow, ServerTransaction transaction) override;
    void on_cancel(const ServerTransaction &invite, const Message &cancel) override;
    void on_stray_response(const Message &response, const Flow &flow) override;
    void on_server_failure(const ServerTransaction &transaction, const Error &error) override;
    void on_flow_failed(const Flow &flow, const Error &error) override;

    void in_dialog(const Message &request, const Flow &flow, const ServerTransaction &transaction);
    void out_of_dialog(const Message &request, const Flow &flow, const ServerTransaction &transaction);
    bool refuse(const Message &request, const ServerTransaction &transaction) const;
    void answer_options(const ServerTransaction &transaction) const;
    bool merged(const Message &request);
    bool accepted(const Flow &flow);
    Usage *usage_of(const ServerTransaction &transaction) const;
    FloodGuard::Verdict admit(const Message &request, const Flow &flow);

    struct Watched {
        ServerTransaction invite;
        Usage *usage = nullptr;
    };

    Loop &loop_;
    Options options_;
    Listener &listener_;
    TransactionLayer layer_;
    Resolver resolver_;
    FloodGuard guard_;
    std::unordered_map<DialogId, Usage *> usages_;
    std::vector<Watched> watched_;
    std::deque<std::pair<std::string, std::string>> recent_; // From tag + Call-ID + CSeq → branch (§8.2.2.2)
    std::unordered_map<std::uint64_t, std::unique_ptr<ClientRequest>> unattended_;
    std::uint64_t next_unattended_ = 1;
    std::unordered_map<std::uint64_t, std::unique_ptr<Resolver::Query>> ack_queries_;
};

// The methods and extensions offhook serves, as header values.
std::string_view allowed_methods() noexcept;      // "INVITE, ACK, BYE, CANCEL, OPTIONS, …"
std::string_view supported_extensions() noexcept; // may be empty
bool supports_extension(std::string_view tag) noexcept;

} // namespace offhook::sip
