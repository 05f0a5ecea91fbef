// The inside of Phone, shared by phone.cpp and phone_serving.cpp.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/link_watch.hpp"
#include "phone/account.hpp"
#include "phone/call.hpp"
#include "phone/dialog_publisher.hpp"
#include "phone/incoming_transfer.hpp"
#include "phone/outgoing_transfer.hpp"
#include "phone/phone.hpp"
#include "phone/ringer.hpp"
#include "phone/target.hpp"
#include "phone/watch.hpp"

namespace offhook {

struct Phone::Self final : TransferHost, sip::UserAgent::Listener {
    Self(Loop &loop, PhoneSettings settings);
    ~Self() { // calls borrow the device and the accounts, transfers listen to calls
        outgoing_transfers_.clear();
        incoming_transfers_.clear();
        calls_.clear();
    }
    Self(const Self &) = delete;
    Self &operator=(const Self &) = delete;

    // phone_serving.cpp
    Result<> open_sockets();
    Result<> open_accounts();
    Result<> open_audio();
    bool serves(const sip::Uri &request_uri, const sip::Message &request, const sip::Flow &flow) override;
    void on_invite(const sip::Message &invite, const sip::Flow &flow,
                   sip::ServerTransaction transaction) override;
    void on_flow_failed(const sip::Flow &flow, const Error &error) override;
    // The call an INVITE wants to replace; nullptr: it names none. Errors: the status to refuse it with.
    Result<Call *> replaced_by(const sip::Message &invite, const Account &account) const;
    [[nodiscard]] bool trusts(const sip::Flow &flow) const override;
    void on_message(const sip::Message &message, const sip::Flow &flow,
                    sip::ServerTransaction transaction) override;
    [[nodiscard]] bool may_call_us(const sip::Flow &flow) const;
    [[nodiscard]] bool is_our_host(const sip::Uri &uri, const sip::Flow &flow) const;
    Account *account_of(const sip::Uri &request_uri) const;
    Result<> listen_where_free(sip::TransportKind kind, int family, std::uint16_t &port);

    // phone_reload.cpp
    [[nodiscard]] Account *account_by_name(std::string_view name) const;
    void replace_accounts(const std::vector<AccountSettings> &wanted,
                          std::vector<std::unique_ptr<Account>> opened,
                          const std::function<bool(const AccountSettings &)> &registers,
                          std::vector<std::string> &removed);
    void retire(std::unique_ptr<Account> account, std::function<void()> unregistered);
    void drop_retired();

    // phone_requests.cpp
    Result<sip::ClientRequest::Options> compose(std::string_view target, const RequestSpec &spec);
    Result<> send_raw(const sip::Uri &next_hop, std::optional<sip::TransportKind> transport);
    void set_tap();
    void forget_message(const sip::ClientRequest *message);

    // phone_transfers.cpp
    Result<CallId> dial_for(Call &call, const sip::Uri &target,
                            std::vector<std::pair<std::string, std::string>> headers) override;
    void forget(const OutgoingTransfer &transfer) override;
    void forget(const IncomingTransfer &transfer) override;
    void on_other_usage(Call &call, const sip::Message &request,
                        const sip::ServerTransaction &transaction) override;
    void on_hold_ended(Call &call, bool ok) override;
    void on_renumbered(CallId one, CallId other) override;
    void on_call_over(Call &call) override;
    [[nodiscard]] Result<sip::ReferTo> target_of(const Call &call, const sip::Message &refer) const;
    void on_refer(Call &call, const sip::ServerTransaction &transaction);
    [[nodiscard]] std::optional<Error> refusal_of(const Call &call, const sip::Uri &target) const;
    Result<> hand_on(Call &call, OutgoingTransfer::Plan plan);
    [[nodiscard]] Result<IncomingTransfer *> asked_transfer(CallId call) const;
    void follow_transfers(const Event &event);

    // phone_watches.cpp
    void stop_watches(const std::function<void()> &one_gone);

    // phone_presence.cpp
    void on_subscribe(const sip::Message &request, const sip::Flow &flow,
                      sip::ServerTransaction transaction) override;
    [[nodiscard]] bool may_watch(const sip::Message &request, const sip::Flow &flow) const;
    void publish(const Event &event);
    [[nodiscard]] std::string dialogs_of(const std::string &account, const std::string &entity,
                                         std::uint32_t number) const;

    // CallHost
    void tell(Event event) override;
    media::Device *borrow_device(CallId call) override;
    void return_device(CallId call) override;
    [[nodiscard]] const PhoneSettings &settings() const override { return settings_; }
    [[nodiscard]] const media::MediaLeg::Tap &rtp_tap() const override { return rtp_tap_; }
    Loop &loop() override { return loop_; }
    sip::UserAgent &user_agent() override { return ua_; }

    void tell_next();
    void hold_others(CallId but);
    [[nodiscard]] Call *find(CallId id) const override;
    Result<Call *> need(CallId id) const;
    Result<Account *> named(std::string_view account) const;
    Result<Account *> account_for(const sip::Uri &target, std::string_view wanted) const;
    [[nodiscard]] Account &first_account() const;
    [[nodiscard]] std::size_t live_calls() const;
    Result<Target> parse(std::string_view target, std::string_view account) const;
    void check_shut_down();

    static constexpr std::size_t most_calls = 128;

    Loop &loop_;
    PhoneSettings settings_;
    std::vector<AccountSettings> account_settings_;
    Observers<Event> events_;
    std::deque<Event> queue_;
    sip::UserAgent ua_;
    media::Device device_;
    std::optional<CallId> device_lent_;
    std::unique_ptr<Ringer> ringer_;
    std::optional<CallId> ringing_;
    media::MediaLeg::Tap rtp_tap_;
    sip::Transports::Tap sip_tap_;
    struct Raw { // the bytes under way, and who hears what comes of them
        std::string bytes;
        RawHandlers handlers;
        std::unique_ptr<sip::Resolver::Query> query;
        std::optional<sip::Flow> flow;
    };
    std::unique_ptr<Raw> raw_;
    std::vector<std::unique_ptr<sip::ClientRequest>> messages_; // MESSAGEs without a final answer yet
    std::vector<std::unique_ptr<Account>> accounts_;            // the last one is the peer-to-peer account
    struct Retired { // un-registers, and lives as long as a call of its
        std::unique_ptr<Account> account;
        std::function<void()> unregistered; // until told
        std::unique_ptr<Timer> patience;
    };
    std::vector<Retired> retired_;
    std::vector<std::unique_ptr<Call>> calls_;
    std::vector<std::unique_ptr<OutgoingTransfer>> outgoing_transfers_;
    std::vector<std::unique_ptr<IncomingTransfer>> incoming_transfers_;
    DialogPublisher publisher_;
    std::uint32_t last_call_ = 0;
    std::vector<std::unique_ptr<Watch>> watches_;
    std::uint32_t last_watch_ = 0;
    std::unique_ptr<LinkWatch> link_watch_;
    bool shutting_down_ = false;
    std::function<void()> shut_down_done_; // until told
    std::size_t unregistering_ = 0;
    Timer shut_down_timer_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

} // namespace offhook
