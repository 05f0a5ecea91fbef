#include "base/text.hpp"
#include "cmd/commands.hpp"
#include "cmd/nagios.hpp"
#include "cmd/session.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

class Registrant {
public:
    Registrant(Session &session, const RegisterOptions &options, AccountSettings account)
        : session_(session), options_(options), account_(std::move(account)) {}
    void start();
    [[nodiscard]] const Json &facts() const noexcept { return facts_; }
    [[nodiscard]] const std::string &summary() const noexcept { return summary_; }

private:
    void on_event(const Event &event);
    void bindings(const Result<std::vector<std::string>> &list);

    Session &session_;
    const RegisterOptions &options_;
    AccountSettings account_;
    Observers<Event>::Handle watching_;
    Json facts_ = Json::object();
    std::string summary_;
};

void Registrant::start() {
    watching_ = session_.phone().events().add([this](const Event &event) { on_event(event); });
    facts_.add("account", account_.name).add("aor", account_.aor);
    Result<> begun;
    if (options_.query)
        begun = session_.phone().query_bindings(account_.name, [this](const auto &list) { bindings(list); });
    else
        begun = session_.phone().register_account(account_.name, !options_.unregister);
    if (!begun) session_.finish(begun.error(), sip::Purpose::register_);
}

void Registrant::bindings(const Result<std::vector<std::string>> &list) {
    if (!list) return session_.finish(list.error(), sip::Purpose::register_);
    facts_.add("bindings", Json::Array(list->begin(), list->end()));
    if (!session_.output().json())
        for (const auto &binding : *list)
            session_.output().text(sanitise(binding));
    summary_ = std::to_string(list->size()) + " registered";
    session_.finish(0);
}

void Registrant::on_event(const Event &event) {
    const bool one_shot = options_.once || options_.nagios;
    if (const auto *registered = std::get_if<event::AccountRegistered>(&event)) {
        summary_ = registered->aor + " registered for " + std::to_string(registered->expires_s) + " s";
        if (one_shot) session_.finish(0);
    }
    if (std::holds_alternative<event::AccountUnregistered>(event) && options_.unregister) session_.finish(0);
    const auto *failed = std::get_if<event::AccountFailed>(&event);
    if (failed == nullptr) return;
    summary_ = (failed->code != 0 ? std::to_string(failed->code) + " " : "") + failed->reason;
    if (one_shot || options_.unregister || failed->retry_ms < 0) {
        facts_.add("code", failed->code).add("reason", failed->reason);
        session_.finish(failed->exit, "cannot register " + failed->aor + ": " + summary_);
    }
}

} // namespace

Result<int> run(const GlobalOptions &global, const RegisterOptions &options) {
    if (options.query && options.unregister)
        return fail(Errc::invalid_argument, "register: --query and --unregister: give one of them");
    Output output(global);
    auto setup = prepare(global);
    if (!setup) return tl::unexpected(setup.error());
    auto account = needed_account(*setup);
    if (!account) return tl::unexpected(account.error());
    if (options.expires) (*account)->expires = *options.expires;
    setup->phone.audio = "none"; // nobody speaks
    if (options.nagios) output.only_the_result();
    const AccountSettings chosen = **account;
    auto session = Session::open(global, std::move(*setup), output);
    if (!session) return tl::unexpected(session.error());
    Registrant registrant(**session, options, chosen);
    registrant.start();
    const int exit = (*session)->run();
    Json more = registrant.facts();
    if (!(*session)->error().empty()) more.add("error", (*session)->error());
    output.result(exit, more);
    if (!options.nagios) return exit;
    output.text(nagios_line(exit, registrant.summary().empty() ? (*session)->error() : registrant.summary(),
                            std::nullopt));
    return nagios_code(exit);
}

} // namespace offhook::cmd
