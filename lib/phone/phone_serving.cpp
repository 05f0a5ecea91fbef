#include <algorithm>

#include "base/text.hpp"
#include "media/device_watch.hpp"
#include "phone/phone_self.hpp"
#include "sip/grammar.hpp"

namespace offhook {

namespace {
using Kind = sip::TransportKind;

constexpr std::string_view busy_retry_after = "10"; // seconds; RFC 3261 §20.33
} // namespace

Result<> Phone::Self::open_accounts() {
    account_settings_ = settings_.accounts;
    std::erase_if(account_settings_,
                  [](const AccountSettings &a) { return a.name.empty() && a.aor.empty(); });
    const bool none = account_settings_.empty();
    for (const auto &settings : account_settings_) {
        auto account = Account::open(*this, settings);
        if (!account) return fail(account.error());
        accounts_.push_back(std::move(*account));
    }
    AccountSettings peer_to_peer;
    peer_to_peer.registers = false;
    // Without an account its options (--public-address, --transport) are those of the nameless one.
    for (const auto &settings : settings_.accounts)
        if (none && settings.name.empty()) peer_to_peer = settings;
    auto account = Account::open(*this, std::move(peer_to_peer));
    if (!account) return fail(account.error());
    accounts_.push_back(std::move(*account));
    return {};
}

// The same port for UDP and TCP makes one address to tell a peer; any other will do when it is taken.
Result<> Phone::Self::listen_where_free(Kind kind, int family, std::uint16_t &port) {
    auto address = ua_.transports().listen(kind, Address::any(family, port));
    if (!address && port != 0) address = ua_.transports().listen(kind, Address::any(family, 0));
    if (!address) return fail(address.error());
    if (port == 0) port = address->port();
    return {};
}

Result<> Phone::Self::open_sockets() {
    ua_.transports().set_tls(settings_.tls);
    ua_.transports().set_sctp(settings_.sctp);
    auto watch = LinkWatch::open(loop_, [this] {
        for (const auto &account : accounts_)
            account->link_changed();
    });
    if (watch) link_watch_ = std::move(*watch); // without netlink the refreshes still come
    if (settings_.listen.empty()) {
        std::uint16_t port = 0;
        if (auto udp = listen_where_free(Kind::udp, AF_INET, port); !udp) return udp;
        (void)listen_where_free(Kind::tcp, AF_INET, port);
        (void)listen_where_free(Kind::udp, AF_INET6, port); // there may be no IPv6
        (void)listen_where_free(Kind::tcp, AF_INET6, port);
        return {};
    }
    for (const auto &wanted : settings_.listen) {
        const auto kinds = wanted.kind ? std::vector{*wanted.kind} : std::vector{Kind::udp, Kind::tcp};
        auto address = wanted.address;
        for (const auto kind : kinds) {
            const auto bound = ua_.transports().listen(kind, address);
            if (!bound) return fail(bound.error());
            address = address.with_port(bound->port());
        }
    }
    return {};
}

Result<> Phone::Self::open_audio() {
    std::string warning;
    auto device = media::open_device(settings_.audio, settings_.pipe_format, warning);
    if (!device) return fail(device.error());
    // Only what was asked for by name can fail; `auto` waits for a call on a card, as the canceller is a
    // library to load.
    if (const auto voice = media::make_voice_processor(settings_.voice, false); !voice)
        return fail(Errc::config, "echo_cancellation: " + voice.error().what);
    device_ = std::move(*device);
    if (device_.watch)
        device_.watch->changed = [this](const std::string &why) {
            if (why.empty())
                tell(event::AudioRestored{device_.name});
            else
                tell(event::AudioLost{device_.name, why});
        };
    if (!warning.empty()) tell(event::Log{"warning", warning});
    return {};
}

// Who may call: everybody, or with accounts that register only their servers and this host.
bool Phone::Self::may_call_us(const sip::Flow &flow) const {
    const bool registers = std::ranges::any_of(accounts_, [](const auto &a) { return a->registers(); });
    return settings_.allow_direct.value_or(!registers || !settings_.listen.empty()) || trusts(flow);
}

bool Phone::Self::trusts(const sip::Flow &flow) const {
    return flow.remote.is_loopback() ||
           std::ranges::any_of(accounts_, [&](const auto &a) { return a->is_server(flow.remote); });
}

bool Phone::Self::is_our_host(const sip::Uri &uri, const sip::Flow &flow) const {
    const auto ip = Address::parse(uri.host);
    if (!ip) return true; // a name led here
    if (ip->same_ip(flow.local) || ip->is_loopback()) return true;
    const auto public_ip = [&](const auto &a) {
        return sip::iequals(a->settings().public_address, uri.host);
    };
    return std::ranges::any_of(accounts_, public_ip) ||
           local_address_towards(flow.remote)
               .map([&](const Address &local) { return ip->same_ip(local); })
               .value_or(false);
}

Account *Phone::Self::account_of(const sip::Uri &request_uri) const {
    for (const auto &account : accounts_)
        if (account->has_user(request_uri)) return account.get();
    return nullptr;
}

bool Phone::Self::serves(const sip::Uri &request_uri, const sip::Message &, const sip::Flow &flow) {
    if (!may_call_us(flow)) return false;
    if (account_of(request_uri) != nullptr) return true;
    const bool registers = std::ranges::any_of(accounts_, [](const auto &a) { return a->registers(); });
    return !registers && is_our_host(request_uri, flow);
}

void Phone::Self::on_invite(const sip::Message &invite, const sip::Flow &flow,
                            sip::ServerTransaction transaction) {
    if (live_calls() >= most_calls || shutting_down_) {
        const unsigned status = shutting_down_ ? 480 : 486;
        auto response = sip::Draft::response(invite, status, {}, sip::random_token(8));
        if (status == 486) response.add("Retry-After", busy_retry_after);
        transaction.respond(response);
        return;
    }
    const auto uri = invite.uri();
    auto *account = uri ? account_of(*uri) : nullptr;
    if (account == nullptr) account = accounts_.back().get();
    const auto replaced = replaced_by(invite, *account);
    if (!replaced) {
        const auto from = invite.from();
        tell(event::Log{"warning", "refused a call" +
                                       (from ? " from " + plain_uri(from->uri) : std::string{}) + ": " +
                                       sanitise(replaced.error().what)});
        auto response = sip::Draft::response(invite, replaced.error().sip, {}, sip::random_token(8));
        response.add("Warning", "399 offhook " + sip::grammar::quote(replaced.error().what));
        return transaction.respond(response);
    }
    const CallId id{last_call_ + 1};
    auto call = *replaced != nullptr ? Call::replacing(*this, id, **replaced, invite, flow, transaction)
                                     : Call::incoming(*this, id, *account, invite, flow, transaction);
    if (!call) return;
    last_call_ = static_cast<std::uint32_t>(id);
    calls_.push_back(std::move(call));
}

// RFC 3891 §3; Join (RFC 3911 §4) is read as far as it takes to refuse it: nobody is let into a call unasked.
Result<Call *> Phone::Self::replaced_by(const sip::Message &invite, const Account &account) const {
    const auto *join = invite.find("Join");
    const auto *replaces = invite.find(sip::HeaderId::replaces);
    if (join == nullptr && replaces == nullptr) return nullptr;
    if (join != nullptr && replaces != nullptr)
        return fail(Errc::parse, "Join and Replaces exclude each other", 400);
    const auto named = sip::Replaces::parse((join != nullptr ? join : replaces)->value);
    if (!named) return fail(Errc::parse, named.error().what, 400);
    std::vector<sip::ReplaceableDialog> dialogs;
    std::vector<Call *> owners;
    for (const auto &call : calls_)
        for (auto &dialog : call->dialogs()) {
            dialogs.push_back(std::move(dialog));
            owners.push_back(call.get());
        }
    const auto found = sip::match(*named, account.settings().name, dialogs);
    if (found.status != 200) return fail(Errc::rejected, "there is no such call to replace", found.status);
    if (join != nullptr) return fail(Errc::rejected, "calls are not joined from outside", 488);
    return owners[found.index];
}

void Phone::Self::on_flow_failed(const sip::Flow &flow, const Error &error) {
    if (raw_ && raw_->flow && raw_->flow->connection == flow.connection &&
        raw_->flow->remote == flow.remote && raw_->handlers.failed)
        raw_->handlers.failed(error);
    for (const auto &account : accounts_)
        account->flow_failed(flow);
}

} // namespace offhook
