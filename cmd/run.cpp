// `offhook run`: the phone without a face, for systemd; and `offhook ctl`, which talks to it.
#include "base/log.hpp"
#include "base/service_manager.hpp"
#include "cmd/commands.hpp"
#include "cmd/session.hpp"
#include "control/server.hpp"
#include "phone/event_json.hpp"
#include "phone/verbs.hpp"

namespace offhook::cmd {

namespace {

// Events out, verbs in.
class Faceless {
public:
    using Prepare = std::function<Result<Setup>()>;

    Faceless(Session &session, Prepare prepare)
        : session_(session), prepare_(std::move(prepare)), service_(session.loop()) {}

    Result<> start() {
        auto path = control::socket_path();
        if (!path) return tl::unexpected(path.error());
        auto server = control::Server::listen(session_.loop(), *path, [this](const Json &request) {
            return run_verb(session_.phone(), request, {[this] { quit(); }, [this] { return reload(); }});
        });
        if (!server) return tl::unexpected(server.error());
        server_ = std::move(*server);
        watching_ = session_.phone().events().add([this](const Event &event) { on_event(event); });
        session_.on_hangup([this] { hung_up(); });
        session_.output().listening(session_.phone().listening());
        session_.output().progress("control   " + *path);
        for (const auto &account : session_.setup().phone.accounts) {
            if (!registers(session_.setup(), account)) continue;
            if (auto begun = session_.phone().register_account(account.name, true); !begun)
                return tl::unexpected(begun.error());
        }
        session_.on_finish([this] { service_.stopping(); });
        service_.ready(role());
        return {};
    }

private:
    [[nodiscard]] std::string role() const {
        const std::size_t count = session_.phone().accounts().size();
        return std::to_string(count) + (count == 1 ? " account" : " accounts");
    }
    static bool registers(const Setup &setup, const AccountSettings &account) {
        const bool ours = setup.account.empty() || account.name == setup.account;
        return ours && account.registers && !account.name.empty();
    }

    // The configuration anew; an error in it changes nothing.
    Result<Json> reload() {
        auto setup = prepare_();
        if (!setup) return tl::unexpected(setup.error());
        for (const auto &warning : setup->warnings)
            log_warning(warning);
        auto done = session_.phone().reload(
            setup->phone, [&](const AccountSettings &account) { return registers(*setup, account); });
        if (!done) return tl::unexpected(done.error());
        Json answer = Json::object();
        std::string text = "reloaded";
        for (const auto &[name, list] : {std::pair("added", &done->added),
                                         {"changed", &done->changed},
                                         {"removed", &done->removed},
                                         {"later", &done->later}}) {
            answer.add(name, Json::Array(list->begin(), list->end()));
            for (const auto &one : *list)
                text += std::string(text == "reloaded" ? ": " : ", ") + one + " " + name;
        }
        for (const auto &setting : done->later)
            log_warning("the new " + setting + " is taken at the next start");
        session_.output().progress(text);
        return answer;
    }

    void hung_up() { // SIGHUP
        service_.reloading();
        if (auto done = reload(); !done) log_warning("not reloaded: " + done.error().what);
        service_.ready(role());
    }

    void on_event(const Event &event) {
        server_->publish(sequence_, to_json(event, sequence_, std::chrono::system_clock::now()).dump());
        ++sequence_;
        if (const auto *call = std::get_if<event::CallIncoming>(&event))
            session_.phone().set_ringing_tone(call->call.id, true);
        if (const auto *answered = std::get_if<event::CallAnswered>(&event))
            session_.phone().set_ringing_tone(answered->call.id, false);
    }

    // After the answer has gone out.
    void quit() {
        session_.loop().post([this] { session_.finish(0); });
    }

    Session &session_;
    Prepare prepare_;
    ServiceManager service_;
    std::unique_ptr<control::Server> server_;
    Observers<Event>::Handle watching_;
    std::uint64_t sequence_ = 1;
};

} // namespace

Result<int> run(const GlobalOptions &global, const RunOptions &options) {
    Output output(global);
    const auto prepare_phone = [&]() -> Result<Setup> {
        auto setup = prepare(global);
        if (!setup) return setup;
        for (auto &account : setup->phone.accounts)
            account.registers |= account.name == "command-line" && !account.password.empty();
        if (!options.refer.empty()) setup->phone.refer = *parse_refer_policy(options.refer);
        return setup;
    };
    auto setup = prepare_phone();
    if (!setup) return tl::unexpected(setup.error());
    auto session = Session::open(global, std::move(*setup), output);
    if (!session) return tl::unexpected(session.error());
    Faceless phone(**session, prepare_phone);
    if (auto started = phone.start(); !started) return tl::unexpected(started.error());
    const int exit = (*session)->run();
    output.result(exit, Json::object());
    return exit;
}

} // namespace offhook::cmd
