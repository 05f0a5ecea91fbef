#include <algorithm>

#include "base/log.hpp"
#include "base/text.hpp"
#include "cmd/commands.hpp"
#include "cmd/talk.hpp"
#include "phone/event_json.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

// Takes calls one after another; while one is there, others are told 486.
class Answerer {
public:
    Answerer(Session &session, const AnswerOptions &options, const TalkPlan &plan)
        : session_(session), options_(options), plan_(plan), delay_(session.loop()),
          patience_(session.loop()) {}
    void start();

private:
    void on_event(const Event &event);
    void incoming(const event::CallIncoming &event);
    void refused_by_phone(const event::CallEnded &event);
    [[nodiscard]] bool welcome(const CallView &call) const;
    void take(const CallView &call);
    void ask(const CallView &call);
    void answer();
    void refuse(CallId call, unsigned code);
    void ended(const Talk::Outcome &outcome);

    Session &session_;
    const AnswerOptions &options_;
    const TalkPlan &plan_;
    Timer delay_, patience_;
    Observers<Event>::Handle watching_;
    std::unique_ptr<Talk> talk_;
    std::unique_ptr<Terminal> keys_;
    std::optional<CallId> call_;
    std::vector<CallId> announced_; // told of, not looked at yet
    int taken_ = 0;
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
    if (std::erase(announced_, event.call.id) == 0 || call_ || !welcome(event.call)) return;
    session_.loop().post([this, event] { ended({event, event.exit, {}}); });
}

void Answerer::incoming(const event::CallIncoming &event) {
    const auto &call = event.call;
    if (session_.finishing() || std::erase(announced_, call.id) == 0) return;
    if (!welcome(call)) return refuse(call.id, 403);
    if (call_) return refuse(call.id, 486);
    call_ = call.id;
    talk_ = std::make_unique<Talk>(session_, plan_, call.id,
                                   [this](const Talk::Outcome &outcome) { ended(outcome); });
    take(call);
}

void Answerer::refuse(CallId call, unsigned code) {
    if (auto refused = session_.phone().reject(call, code); !refused) log_warning(refused.error().what);
}

void Answerer::take(const CallView &call) {
    const bool by_itself =
        options_.automatic || options_.code != 0 || !Terminal::is_interactive() || session_.output().json();
    if (by_itself && options_.delay.count() == 0) return answer();
    session_.phone().set_ringing_tone(call.id, true);
    if (by_itself)
        delay_.start(options_.delay, [this] { answer(); });
    else
        ask(call);
    if (plan_.options.ring_timeout)
        patience_.start(*plan_.options.ring_timeout, [this] {
            if (call_) refuse(*call_, 480);
        });
}

// On a terminal: the person decides. The status line of the call begins after that.
void Answerer::ask(const CallView &call) {
    (void)call;
    session_.output().progress("\aa answer, r refuse (busy), d decline");
    auto keys = Terminal::open([this](char key) {
        if (!call_ || !keys_ || std::string_view("ard").find(key) == std::string_view::npos) return;
        session_.loop().post([this, key] {
            keys_.reset();
            if (!call_) return;
            if (key == 'a')
                answer();
            else
                refuse(*call_, key == 'r' ? 486 : 603);
        });
    });
    if (keys)
        keys_ = std::move(*keys);
    else
        answer();
}

void Answerer::answer() {
    if (!call_) return;
    patience_.cancel();
    session_.phone().set_ringing_tone(*call_, false);
    if (options_.code != 0) return refuse(*call_, options_.code);
    if (auto answered = session_.phone().answer(*call_); !answered) {
        session_.output().error(answered.error().what);
        (void)session_.phone().reject(*call_, answered.error().sip >= 300 ? answered.error().sip
                                                                          : 500); // unless it did
    }
}

void Answerer::ended(const Talk::Outcome &outcome) {
    delay_.cancel();
    patience_.cancel();
    keys_.reset();
    talk_.reset();
    call_.reset();
    ++taken_;
    if (taken_ < options_.count && !session_.finishing()) {
        if (!outcome.error.empty()) session_.output().error(outcome.error);
        return;
    }
    // A call that we refused counts as what the caller was told.
    const bool refused = outcome.exit == 0 && !outcome.ended.answered && outcome.ended.code >= 300;
    session_.finish(refused ? sip::exit_code(outcome.ended.code, sip::Purpose::call) : outcome.exit,
                    outcome.error);
}

} // namespace

Result<int> run(const GlobalOptions &global, const AnswerOptions &options) {
    Output output(global);
    auto setup = prepare(global);
    if (!setup) return tl::unexpected(setup.error());
    // Who gives an address and a password to `answer` wants to be found there; a call needs no registration.
    for (auto &account : setup->phone.accounts)
        account.registers |= account.name == "command-line" && !account.password.empty();
    auto plan = plan_talk(options.talk, setup->tts_command, global.json);
    if (!plan) return tl::unexpected(plan.error());
    plan->echo = options.echo;
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
