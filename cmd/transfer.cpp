// `offhook transfer FIRST SECOND`: calls FIRST, hands it on to SECOND, ends with the outcome.
#include "base/text.hpp"
#include "cmd/commands.hpp"
#include "cmd/talk.hpp"
#include "cmd/terminal.hpp"
#include "phone/event_json.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

constexpr Duration resume_patience{2'000};

class Transferrer {
public:
    Transferrer(Session &session, const TransferCommandOptions &options, const TalkPlan &plan)
        : session_(session), options_(options), plan_(plan), farewell_(session.loop()) {}

    // Errors: a party that cannot be understood. Nothing has been sent then.
    Result<> start();
    [[nodiscard]] Json report() const;

private:
    void register_or_dial();
    void dial();
    void on_event(const Event &event);
    void on_answered();
    void on_outcome(const event::CallTransfer &event);
    void on_ended(const Talk::Outcome &outcome);
    void end();
    [[nodiscard]] bool stays() const;

    Session &session_;
    const TransferCommandOptions &options_;
    const TalkPlan &plan_;
    Timer farewell_;
    Observers<Event>::Handle watching_;
    std::unique_ptr<Talk> talk_;
    std::optional<CallId> call_;
    bool started_ = false;
    std::optional<event::CallTransfer> outcome_;
    std::optional<Talk::Outcome> ended_;
};

Result<> Transferrer::start() {
    for (const auto &party : options_.parties) {
        const auto *account = account_for(session_.setup(), options_.parties[0]);
        auto uri = session_.phone().resolve_target(party, account != nullptr ? account->name : "");
        if (!uri) return tl::unexpected(uri.error());
    }
    watching_ = session_.phone().events().add([this](const Event &event) { on_event(event); });
    session_.loop().post([this] { register_or_dial(); });
    return {};
}

void Transferrer::register_or_dial() {
    const auto *account = account_for(session_.setup(), options_.parties[0]);
    if (account == nullptr || !account->registers || account->name.empty()) return dial();
    session_.register_first(account->name, [this](const event::AccountFailed *failed) {
        if (failed == nullptr) return session_.loop().post([this] { dial(); });
        session_.finish(failed->exit, "cannot register " + failed->aor + ": " + failed->reason);
    });
}

void Transferrer::dial() {
    if (session_.finishing()) return;
    DialOptions dial;
    if (const auto *account = account_for(session_.setup(), options_.parties[0]))
        dial.account = account->name;
    dial.ring_timeout = options_.ring_timeout.value_or(Duration{0});
    auto call = session_.phone().dial(options_.parties[0], dial);
    if (!call) return session_.finish(call.error(), sip::Purpose::call);
    call_ = *call;
    talk_ = std::make_unique<Talk>(session_, plan_, *call,
                                   [this](const Talk::Outcome &outcome) { on_ended(outcome); });
}

void Transferrer::on_event(const Event &event) {
    const auto *view = call_of(event);
    if (view == nullptr || view->id != call_) return;
    if (std::holds_alternative<event::CallAnswered>(event)) session_.loop().post([this] { on_answered(); });
    if (std::holds_alternative<event::CallResumed>(event) && outcome_ && !stays()) end();
    const auto *told = std::get_if<event::CallTransfer>(&event);
    if (told != nullptr && told->role == TransferRole::transferor && told->done) on_outcome(*told);
}

void Transferrer::on_answered() {
    if (std::exchange(started_, true) || session_.finishing()) return;
    TransferOptions transfer;
    transfer.attended = options_.attended;
    transfer.wait = !options_.no_wait;
    transfer.patience = options_.ring_timeout.value_or(Duration{0});
    if (auto begun = session_.phone().transfer(*call_, options_.parties[1], transfer); !begun)
        session_.finish(begun.error(), sip::Purpose::call);
}

// After a failure the call is resumed first: whoever stays in it finds it as it was.
void Transferrer::on_outcome(const event::CallTransfer &event) {
    if (outcome_) return; // a later one, of the x key
    outcome_ = event;
    if (ended_) return end();
    if (event.exit == 0)
        farewell_.start(resume_patience, [this] { end(); });
    else if (!stays())
        farewell_.start(event.call.held_locally ? resume_patience : Duration{0}, [this] { end(); });
}

bool Transferrer::stays() const {
    return options_.then == "wait" ||
           (options_.then.empty() && Terminal::is_interactive() && !session_.output().json());
}

void Transferrer::on_ended(const Talk::Outcome &outcome) {
    ended_ = outcome;
    talk_.reset();
    if (!started_ || outcome_ || session_.finishing()) end(); // else the outcome is still to come
}

void Transferrer::end() {
    farewell_.cancel();
    if (!outcome_) return session_.finish(ended_->exit, ended_->error);
    if (outcome_->exit == 0) return session_.finish(0);
    std::string error = "not transferred to " + outcome_->target + ": ";
    if (outcome_->code != 0) error += std::to_string(outcome_->code) + " ";
    session_.finish(outcome_->exit, error + outcome_->reason);
}

Json Transferrer::report() const {
    Json more = Json::object();
    if (ended_)
        add_ending(more, ended_->ended);
    else if (const auto &last = session_.last_call())
        add_ending(more, *last);
    Json transfer = Json::object();
    if (outcome_) {
        transfer.add("target", outcome_->target).add("kind", outcome_->attended ? "attended" : "blind");
        transfer.add("code", outcome_->code).add("reason", outcome_->reason);
    }
    more.add("transfer", outcome_ ? std::move(transfer) : Json{});
    if (!session_.error().empty()) more.add("error", session_.error());
    return more;
}

} // namespace

Result<int> run(const GlobalOptions &global, const TransferCommandOptions &options) {
    if (options.attended && options.no_wait)
        return fail(Errc::invalid_argument, "--attended and --no-wait: give one of them");
    if (!options.call.empty()) return transfer_of_running_phone(global, options);
    if (options.parties.size() != 2)
        return fail(Errc::invalid_argument,
                    "transfer: expected two parties, such as: offhook transfer sip:alice@example.com "
                    "sip:bob@example.com");
    Output output(global);
    auto setup = prepare(global);
    if (!setup) return tl::unexpected(setup.error());
    setup->phone.refer = ReferPolicy::deny; // whom we hand on does not hand us on
    auto plan = plan_talk({}, setup->tts_command, global.json);
    if (!plan) return tl::unexpected(plan.error());
    auto session = Session::open(global, std::move(*setup), output);
    if (!session) return tl::unexpected(session.error());
    Transferrer transferrer(**session, options, *plan);
    if (auto started = transferrer.start(); !started) return tl::unexpected(started.error());
    const int exit = (*session)->run();
    output.result(exit, transferrer.report());
    return exit;
}

} // namespace offhook::cmd
