#include "phone/phone.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "base/version.hpp"
#include "phone/phone_self.hpp"

namespace offhook {

namespace {
constexpr Duration shut_down_patience{2'000};
} // namespace

Phone::Self::Self(Loop &loop, PhoneSettings settings)
    : loop_(loop), settings_(std::move(settings)),
      ua_(loop, {.product = std::string("offhook/") + version, .timers = {}}, *this),
      publisher_(*this, [this](const std::string &account, const std::string &entity,
                               std::uint32_t number) { return dialogs_of(account, entity, number); }),
      shut_down_timer_(loop) {}

// Events -------------------------------------------------------------------------------------------------

void Phone::Self::tell(Event event) {
    queue_.push_back(std::move(event));
    loop_.post([this, still = std::weak_ptr<char>(alive_)] {
        if (!still.expired()) tell_next();
    });
}

void Phone::Self::tell_next() {
    if (queue_.empty()) return;
    const auto event = std::move(queue_.front());
    queue_.pop_front();
    const std::weak_ptr<char> still = alive_;
    events_.tell(event);
    if (still.expired()) return; // an observer destroyed the phone
    follow_transfers(event);
    publish(event);
    const auto *ended = std::get_if<event::CallEnded>(&event);
    if (ended == nullptr) return;
    if (ringing_ == ended->call.id) {
        ringer_.reset();
        ringing_.reset();
    }
    std::erase_if(calls_, [&](const auto &call) { return call->id() == ended->call.id; });
    drop_retired();
    check_shut_down();
}

// Look-ups -----------------------------------------------------------------------------------------------

Call *Phone::Self::find(CallId id) const {
    const auto found = std::ranges::find_if(calls_, [&](const auto &call) { return call->id() == id; });
    return found == calls_.end() ? nullptr : found->get();
}

Result<Call *> Phone::Self::need(CallId id) const {
    if (auto *call = find(id)) return call;
    return fail(Errc::not_found, "there is no call " + to_string(id));
}

Result<Account *> Phone::Self::named(std::string_view account) const {
    const auto found =
        std::ranges::find_if(accounts_, [&](const auto &a) { return a->settings().name == account; });
    if (found != accounts_.end()) return found->get();
    std::vector<std::string> names;
    for (const auto &a : accounts_)
        names.push_back(a->settings().name);
    return fail(Errc::config,
                "there is no account \"" + std::string(account) + "\"" + suggestion(account, names));
}

Account &Phone::Self::first_account() const {
    return *accounts_.front();
}

Result<Account *> Phone::Self::account_for(const sip::Uri &target, std::string_view wanted) const {
    if (!wanted.empty()) return named(wanted);
    for (const auto &account : accounts_)
        if (account->in_domain(target)) return account.get();
    return &first_account(); // the peer-to-peer account when there is no other
}

Result<Target> Phone::Self::parse(std::string_view target, std::string_view account) const {
    auto by_name = account.empty() ? Result<Account *>(&first_account()) : named(account);
    if (!by_name) return fail(by_name.error());
    return parse_target(target, settings_.contacts, (*by_name)->domain());
}

std::size_t Phone::Self::live_calls() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(calls_, [](const auto &call) { return !call->over(); }));
}

// The sound device ---------------------------------------------------------------------------------------

media::Device *Phone::Self::borrow_device(CallId call) {
    if (device_lent_ && *device_lent_ != call) return nullptr;
    ringer_.reset(); // the caller's voice takes its place
    ringing_.reset();
    device_lent_ = call;
    return &device_;
}

void Phone::Self::return_device(CallId call) {
    if (device_lent_ == call) device_lent_.reset();
}

// Whoever takes up another call lets the others wait; where there is no device nobody has to.
void Phone::Self::hold_others(CallId but) {
    if (!settings_.hold_for_next || (!device_.source && !device_.sink)) return;
    const auto *taken_up = find(but);
    const auto room =
        taken_up != nullptr && taken_up->media() != nullptr ? taken_up->media()->conference() : nullptr;
    for (const auto &call : calls_) {
        const bool together = room && call->media() != nullptr && call->media()->conference() == room;
        if (call->id() != but && !together && call->talking()) (void)call->hold(true);
    }
}

// Phone --------------------------------------------------------------------------------------------------

Phone::Phone(std::unique_ptr<Self> self) : self_(std::move(self)) {}
Phone::~Phone() = default;

Result<std::unique_ptr<Phone>> Phone::open(Loop &loop, PhoneSettings settings) {
    auto self = std::make_unique<Self>(loop, std::move(settings));
    if (auto opened = self->open_accounts(); !opened) return fail(opened.error());
    if (auto opened = self->open_sockets(); !opened) return fail(opened.error());
    if (auto opened = self->open_audio(); !opened) return fail(opened.error());
    return std::unique_ptr<Phone>(new Phone(std::move(self)));
}

Observers<Event> &Phone::events() {
    return self_->events_;
}

void Phone::report_step(CallId call, std::string_view step, bool ok, std::string_view error) {
    const auto *found = self_->find(call);
    CallView view;
    view.id = call;
    if (found != nullptr) view = found->view();
    self_->tell(event::CallStep{std::move(view), sanitise(step), ok, sanitise(error)});
}

Result<std::string> Phone::resolve_target(std::string_view target, std::string_view account) const {
    const auto parsed = self_->parse(target, account);
    if (!parsed) return fail(parsed.error());
    return parsed->uri.encode();
}

Result<CallId> Phone::dial(std::string_view target, DialOptions options) {
    const auto parsed = self_->parse(target, options.account);
    if (!parsed) return fail(parsed.error());
    const auto account =
        self_->account_for(parsed->uri, options.account.empty() ? parsed->account : options.account);
    if (!account) return fail(account.error());
    if (self_->shutting_down_) return fail(Errc::invalid_argument, "the phone is shutting down");
    if (self_->live_calls() >= Self::most_calls)
        return fail(Errc::invalid_argument,
                    "there are " + std::to_string(Self::most_calls) + " calls already");
    const CallId id{++self_->last_call_};
    self_->hold_others(id);
    self_->calls_.push_back(
        Call::outgoing(*self_, id, **account, parsed->uri, std::string(target), std::move(options)));
    return id;
}

Result<> Phone::answer(CallId call) {
    return self_->need(call).and_then([this](Call *c) {
        if (c->waits_for_us()) self_->hold_others(c->id());
        return c->answer();
    });
}

Result<> Phone::reject(CallId call, unsigned status, std::string_view reason) {
    return self_->need(call).and_then([&](Call *c) { return c->reject(status, reason); });
}

Result<> Phone::hang_up(CallId call) {
    return self_->need(call).and_then([](Call *c) { return c->hang_up(); });
}

Result<> Phone::hold(CallId call, bool on) {
    return self_->need(call).and_then([&](Call *c) {
        if (!on && !c->over()) self_->hold_others(c->id());
        return c->hold(on);
    });
}

Result<> Phone::conference(CallId one, CallId other) {
    if (one == other) return fail(Errc::invalid_argument, "a conference takes two calls");
    const auto first = self_->need(one);
    const auto second = self_->need(other);
    if (!first || !second) return fail(first ? second.error() : first.error());
    std::shared_ptr<media::Conference> room;
    for (const auto *call : {*first, *second})
        if (!room && call->media() != nullptr) room = call->media()->conference();
    if (!room) room = std::make_shared<media::Conference>();
    for (auto *call : {*first, *second})
        if (auto joined = call->join(room); !joined) return joined;
    return {};
}

Result<> Phone::leave_conference(CallId call) {
    return self_->need(call).and_then([](Call *c) -> Result<> {
        if (c->media() == nullptr || !c->media()->conference())
            return fail(Errc::invalid_argument, "the call is in no conference");
        c->leave_conference();
        return {};
    });
}

Result<> Phone::mute(CallId call, bool on) {
    return self_->need(call).and_then([&](Call *c) { return c->mute(on); });
}

Result<> Phone::send_dtmf(CallId call, std::string_view digits, std::optional<DtmfMode> mode) {
    return self_->need(call).and_then([&](Call *c) { return c->send_dtmf(digits, mode); });
}

bool Phone::dtmf_busy(CallId call) const {
    const auto *found = self_->find(call);
    return found != nullptr && found->dtmf_busy();
}

Result<> Phone::play(CallId call, const std::string &path, bool again) {
    return self_->need(call).and_then([&](Call *c) { return c->play(path, again); });
}

Result<> Phone::record(CallId call, const std::string &path) {
    return self_->need(call).and_then([&](Call *c) { return c->record(path); });
}

Result<> Phone::stop_record(CallId call) {
    return self_->need(call).and_then([](Call *c) { return c->stop_record(); });
}

Result<> Phone::echo(CallId call, bool on) {
    return self_->need(call).and_then([&](Call *c) { return c->echo(on); });
}

Result<> Phone::watch_tone(CallId call, std::vector<double> hz, std::function<void()> heard) {
    return self_->need(call).and_then(
        [&](Call *c) { return c->watch_tone(std::move(hz), std::move(heard)); });
}

void Phone::set_ringing_tone(CallId call, bool on) {
    auto &self = *self_;
    const auto *found = self.find(call);
    if (on && found != nullptr && found->waits_for_us() && !self.device_lent_ && self.device_.sink) {
        self.ringer_ = std::make_unique<Ringer>(self.loop_, *self.device_.sink);
        self.ringing_ = call;
    } else if (!on && self.ringing_ == call) {
        self.ringer_.reset();
        self.ringing_.reset();
    }
}

Result<> Phone::register_account(std::string_view account, bool on) {
    const auto found = self_->named(account);
    if (!found) return fail(found.error());
    if ((*found)->peer_to_peer())
        return fail(Errc::config, "a peer-to-peer account has no registrar: give an account or --aor");
    if (on)
        (*found)->register_now();
    else
        (*found)->remove_bindings();
    return {};
}

bool Phone::registered(std::string_view account) const {
    const auto found = self_->named(account);
    return found && (*found)->registered();
}

Result<> Phone::query_bindings(std::string_view account,
                               std::function<void(Result<std::vector<std::string>>)> done) {
    const auto found = self_->named(account);
    if (!found) return fail(found.error());
    if ((*found)->peer_to_peer())
        return fail(Errc::config, "a peer-to-peer account has no registrar: give an account or --aor");
    (*found)->query(std::move(done));
    return {};
}

const std::vector<AccountSettings> &Phone::accounts() const {
    return self_->account_settings_;
}

std::vector<CallView> Phone::calls() const {
    std::vector<CallView> views;
    for (const auto &call : self_->calls_)
        if (!call->over()) views.push_back(call->view());
    return views;
}

std::optional<CallView> Phone::call(CallId id) const {
    const auto *found = self_->find(id);
    return found != nullptr ? std::optional(found->view()) : std::nullopt;
}

std::optional<media::LegStats> Phone::stats(CallId id) const {
    const auto *found = self_->find(id);
    return found != nullptr ? std::optional(found->stats()) : std::nullopt;
}

const media::CallAudio *Phone::audio(CallId id) const {
    const auto *found = self_->find(id);
    return found != nullptr && found->media() != nullptr ? found->media()->audio() : nullptr;
}

std::string Phone::audio_name() const {
    return self_->device_.name;
}

std::vector<std::string> Phone::listening() const {
    using Kind = sip::TransportKind;
    std::vector<std::string> sockets;
    for (const auto kind : {Kind::udp, Kind::tcp, Kind::tls, Kind::ws, Kind::wss, Kind::dtls, Kind::sctp})
        for (const auto &address : self_->ua_.transports().local_addresses(kind))
            sockets.push_back(std::string(sip::uri_token(kind)) + ":" + address.to_string());
    for (const auto &address : self_->ua_.transports().sctp_udp_addresses())
        sockets.push_back("sctp-udp:" + address.to_string());
    return sockets;
}

void Phone::shut_down(std::function<void()> done, EndedBy by) {
    auto &self = *self_;
    self.shutting_down_ = true;
    self.shut_down_done_ = done ? std::move(done) : [] {};
    self.publisher_.stop();
    for (const auto &call : self.calls_)
        if (!call->over()) (void)call->hang_up(by == EndedBy::timeout);
    const auto one_gone = [&self, still = std::weak_ptr<char>(self.alive_)] {
        if (still.expired()) return;
        --self.unregistering_;
        self.check_shut_down();
    };
    self.unregistering_ = self.accounts_.size() + self.watches_.size();
    self.stop_watches(one_gone);
    for (const auto &account : self.accounts_)
        account->unregister([&self, one_gone] { self.loop_.post(one_gone); });
    self.shut_down_timer_.start(shut_down_patience, [&self] {
        if (auto tell = std::exchange(self.shut_down_done_, {})) tell(); // may destroy us
    });
}

void Phone::Self::check_shut_down() {
    if (!shut_down_done_ || unregistering_ > 0 || !calls_.empty()) return;
    shut_down_timer_.start(Duration{0}, [this] {
        if (auto tell_done = std::exchange(shut_down_done_, {})) tell_done();
    });
}

void Phone::set_taps(sip::Transports::Tap sip, media::MediaLeg::Tap rtp) {
    self_->sip_tap_ = std::move(sip);
    self_->set_tap();
    self_->rtp_tap_ = std::move(rtp);
    for (const auto &call : self_->calls_)
        call->set_rtp_tap(self_->rtp_tap_);
}

} // namespace offhook
