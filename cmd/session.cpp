#include "cmd/session.hpp"

#include <chrono>
#include <csignal>

#include <unistd.h>

#include "base/log.hpp"
#include "cmd/terminal.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

constexpr int exit_timeout = 124;
constexpr int exit_interrupted = 130; // by whichever signal
// --timeout holds to within 100 ms: what BYE and un-REGISTER may take on top of it.
constexpr Duration timeout_grace{60};
constexpr Duration farewell_limit{2'200};

} // namespace

Session::Session(const GlobalOptions &options, Setup setup, Output &output)
    : output_(output), setup_(std::move(setup)), taps_(output), timeout_(loop_), last_resort_(loop_) {
    (void)std::signal(SIGPIPE, SIG_IGN);
    signals_ = std::make_unique<SignalWatch>(std::initializer_list<int>{SIGINT, SIGTERM, SIGHUP},
                                             [this](int signo) { on_signal(signo); });
    if (options.timeout)
        timeout_.start(*options.timeout, [this] { finish(exit_timeout, "time-out: --timeout has passed"); });
}

Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::open(const GlobalOptions &options, Setup setup, Output &output) {
    for (const auto &warning : setup.warnings)
        log_warning(warning);
    std::unique_ptr<Session> session(new Session(options, std::move(setup), output));
    if (auto taps = session->taps_.open(options); !taps) return tl::unexpected(taps.error());
    auto phone = Phone::open(session->loop_, session->setup_.phone);
    if (!phone) return tl::unexpected(phone.error());
    session->phone_ = std::move(*phone);
    session->watching_ =
        session->phone_->events().add([raw = session.get()](const Event &event) { raw->on_event(event); });
    auto *raw = session.get();
    if (raw->taps_.wanted()) {
        auto sip_tap = [raw](const sip::Flow &flow, bool sent, std::string_view bytes) {
            raw->taps_.write_sip(flow, sent, bytes);
        };
        media::MediaLeg::Tap rtp_tap;
        if (auto *pcap = raw->taps_.pcap())
            rtp_tap = [pcap](const Address &from, const Address &to, media::Bytes datagram) {
                const std::string_view bytes(reinterpret_cast<const char *>(datagram.data()),
                                             datagram.size());
                pcap->write_datagram(from, to, bytes, std::chrono::system_clock::now());
            };
        session->phone_->set_taps(std::move(sip_tap), std::move(rtp_tap));
    }
    return session;
}

void Session::on_signal(int signo) {
    const int code = exit_interrupted;
    if (signo == SIGHUP && hangup_hook_ && !finishing()) return hangup_hook_();
    if (finishing() && *exit_ != 0) {
        Terminal::restore();
        _exit(code); // asked twice: at once
    }
    if (finishing()) exit_ = code;
    finish(code, signo == SIGHUP ? "the terminal has gone" : "interrupted");
}

void Session::on_event(const Event &event) {
    if (const auto *ended = std::get_if<event::CallEnded>(&event)) last_call_ = *ended;
    output_.event(event);
    if (output_.broken()) finish(1, "standard output cannot be written any more");
}

void Session::register_first(const std::string &account,
                             std::function<void(const event::AccountFailed *)> done) {
    auto told = [this, account, done = std::move(done)](const Event &event) {
        const auto *failed = std::get_if<event::AccountFailed>(&event);
        const auto *registered = std::get_if<event::AccountRegistered>(&event);
        const bool ours = (failed != nullptr && failed->account == account) ||
                          (registered != nullptr && registered->account == account);
        if (!ours) return;
        const auto call = done; // dropping the observer destroys this function
        registering_.drop();
        call(failed);
    };
    registering_ = phone_->events().add(std::move(told));
    if (auto begun = phone_->register_account(account, true); !begun) {
        registering_.drop();
        finish(begun.error(), sip::Purpose::register_);
    }
}

void Session::finish(const Error &error, sip::Purpose purpose) {
    finish(sip::exit_code(error, purpose), error.what);
}

void Session::finish(int exit, const std::string &error) {
    if (finishing()) return;
    exit_ = exit;
    error_ = error;
    if (!error.empty()) output_.error(error);
    if (finish_hook_) finish_hook_();
    timeout_.cancel();
    last_resort_.start(exit == exit_timeout ? timeout_grace : farewell_limit, [this] { loop_.stop(); });
    const auto by = exit == exit_timeout ? EndedBy::timeout : EndedBy::local;
    loop_.post([this, by] { phone_->shut_down([this] { loop_.post([this] { loop_.stop(); }); }, by); });
}

int Session::run() {
    if (auto ran = loop_.run(); !ran) {
        output_.error(ran.error().what);
        return 1;
    }
    if (auto *pcap = taps_.pcap()) pcap->flush();
    return exit_.value_or(1);
}

} // namespace offhook::cmd
