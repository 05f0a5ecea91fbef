// The configuration read again while the phone runs: what differs takes effect, what goes on goes on.
#include <algorithm>

#include "media/voice.hpp"
#include "phone/phone_self.hpp"

namespace offhook {

namespace {

// A changed account registers no later than so, even when its old registrar does not answer.
constexpr Duration unregister_patience{2'000};

std::vector<std::string> kept_as_they_are(const PhoneSettings &now, const PhoneSettings &wanted) {
    std::vector<std::string> later;
    if (now.listen != wanted.listen) later.emplace_back("listen");
    if (now.audio != wanted.audio || now.pipe_format != wanted.pipe_format) later.emplace_back("audio");
    if (now.sctp.udp_port != wanted.sctp.udp_port || now.sctp.peer_udp_port != wanted.sctp.peer_udp_port)
        later.emplace_back("sctp_udp_port");
    return later;
}

void keep_what_is_open(PhoneSettings &wanted, const PhoneSettings &now) {
    wanted.listen = now.listen;
    wanted.audio = now.audio;
    wanted.pipe_format = now.pipe_format;
    wanted.sctp = now.sctp;
    wanted.hold_for_next = now.hold_for_next;
}

bool same(const sip::TlsOptions &a, const sip::TlsOptions &b) {
    return a.ca_file == b.ca_file && a.certificate == b.certificate && a.key == b.key &&
           a.insecure == b.insecure;
}

} // namespace

Account *Phone::Self::account_by_name(std::string_view name) const {
    const auto found =
        std::ranges::find_if(accounts_, [&](const auto &a) { return a->settings().name == name; });
    return found == accounts_.end() ? nullptr : found->get();
}

Result<Reloaded> Phone::reload(PhoneSettings settings,
                               const std::function<bool(const AccountSettings &)> &registers) {
    auto &self = *self_;
    if (self.shutting_down_) return fail(Errc::invalid_argument, "the phone is shutting down");
    auto wanted = settings.accounts;
    std::erase_if(wanted, [](const AccountSettings &a) { return a.name.empty(); });
    Reloaded done;
    std::vector<std::unique_ptr<Account>> opened; // null: the one that is there stays
    for (const auto &account : wanted) {
        const auto *old = self.account_by_name(account.name);
        opened.emplace_back();
        if (old != nullptr && old->settings() == account) continue;
        auto fresh = Account::open(self, account);
        if (!fresh) return fail(fresh.error());
        opened.back() = std::move(*fresh);
        (old != nullptr ? done.changed : done.added).push_back(account.name);
    }
    if (const auto voice = media::make_voice_processor(settings.voice, false); !voice)
        return fail(Errc::config, "echo_cancellation: " + voice.error().what);
    // The same names may stand for other files by now.
    if (!settings.tls.certificate.empty() || !same(settings.tls, self.settings_.tls))
        if (auto tls = self.ua_.transports().replace_tls(settings.tls); !tls) return fail(tls.error());

    done.later = kept_as_they_are(self.settings_, settings); // nothing fails from here on
    keep_what_is_open(settings, self.settings_);
    self.settings_ = std::move(settings);
    self.replace_accounts(wanted, std::move(opened), registers, done.removed);
    self.account_settings_ = std::move(wanted);
    return done;
}

void Phone::Self::replace_accounts(const std::vector<AccountSettings> &wanted,
                                   std::vector<std::unique_ptr<Account>> opened,
                                   const std::function<bool(const AccountSettings &)> &registers,
                                   std::vector<std::string> &removed) {
    auto old = std::exchange(accounts_, {});
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto was = std::ranges::find_if(
            old, [&](const auto &a) { return a && a->settings().name == wanted[i].name; });
        if (!opened[i]) {
            accounts_.push_back(std::move(*was));
            continue;
        }
        accounts_.push_back(std::move(opened[i]));
        const auto begin = [this, account = accounts_.back().get(), will = registers(wanted[i])] {
            const auto there =
                std::ranges::any_of(accounts_, [&](const auto &a) { return a.get() == account; });
            if (will && there && !shutting_down_) account->register_now();
        };
        if (was != old.end())
            retire(std::move(*was), begin);
        else
            begin();
    }
    accounts_.push_back(std::move(old.back())); // the peer-to-peer account
    old.pop_back();
    for (auto &gone : old) {
        if (!gone) continue;
        removed.push_back(gone->settings().name);
        retire(std::move(gone), {});
    }
}

void Phone::Self::retire(std::unique_ptr<Account> account, std::function<void()> unregistered) {
    Account *raw = account.get();
    auto patience = std::make_unique<Timer>(loop_);
    const auto over = [this, raw, still = std::weak_ptr<char>(alive_)] {
        if (still.expired()) return;
        for (auto &retired : retired_)
            if (retired.account.get() == raw)
                if (const auto tell = std::exchange(retired.unregistered, {})) tell();
        drop_retired();
    };
    patience->start(unregister_patience, over);
    retired_.push_back(
        {std::move(account), unregistered ? std::move(unregistered) : [] {}, std::move(patience)});
    raw->unregister([this, over] { loop_.post(over); });
}

void Phone::Self::drop_retired() {
    std::erase_if(retired_, [&](const Retired &retired) {
        const auto uses = [&](const auto &call) { return &call->account() == retired.account.get(); };
        return !retired.unregistered && !retired.patience->running() && std::ranges::none_of(calls_, uses);
    });
}

} // namespace offhook
