#include "base/text.hpp"
#include "cmd/commands.hpp"
#include "cmd/session.hpp"
#include "phone/state_document.hpp"

namespace offhook::cmd {

namespace {

class Watcher {
public:
    Watcher(Session &session, const WatchOptions &options) : session_(session), options_(options) {}

    void start() {
        watching_ = session_.phone().events().add([this](const Event &event) { on_event(event); });
        const auto begun =
            session_.phone().watch(options_.target, options_.event,
                                   options_.expires.value_or(Duration{3'600'000}), session_.setup().account);
        if (!begun) session_.finish(begun.error(), sip::Purpose::other);
    }
    [[nodiscard]] Json facts() const {
        return Json::object()
            .add("target", options_.target)
            .add("package", options_.event)
            .add("notifies", seen_);
    }

private:
    void on_event(const Event &event) {
        if (session_.finishing()) return;
        if (const auto *notify = std::get_if<event::NotifyReceived>(&event)) take(*notify);
        const auto *ended = std::get_if<event::NotifyEnded>(&event);
        if (ended != nullptr && ended->retry_ms < 0)
            session_.finish(ended->exit, "cannot watch " + ended->target + ": " + ended->reason);
    }

    void take(const event::NotifyReceived &notify) {
        ++seen_;
        std::string line = notify.summary;
        if (notify.state != "active")
            line += " (" + notify.state + (notify.reason.empty() ? "" : ": " + notify.reason) + ")";
        if (!session_.output().json()) session_.output().text(line);
        if (options_.count != 0 && seen_ >= options_.count) session_.finish(0);
    }

    Session &session_;
    const WatchOptions &options_;
    Observers<Event>::Handle watching_;
    unsigned seen_ = 0;
};

} // namespace

Result<int> run(const GlobalOptions &global, const WatchOptions &options) {
    if (options.target.empty())
        return fail(Errc::invalid_argument, "watch: whom? (expected watch TARGET --event PACKAGE)");
    if (options.event.empty())
        return fail(Errc::invalid_argument,
                    "watch: what? (expected --event dialog, presence, message-summary or reg)");
    Output output(global);
    auto setup = prepare(global);
    if (!setup) return tl::unexpected(setup.error());
    setup->phone.audio = "none";
    auto session = Session::open(global, std::move(*setup), output);
    if (!session) return tl::unexpected(session.error());
    Watcher watcher(**session, options);
    watcher.start();
    const int exit = (*session)->run();
    Json facts = watcher.facts();
    if (!(*session)->error().empty()) facts.add("error", (*session)->error());
    output.result(exit, facts);
    return exit;
}

} // namespace offhook::cmd
