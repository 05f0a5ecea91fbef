#include "cmd/ping.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/text.hpp"
#include "cmd/commands.hpp"
#include "cmd/nagios.hpp"
#include "cmd/ping_stats.hpp"
#include "cmd/session.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

// Sends OPTIONS at its interval, whether or not answers have come.
class Pinger {
public:
    Pinger(Session &session, const PingOptions &options)
        : session_(session), options_(options), next_(session.loop()) {}
    void start();
    void summarise() const;
    [[nodiscard]] Json facts() const;
    [[nodiscard]] const PingStats &stats() const noexcept { return stats_; }
    [[nodiscard]] const std::string &last() const noexcept { return last_; }

private:
    struct Probe {
        std::unique_ptr<sip::ClientRequest> request;
        TimePoint left{};
        bool over = false; // kept until the next is sent: it may be at work above us
    };
    void send();
    void left(std::size_t number, const sip::Flow &flow);
    void answered(std::size_t number, const sip::ClientRequest::Outcome &outcome);
    void unanswered(std::size_t number, const Error &error);
    void maybe_end();

    Session &session_;
    const PingOptions &options_;
    Timer next_;
    std::map<std::size_t, Probe> probes_;
    PingStats stats_;
    std::string way_, last_;
    std::optional<int> exit_; // 0 as soon as one answer was a good one
};

void Pinger::start() {
    session_.on_finish([this] { next_.cancel(); });
    send();
}

void Pinger::send() {
    std::erase_if(probes_, [](const auto &probe) { return probe.second.over; });
    const std::size_t number = stats_.sent_count() + 1;
    RequestSpec spec;
    spec.account = session_.setup().account;
    spec.patience = options_.wait;
    RequestHandlers handlers;
    handlers.leaves = [this, number](const sip::Flow &flow) { left(number, flow); };
    handlers.final = [this, number](const sip::ClientRequest::Outcome &outcome) {
        answered(number, outcome);
    };
    probes_[number].left = session_.loop().now();
    auto request = session_.phone().request(options_.target, spec, std::move(handlers));
    if (!request) return session_.finish(request.error(), sip::Purpose::other);
    probes_[number].request = std::move(*request);
    stats_.sent();
    if (options_.count == 0 || number < options_.count) next_.start(options_.interval, [this] { send(); });
}

void Pinger::left(std::size_t number, const sip::Flow &flow) {
    probes_[number].left = session_.loop().now();
    if (!way_.empty()) return;
    way_ = way_of(flow);
    if (!session_.output().json() && !options_.nagios)
        session_.output().text("PING " + sanitise(options_.target) + " (" + way_ + ")");
}

void Pinger::answered(std::size_t number, const sip::ClientRequest::Outcome &outcome) {
    auto &probe = probes_[number];
    if (std::exchange(probe.over, true) || session_.finishing()) return;
    const double ms = milliseconds(session_.loop().now() - probe.left);
    if (!outcome.response) return unanswered(number, outcome.response.error());
    const auto reply = reply_of(*outcome.response, outcome.flow, outcome.authenticated);
    stats_.answered(ms);
    last_ = reply.text;
    if (!exit_ || *exit_ != 0) exit_ = reply.exit;
    if (session_.output().json())
        session_.output().line("ping.reply", reply.json(number, ms));
    else if (!options_.nagios)
        session_.output().text(reply.text + " from " + reply.from + ": seq=" + std::to_string(number) +
                               " time=" + format_number(ms, 3) + " ms" +
                               (reply.software.empty() ? "" : " (" + reply.software + ")"));
    maybe_end();
}

void Pinger::unanswered(std::size_t number, const Error &error) {
    if (way_.empty()) return session_.finish(error, sip::Purpose::other); // nobody to send to
    last_ = sanitise(error.what);
    if (!exit_) exit_ = sip::exit_code(error, sip::Purpose::other);
    if (session_.output().json())
        session_.output().line("ping.lost", Json::object().add("number", number).add("error", last_));
    else if (!options_.nagios)
        session_.output().text("no answer: seq=" + std::to_string(number) + " (" + last_ + ")");
    maybe_end();
}

void Pinger::maybe_end() {
    const bool waiting =
        std::any_of(probes_.begin(), probes_.end(), [](const auto &p) { return !p.second.over; });
    if (!waiting && !next_.running() && !session_.finishing()) session_.finish(exit_.value_or(20));
}

void Pinger::summarise() const {
    if (session_.output().json() || options_.nagios || way_.empty()) return;
    session_.output().text("--- " + sanitise(options_.target) + " ping statistics ---");
    session_.output().text(stats_.counts());
    if (const auto times = stats_.times(); !times.empty()) session_.output().text(times);
}

Json Pinger::facts() const {
    Json facts = Json::object().add("target", options_.target).add("way", way_);
    stats_.add_to(facts);
    return facts;
}

// The state of the service: what the best answer says, less than good when some answers were missing.
int show_nagios(Output &output, const Pinger &pinger, const Session &session, int exit) {
    const auto &stats = pinger.stats();
    const bool some_lost = stats.answered_count() > 0 && stats.answered_count() < stats.sent_count();
    int state = nagios_code(exit);
    if (state == 0 && some_lost) state = 1;
    std::string performance = " pl=" + format_number(stats.loss_percent(), 0) + "%;;;0;100";
    if (stats.answered_count() > 0)
        performance = " rta=" + format_number(stats.average() / 1000, 6) + "s;;;0" + performance;
    const std::string what = pinger.last().empty() ? session.error() : pinger.last();
    output.text(nagios_state_line(state, what + ", " + stats.counts(), performance));
    return state;
}

} // namespace

std::string way_of(const sip::Flow &flow) {
    return std::string(sip::uri_token(flow.kind)) + ":" + flow.remote.to_string();
}

double milliseconds(std::chrono::steady_clock::duration span) {
    return std::chrono::duration<double, std::milli>(span).count();
}

PingReply reply_of(const sip::Message &response, const sip::Flow &flow, bool authenticated) {
    PingReply reply;
    reply.code = response.status();
    reply.reason = sanitise(response.reason());
    reply.text = std::to_string(reply.code) + (reply.reason.empty() ? "" : " " + reply.reason);
    reply.from = way_of(flow);
    const auto server = response.value(sip::HeaderId::server);
    reply.software = sanitise(server.empty() ? response.value(sip::HeaderId::user_agent) : server);
    // Who does not know OPTIONS is there all the same.
    const bool there = reply.code == 405 || reply.code == 501;
    reply.exit = there ? 0 : sip::exit_code(reply.code, sip::Purpose::other, authenticated);
    return reply;
}

Json PingReply::json(std::size_t number, double ms) const {
    return Json::object()
        .add("number", number)
        .add("code", code)
        .add("reason", reason)
        .add("rtt_ms", std::round(ms * 1000) / 1000)
        .add("from", from)
        .add("software", software);
}

Result<int> run(const GlobalOptions &global, const PingOptions &options) {
    if (options.target.empty()) return fail(Errc::invalid_argument, "ping: whom? (expected ping TARGET)");
    if (options.route && options.nagios)
        return fail(Errc::invalid_argument, "ping: --route and --nagios: give one of them");
    if (options.nagios && options.count == 0)
        return fail(Errc::invalid_argument, "ping: --nagios needs an end (expected -n 1 or more)");
    Output output(global);
    auto setup = prepare(global);
    if (!setup) return tl::unexpected(setup.error());
    setup->phone.audio = "none";
    if (options.nagios) output.only_the_result();
    auto session = Session::open(global, std::move(*setup), output);
    if (!session) return tl::unexpected(session.error());
    if (options.route) return trace_route(**session, options);
    Pinger pinger(**session, options);
    pinger.start();
    const int exit = (*session)->run();
    pinger.summarise();
    Json facts = pinger.facts();
    if (!(*session)->error().empty()) facts.add("error", (*session)->error());
    output.result(exit, facts);
    return options.nagios ? show_nagios(output, pinger, **session, exit) : exit;
}

} // namespace offhook::cmd
