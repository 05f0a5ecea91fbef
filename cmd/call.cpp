#include "base/text.hpp"
#include "cmd/commands.hpp"
#include "cmd/nagios.hpp"
#include "cmd/talk.hpp"
#include "phone/event_json.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

// Targets in turn, each after the other failed; then all of them again, --retry times.
class Caller {
public:
    Caller(Session &session, const CallOptions &options, const TalkPlan &plan)
        : session_(session), options_(options), plan_(plan), pause_(session.loop()) {}

    // Errors: a target that cannot be understood. Nothing has been sent then.
    Result<> start();
    [[nodiscard]] const Talk::Outcome &outcome() const noexcept { return outcome_; }

private:
    void register_or_dial();
    void dial();
    void offer(CallId incoming);
    void ended(const Talk::Outcome &outcome);
    [[nodiscard]] DialOptions dial_options() const;

    Session &session_;
    const CallOptions &options_;
    const TalkPlan &plan_;
    Timer pause_;
    Observers<Event>::Handle watching_;
    std::unique_ptr<Talk> talk_;
    Talk::Outcome outcome_;
    std::size_t target_ = 0;
    int tries_ = 0;
};

Result<> Caller::start() {
    for (const auto &target : options_.targets) {
        const auto *account = account_for(session_.setup(), target);
        auto uri = session_.phone().resolve_target(target, account != nullptr ? account->name : "");
        if (!uri) return tl::unexpected(uri.error());
    }
    watching_ = session_.phone().events().add([this](const Event &event) {
        if (const auto *incoming = std::get_if<event::CallIncoming>(&event)) offer(incoming->call.id);
    });
    session_.loop().post([this] { register_or_dial(); });
    return {};
}

void Caller::register_or_dial() {
    if (session_.finishing()) return;
    const auto *account = account_for(session_.setup(), options_.targets[target_]);
    if (account == nullptr || !account->registers || account->name.empty() ||
        session_.phone().registered(account->name))
        return dial();
    session_.register_first(account->name, [this](const event::AccountFailed *failed) {
        if (failed == nullptr) return session_.loop().post([this] { dial(); });
        session_.finish(failed->exit, "cannot register " + failed->aor + ": " + failed->reason);
    });
}

DialOptions Caller::dial_options() const {
    const auto &talk = options_.talk;
    DialOptions dial;
    if (const auto *account = account_for(session_.setup(), options_.targets[target_]))
        dial.account = account->name;
    dial.headers = talk.headers;
    dial.subject = talk.subject;
    dial.ring_timeout = talk.ring_timeout.value_or(Duration{0});
    dial.follow = talk.follow;
    if (talk.early_media == "ignore") dial.early_media = EarlyMedia::ignore;
    dial.dtmf_mode = session_.setup().phone.dtmf_mode;
    return dial;
}

void Caller::dial() {
    if (session_.finishing()) return;
    auto call = session_.phone().dial(options_.targets[target_], dial_options());
    if (!call) {
        Talk::Outcome failed;
        failed.exit = sip::exit_code(call.error());
        failed.error = call.error().what;
        failed.ended.reason = failed.error;
        return ended(failed);
    }
    talk_ = std::make_unique<Talk>(session_, plan_, *call,
                                   [this](const Talk::Outcome &outcome) { ended(outcome); });
}

// Who calls while we do: a person at a terminal decides, else we are busy.
void Caller::offer(CallId incoming) {
    session_.loop().post([this, incoming] {
        if (talk_ && talk_->offer(incoming)) return;
        (void)session_.phone().reject(incoming, 486); // unless it has gone
    });
}

void Caller::ended(const Talk::Outcome &outcome) {
    outcome_ = outcome;
    talk_.reset();
    const bool again =
        outcome.exit >= 10 && outcome.exit != 40 && !outcome.ended.answered && !session_.finishing();
    if (again && ++target_ < options_.targets.size()) return register_or_dial();
    target_ = 0;
    if (again && tries_++ < options_.talk.retry) {
        session_.output().progress("next try in " + format_span(options_.talk.retry_wait));
        return pause_.start(options_.talk.retry_wait, [this] { register_or_dial(); });
    }
    session_.finish(outcome.exit, outcome.error);
}

std::string summary(const Talk::Outcome &outcome, const Session &session) {
    if (!session.error().empty()) return session.error();
    if (outcome.ended.answered) return "answered, " + outcome.ended.call.codec;
    return (outcome.ended.code != 0 ? std::to_string(outcome.ended.code) + " " : "") + outcome.ended.reason;
}

} // namespace

Result<int> run(const GlobalOptions &global, const CallOptions &options) {
    if (options.targets.empty())
        return fail(Errc::invalid_argument,
                    "call: no TARGET (expected whom to call, such as: offhook call sip:bob@example.com)");
    Output output(global);
    auto setup = prepare(global);
    if (!setup) return tl::unexpected(setup.error());
    auto plan = plan_talk(options.talk, setup->tts_command, global.json);
    if (!plan) return tl::unexpected(plan.error());
    auto refer = refer_policy(options.talk, setup->phone.refer, global.json);
    if (!refer) return tl::unexpected(refer.error());
    setup->phone.refer = *refer;
    if (!options.talk.stdin_format.empty()) setup->phone.pipe_format = options.talk.stdin_format;
    if (auto mode = parse_dtmf_mode(options.talk.dtmf_mode); mode) setup->phone.dtmf_mode = *mode;
    if (options.nagios) output.only_the_result();
    if (options.talk.record == "-" || setup->phone.audio == "pipe") output.stdout_taken();
    auto session = Session::open(global, std::move(*setup), output);
    if (!session) return tl::unexpected(session.error());
    Caller caller(**session, options, *plan);
    if (auto started = caller.start(); !started) return tl::unexpected(started.error());
    const int exit = (*session)->run();
    Json more = Json::object();
    if (const auto &last = (*session)->last_call()) add_ending(more, *last);
    if (!(*session)->error().empty()) more.add("error", (*session)->error());
    output.result(exit, more);
    if (!options.nagios) return exit;
    output.text(nagios_line(exit, summary(caller.outcome(), **session), (*session)->last_call()));
    return nagios_code(exit);
}

} // namespace offhook::cmd
