#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "cmd/commands.hpp"
#include "cmd/talk.hpp"
#include "phone/event_json.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

// Takes calls, as many at the same time as --at-once says; others are told 486 meanwhile.
class Answerer {
public:
    Answerer(Session &session, const AnswerOptions &options, const TalkPlan &plan)
        : session_(session), options_(options), plan_(plan) {}
    void start();

private:
    struct Taken {
        Taken(Loop &loop, CallId call) : id(call), delay(loop), patience(loop) {}
        CallId id;
        Timer delay, patience;
        std::unique_ptr<Talk> talk;
    };

    void on_event(const Event &event);
    void incoming(const event::CallIncoming &event);
    void taken_up(CallId call);
    void refused_by_phone(const event::CallEnded &event);
    [[nodiscard]] bool welcome(const CallView &call) const;
    [[nodiscard]] bool room() const;
    [[nodiscard]] Taken *find(CallId call) const;
    void take(Taken &taken);
    void answer(CallId call);
    void refuse(CallId call, unsigned code);
    void ended(CallId call, const Talk::Outcome &outcome);

    Session &session_;
    const AnswerOptions &options_;
    const TalkPlan &plan_;
    Observers<Event>::Handle watching_;
    std::vector<std::unique_ptr<Taken>> taken_;
    std::vector<CallId> announced_; // told of, not looked at yet
    int done_ = 0;
};

void Answerer::start() {
    watching_ = session_.phone().events().add([this](const Event &event) { on_event(event); });
    session_.output().listening(session_.phone().listening());
    for (const auto &account : session_.setup().phone.accounts) {
        const bool ours = session_.setup().account.empty() || account.name == session_.setup().account;
        if (!ours || !account.registers || account.name.empty()) continue;
        if (auto begun = session_.phone().register_account(account.name, true); !begun)
            return session_.finish(begun.error(), sip::Purpose::register_);
    }
}

void Answerer::on_event(const Event &event) {
    if (const auto *call = std::get_if<event::CallIncoming>(&event)) {
        announced_.push_back(call->call.id);
        session_.loop().post([this, copy = *call] { incoming(copy); });
    }
    if (const auto *answered = std::get_if<event::CallAnswered>(&event)) taken_up(answered->call.id);
    if (const auto *over = std::get_if<event::CallEnded>(&event)) refused_by_phone(*over);
    const auto *failed = std::get_if<event::AccountFailed>(&event);
    if (failed != nullptr && failed->retry_ms < 0)
        session_.finish(failed->exit, "cannot register " + failed->aor + ": " + failed->reason);
}

bool Answerer::welcome(const CallView &call) const {
    return options_.from.empty() ||
           std::any_of(options_.from.begin(), options_.from.end(),
                       [&](const std::string &pattern) { return glob_match(pattern, call.remote); });
}

// The phone itself refused what it announced a moment ago (488), or the caller was quicker than we.
void Answerer::refused_by_phone(const event::CallEnded &event) {
    if (std::erase(announced_, event.call.id) == 0 || !room() || !welcome(event.call)) return;
    session_.loop().post([this, event] { ended(event.call.id, {event, event.exit, {}}); });
}

bool Answerer::room() const {
    const int running = static_cast<int>(taken_.size());
    return running < options_.at_once && done_ + running < options_.count;
}

Answerer::Taken *Answerer::find(CallId call) const {
    const auto found = std::ranges::find_if(taken_, [&](const auto &taken) { return taken->id == call; });
    return found == taken_.end() ? nullptr : found->get();
}

void Answerer::incoming(const event::CallIncoming &event) {
    const CallId call = event.call.id;
    if (session_.finishing() || std::erase(announced_, call) == 0) return;
    if (!welcome(event.call)) return refuse(call, 403);
    if (!room()) {
        if (!options_.automatic && taken_.size() == 1 && taken_.front()->talk->offer(call)) return;
        return refuse(call, 486);
    }
    taken_.push_back(std::make_unique<Taken>(session_.loop(), call));
    Taken &taken = *taken_.back();
    taken.talk = std::make_unique<Talk>(session_, plan_, call,
                                        [this, call](const Talk::Outcome &outcome) { ended(call, outcome); });
    take(taken);
}

void Answerer::refuse(CallId call, unsigned code) {
    if (auto refused = session_.phone().reject(call, code); !refused) log_warning(refused.error().what);
}

void Answerer::take(Taken &taken) {
    const CallId call = taken.id;
    const bool by_itself = options_.automatic || options_.code != 0 || !taken.talk->has_keys();
    if (by_itself && options_.delay.count() == 0) return answer(call);
    session_.phone().set_ringing_tone(call, true);
    if (by_itself)
        taken.delay.start(options_.delay, [this, call] { answer(call); });
    else // the person decides, see CallSwitch
        session_.output().progress("\aa answer, r refuse (busy), d decline");
    if (plan_.options.ring_timeout)
        taken.patience.start(*plan_.options.ring_timeout, [this, call] { refuse(call, 480); });
}

void Answerer::taken_up(CallId call) {
    if (Taken *taken = find(call)) taken->patience.cancel();
    session_.phone().set_ringing_tone(call, false);
}

void Answerer::answer(CallId call) {
    Taken *taken = find(call);
    if (taken == nullptr) return;
    taken->patience.cancel();
    session_.phone().set_ringing_tone(call, false);
    if (options_.code != 0) return refuse(call, options_.code);
    if (auto answered = session_.phone().answer(call); !answered) {
        session_.output().error(answered.error().what);
        const unsigned status = answered.error().sip >= 300 ? answered.error().sip : 500;
        (void)session_.phone().reject(call, status); // unless it did
    }
}

void Answerer::ended(CallId call, const Talk::Outcome &outcome) {
    std::erase_if(taken_, [&](const auto &taken) { return taken->id == call; });
    ++done_;
    if (done_ < options_.count && !session_.finishing()) {
        if (!outcome.error.empty()) session_.output().error(outcome.error);
        return;
    }
    // A call that we refused counts as what the caller was told.
    const bool refused = outcome.exit == 0 && !outcome.ended.answered && outcome.ended.code >= 300;
    session_.finish(refused ? sip::exit_code(outcome.ended.code, sip::Purpose::call) : outcome.exit,
                    outcome.error);
}

// Several calls cannot share one stream.
Result<> check_at_once(const AnswerOptions &options, const std::string &audio) {
    const auto &talk = options.talk;
    if (options.at_once == 1) return {};
    const auto refuse = [](const std::string &what) {
        return fail(Errc::invalid_argument, "--at-once: several calls cannot share " + what);
    };
    if (talk.play == "-" || audio == "pipe") return refuse("stdin");
    if (talk.record == "-") return refuse("stdout");
    if (!talk.record.empty() && talk.record.find('{') == std::string::npos)
        return refuse("the recording " + talk.record + " (expected a name with {peer} or {time})");
    return {};
}

} // namespace

Result<int> run(const GlobalOptions &global, const AnswerOptions &options) {
    Output output(global);
    auto setup = prepare(global);
    if (!setup) return tl::unexpected(setup.error());
    // Who gives an address and a password to `answer` wants to be found there; a call needs no registration.
    for (auto &account : setup->phone.accounts)
        account.registers |= account.name == "command-line" && !account.password.empty();
    if (auto fits = check_at_once(options, setup->phone.audio); !fits) return tl::unexpected(fits.error());
    auto plan = plan_talk(options.talk, setup->tts_command, global.json);
    if (!plan) return tl::unexpected(plan.error());
    if (options.at_once > 1 && plan->steps_from_stdin)
        return fail(Errc::invalid_argument, "--at-once: several calls cannot share the steps on stdin");
    plan->echo = options.echo;
    setup->phone.hold_for_next = options.at_once == 1; // else nobody is to wait
    auto refer = refer_policy(options.talk, setup->phone.refer, global.json);
    if (!refer) return tl::unexpected(refer.error());
    setup->phone.refer = *refer;
    if (!options.talk.stdin_format.empty()) setup->phone.pipe_format = options.talk.stdin_format;
    if (auto mode = parse_dtmf_mode(options.talk.dtmf_mode); mode) setup->phone.dtmf_mode = *mode;
    if (options.talk.record == "-" || setup->phone.audio == "pipe") output.stdout_taken();
    auto session = Session::open(global, std::move(*setup), output);
    if (!session) return tl::unexpected(session.error());
    Answerer answerer(**session, options, *plan);
    answerer.start();
    const int exit = (*session)->run();
    Json more = Json::object();
    if (const auto &last = (*session)->last_call()) add_ending(more, *last);
    if (!(*session)->error().empty()) more.add("error", (*session)->error());
    output.result(exit, more);
    return exit;
}

} // namespace offhook::cmd
