#include "media/ice_agent.hpp"

#include <algorithm>

#include "base/random.hpp"

namespace offhook::media {

namespace {

constexpr std::size_t most_pairs = 100; // RFC 8445 §6.1.2.5
constexpr std::size_t most_early = 16, most_validated = 64;
constexpr unsigned most_sends = 6; // 250, 500, 1000, 1600, 1600, 1600 ms: 6.5 s
constexpr Duration first_wait{250}, longest_wait{1600};

Duration wait_after(unsigned sent) {
    return std::min(first_wait * (1 << std::min(sent - 1, 4U)), longest_wait);
}

} // namespace

IceAgent::IceAgent(std::vector<IceBase> bases, IceCredentials local, bool controlling, Timing timing)
    : bases_(std::move(bases)), local_(std::move(local)), controlling_(controlling),
      tie_breaker_(random_u64()), timing_(timing) {}

std::uint32_t IceAgent::base_priority(const IceBase &base) noexcept {
    return ice_priority(base.relayed ? IceCandidateType::relayed : IceCandidateType::host, base.preference,
                        base.component);
}

std::uint64_t IceAgent::priority(const Pair &pair) const noexcept { // RFC 8445 §6.1.2.3
    const std::uint64_t ours = base_priority(bases_[pair.base]), theirs = pair.remote.priority;
    const std::uint64_t g = controlling_ ? ours : theirs, d = controlling_ ? theirs : ours;
    return (std::min(g, d) << 32) + 2 * std::max(g, d) + (g > d ? 1 : 0);
}

IceAgent::Pair *IceAgent::find_pair(std::size_t base, const Address &remote) noexcept {
    const auto found = std::ranges::find_if(
        pairs_, [&](const Pair &pair) { return pair.base == base && pair.remote.address == remote; });
    return found == pairs_.end() ? nullptr : &*found;
}

IceAgent::Pair *IceAgent::add_pair(std::size_t base, const Remote &remote) {
    if (Pair *known = find_pair(base, remote.address)) return known;
    if (pairs_.size() == most_pairs || bases_[base].component != remote.component ||
        bases_[base].address.family() != remote.address.family())
        return nullptr;
    return &pairs_.emplace_back(Pair{.base = base, .remote = remote});
}

// One stream has one check list: nothing is gained by freezing pairs of the same foundation (§6.1.2.6).
void IceAgent::pair_up(const Remote &remote) {
    if (remote.component > components_) return;
    for (std::size_t base = 0; base < bases_.size(); ++base)
        (void)add_pair(base, remote);
}

void IceAgent::restart(IceCredentials local) {
    local_before_ = std::exchange(local_, std::move(local));
    remote_.reset();
    checking_ = false;
    pairs_.clear();
    early_.clear();
}

IceAgent::Step IceAgent::set_remote(const IceDescription &remote, unsigned components, TimePoint now) {
    Step step;
    components_ = components;
    if (remote_ && *remote_ == remote.credentials) return step;
    remote_ = remote.credentials;
    if (remote.lite) controlling_ = true; // RFC 8445 §6.1.1
    pairs_.clear();
    first_valid_.reset();
    patience_over_ = false;
    for (const IceCandidate &candidate : remote.candidates)
        pair_up({candidate.address, candidate.component, candidate.priority});
    checking_ = true;
    failed_ = false;
    started_ = next_start_ = now;
    for (const Early &check : std::exchange(early_, {}))
        checked_by_peer(check, step, now);
    return step;
}

void IceAgent::add_remote(const IceCandidate &candidate) {
    if (remote_ && checking_) pair_up({candidate.address, candidate.component, candidate.priority});
}

IceAgent::Step IceAgent::received(std::size_t base, const Address &from, Bytes datagram, TimePoint now) {
    Step step;
    const auto message = StunMessage::parse(datagram);
    if (!message || message->method() != StunMethod::binding) return step;
    switch (message->message_class()) {
    case StunClass::request:
        answer_request(*message, base, from, step, now);
        break;
    case StunClass::success:
    case StunClass::error:
        take_response(*message, base, from, step, now);
        break;
    case StunClass::indication: // a keep-alive
        break;
    }
    return step;
}

void IceAgent::answer_request(const StunMessage &message, std::size_t base, const Address &from, Step &step,
                              TimePoint now) {
    auto check = judge_check(message, from, local_);
    const bool current = check.accepted;
    if (!check.accepted && local_before_) check = judge_check(message, from, *local_before_);
    if (check.accepted && current && !resolve_conflict(check)) {
        step.send.push_back(
            {base, from, StunWriter::error(message, 487, "Role Conflict").finish_signed(local_.password)});
        return;
    }
    if (!check.response.empty()) step.send.push_back({base, from, std::move(check.response)});
    if (!check.accepted) return;
    if (!validated(from) && validated_.size() < most_validated) validated_.push_back(from);
    if (!current) return; // consent of the session before the restart
    const Early early{base, from, check.priority, check.use_candidate};
    if (remote_)
        checked_by_peer(early, step, now);
    else if (early_.size() < most_early)
        early_.push_back(early);
}

bool IceAgent::resolve_conflict(const IceCheck &check) noexcept { // RFC 8445 §7.3.1.1
    if (!check.controlling || *check.controlling != controlling_) return true;
    const bool we_control = tie_breaker_ >= check.tie_breaker;
    if (we_control == controlling_) return false;
    controlling_ = we_control;
    return true;
}

// A triggered check (§7.3.1.4), to a peer-reflexive candidate if nobody named the address.
void IceAgent::checked_by_peer(const Early &check, Step &step, TimePoint now) {
    if (!checking_ || bases_[check.base].component > components_) return;
    Pair *pair = add_pair(check.base, {check.from, bases_[check.base].component, check.priority});
    if (pair == nullptr) return;
    if (check.use_candidate && !controlling_) pair->nominated = true;
    if (pair->state == State::succeeded) {
        if (pair->nominated) select(*pair, step, now);
        return;
    }
    if (pair->state == State::failed) pair->state = State::waiting;
    if (pair->state == State::waiting) pair->triggered = true;
    if (pair->state == State::in_progress) pair->resend = std::min(pair->resend, now);
}

void IceAgent::take_response(const StunMessage &message, std::size_t base, const Address &from, Step &step,
                             TimePoint now) {
    if (take_consent(message, from, now)) return;
    const auto found = std::ranges::find_if(pairs_, [&](const Pair &pair) {
        return pair.state == State::in_progress && pair.transaction == message.transaction() &&
               pair.base == base;
    });
    if (found == pairs_.end() || !remote_) return;
    if (message.error_code() == 487) { // our role was the wrong one
        controlling_ = !controlling_;
        found->state = State::waiting;
        found->triggered = true;
        found->nominate = false;
        return;
    }
    if (!message.authenticated(remote_->password)) return;
    if (message.message_class() == StunClass::error || !(found->remote.address == from)) {
        found->state = State::failed; // §7.2.5.2.1: an answer from elsewhere is none
        return;
    }
    succeed(*found, step, now);
}

void IceAgent::succeed(Pair &pair, Step &step, TimePoint now) {
    pair.state = State::succeeded;
    if (!validated(pair.remote.address) && validated_.size() < most_validated)
        validated_.push_back(pair.remote.address);
    if (!first_valid_) first_valid_ = now;
    if (pair.nominate || (pair.nominated && !controlling_)) return select(pair, step, now);
    nominate(now);
}

void IceAgent::select(Pair &pair, Step &step, TimePoint now) {
    Chosen &chosen = chosen_.at(bases_[pair.base].component - 1);
    const Selected wanted{pair.base, pair.remote.address};
    const bool renewed = !(chosen.remote == *remote_) || !(chosen.local == local_);
    if (chosen.pair && !renewed) {
        if (*chosen.pair == wanted) return;
        const Pair *before = find_pair(chosen.pair->base, chosen.pair->remote);
        // Old agents nominate every pair ("aggressive"): the best one counts.
        if (before != nullptr && priority(*before) >= priority(pair)) return;
    }
    chosen.pair = wanted;
    chosen.local = local_;
    chosen.remote = *remote_;
    chosen.heard = now;
    chosen.next = now + timing_.consent;
    step.selected = true;
    if (!complete()) return;
    checking_ = !controlling_; // the controlled end still answers with triggered checks
    local_before_.reset();
}

bool IceAgent::complete() const noexcept {
    for (unsigned component = 1; component <= components_; ++component) {
        const Chosen &chosen = chosen_.at(component - 1);
        if (!chosen.pair || !remote_ || !(chosen.remote == *remote_) || !(chosen.local == local_))
            return false;
    }
    return true;
}

bool IceAgent::validated(const Address &from) const noexcept {
    return std::ranges::find(validated_, from) != validated_.end();
}

IceAgent::Pair *IceAgent::best_valid(unsigned component) noexcept {
    Pair *best = nullptr;
    for (Pair &pair : pairs_)
        if (pair.remote.component == component &&
            (pair.state == State::succeeded || (pair.nominate && pair.state != State::failed)) &&
            (best == nullptr || priority(pair) > priority(*best)))
            best = &pair;
    return best;
}

bool IceAgent::better_pending(const Pair &than) const noexcept {
    return std::ranges::any_of(pairs_, [&](const Pair &pair) {
        return (pair.state == State::waiting || pair.state == State::in_progress) &&
               pair.remote.component == than.remote.component && priority(pair) > priority(than);
    });
}

// Regular nomination (§8.1.1): once every component works, with a moment's patience for better pairs.
void IceAgent::nominate(TimePoint now) {
    if (!controlling_ || !checking_) return;
    std::vector<Pair *> best;
    for (unsigned component = 1; component <= components_; ++component) {
        Pair *pair = best_valid(component);
        if (pair == nullptr) return;
        if (better_pending(*pair) && now - *first_valid_ < timing_.nominate) return;
        best.push_back(pair);
    }
    for (Pair *pair : best) {
        if (pair->nominate) continue;
        pair->nominate = true;
        pair->state = State::waiting;
        pair->triggered = true;
    }
}

std::vector<std::uint8_t> IceAgent::check_packet(const StunTransaction &transaction, const IceBase &base,
                                                 const IceCredentials &local, const IceCredentials &remote,
                                                 bool use_candidate) const {
    StunWriter writer(StunClass::request, StunMethod::binding, transaction);
    writer.add(StunAttribute::username, remote.ufrag + ":" + local.ufrag)
        .add_number(StunAttribute::priority,
                    ice_priority(IceCandidateType::peer_reflexive,
                                 base.relayed ? base.preference / 2U : base.preference, base.component))
        .add_long(controlling_ ? StunAttribute::ice_controlling : StunAttribute::ice_controlled,
                  tie_breaker_);
    if (use_candidate) writer.add_flag(StunAttribute::use_candidate);
    return writer.finish_signed(remote.password);
}

void IceAgent::send_check(Pair &pair, Step &step, TimePoint now) {
    ++pair.sent;
    pair.resend = now + wait_after(pair.sent);
    step.send.push_back(
        {pair.base, pair.remote.address,
         check_packet(pair.transaction, bases_[pair.base], local_, *remote_, pair.nominate && controlling_)});
}

void IceAgent::retransmit(Step &step, TimePoint now) {
    for (Pair &pair : pairs_) {
        if (pair.state != State::in_progress || pair.resend > now) continue;
        if (pair.sent == most_sends)
            pair.state = State::failed;
        else
            send_check(pair, step, now);
    }
}

void IceAgent::start_next(Step &step, TimePoint now) {
    if (next_start_ > now) return;
    Pair *next = nullptr;
    for (Pair &pair : pairs_) {
        if (pair.state != State::waiting) continue;
        const auto rank = [this](const Pair &p) { return std::pair(p.triggered, priority(p)); };
        if (next == nullptr || rank(pair) > rank(*next)) next = &pair;
    }
    if (next == nullptr) return;
    next->state = State::in_progress;
    next->triggered = false;
    next->transaction = random_transaction();
    next->sent = 0;
    next_start_ = now + timing_.pace;
    send_check(*next, step, now);
}

// RFC 7675 §5.1: without an answer for 30 s we must not send. Every request is a new transaction.
void IceAgent::ask_consent(Step &step, TimePoint now) {
    for (std::size_t i = 0; i < components_; ++i) {
        Chosen &chosen = chosen_.at(i);
        if (!chosen.pair) continue;
        if (now - chosen.heard >= timing_.consent_lasts)
            return fail_with(step, "ICE: the peer has not consented to our media for " +
                                       std::to_string(timing_.consent_lasts.count() / 1000) + " s");
        if (!chosen.faltering && now - chosen.heard >= timing_.consent_lasts / 3)
            step.faltering = chosen.faltering = true;
        if (chosen.next > now) continue;
        const auto spread = static_cast<unsigned>(timing_.consent.count() * 4 / 10);
        chosen.next = now + timing_.consent * 8 / 10 + Duration{random_below(std::max(spread, 1U))};
        auto &transaction = chosen.asking.at(chosen.asks++ % chosen.asking.size());
        transaction = random_transaction();
        step.send.push_back(
            {chosen.pair->base, chosen.pair->remote,
             check_packet(transaction, bases_[chosen.pair->base], chosen.local, chosen.remote, false)});
    }
}

bool IceAgent::take_consent(const StunMessage &message, const Address &from, TimePoint now) noexcept {
    for (Chosen &chosen : chosen_) {
        if (!chosen.pair || std::ranges::find(chosen.asking, message.transaction()) == chosen.asking.end())
            continue;
        if (message.message_class() == StunClass::success && chosen.pair->remote == from &&
            message.authenticated(chosen.remote.password))
            chosen.heard = now, chosen.faltering = false;
        return true;
    }
    return false;
}

void IceAgent::fail_with(Step &step, std::string why) {
    if (std::exchange(failed_, true)) return;
    checking_ = false;
    step.failed = Error{Errc::media, std::move(why), 0};
}

IceAgent::Step IceAgent::tick(TimePoint now) {
    Step step;
    if (failed_) return step;
    if (checking_) {
        retransmit(step, now);
        if (first_valid_) {
            patience_over_ = now - *first_valid_ >= timing_.nominate;
            nominate(now);
        }
        start_next(step, now);
        if (!complete() && now - started_ >= timing_.give_up)
            fail_with(step, "ICE: no way to the peer was found");
    }
    if (!failed_) ask_consent(step, now);
    return step;
}

std::optional<TimePoint> IceAgent::next_tick() const {
    if (failed_) return std::nullopt;
    std::optional<TimePoint> next;
    const auto at = [&next](TimePoint when) { next = next ? std::min(*next, when) : when; };
    if (checking_) {
        for (const Pair &pair : pairs_) {
            if (pair.state == State::waiting) at(next_start_);
            if (pair.state == State::in_progress) at(pair.resend);
        }
        if (first_valid_ && controlling_ && !patience_over_) at(*first_valid_ + timing_.nominate);
        if (!complete()) at(started_ + timing_.give_up);
    }
    for (std::size_t i = 0; i < components_; ++i)
        if (chosen_.at(i).pair) at(std::min(chosen_.at(i).next, chosen_.at(i).heard + timing_.consent_lasts));
    return next;
}

} // namespace offhook::media
