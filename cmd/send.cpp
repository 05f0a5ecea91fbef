#include "base/text.hpp"
#include "cmd/cli_values.hpp"
#include "cmd/commands.hpp"
#include "cmd/input.hpp"
#include "cmd/ping.hpp"
#include "cmd/session.hpp"
#include "sip/status.hpp"
#include "sip/trace.hpp"

namespace offhook::cmd {

namespace {

constexpr std::size_t body_limit = 60'000;
constexpr std::size_t raw_limit = 1'000'000; // more than anybody takes, so that refusals can be tried
// How long bytes that nobody answers (a response, an ACK) may take to leave.
constexpr Duration time_to_leave{500};
constexpr Duration time_for_bye{300}; // for the other side to see the BYE of an INVITE nobody wanted

class Sender {
public:
    Sender(Session &session, const SendOptions &options, std::string content)
        : session_(session), options_(options), content_(std::move(content)), patience_(session.loop()) {}
    void start();
    [[nodiscard]] const Json &facts() const noexcept { return facts_; }

private:
    void compose();
    void start_raw();
    void show(std::string_view bytes, const sip::Message *response);
    void received(std::string_view bytes);
    void final(unsigned status, bool authenticated);
    void unanswered(const Error &error);
    [[nodiscard]] bool expects_nothing() const { return options_.expect == "none"; }
    [[nodiscard]] RequestSpec spec() const;

    Session &session_;
    const SendOptions &options_;
    std::string content_; // the body, or with --raw all of it
    Timer patience_;
    std::unique_ptr<sip::ClientRequest> request_;
    Json facts_ = Json::object();
};

// Where the Via of a raw request says nothing of it, the answer would go to the port it names (RFC 3581).
std::string with_rport(const std::string &bytes) {
    const auto message = sip::Message::parse(bytes);
    if (!message || !message->is_request()) return bytes;
    const auto *via = message->find(sip::HeaderId::via);
    if (via == nullptr || via->value.find("rport") != std::string_view::npos) return bytes;
    // parse() works on a copy of the same length: its views tell the place.
    const auto at = static_cast<std::size_t>(via->value.data() - message->bytes().data());
    const auto end = via->value.find_first_of(",;");
    std::string out = bytes;
    const auto shift = bytes.size() - message->bytes().size();
    out.insert(shift + at + std::min(end, via->value.size()), ";rport");
    return out;
}

bool is_answerable(std::string_view bytes) {
    const auto start = bytes.find_first_not_of("\r\n");
    if (start == std::string_view::npos) return false;
    bytes.remove_prefix(start);
    return !bytes.starts_with("SIP/") && !bytes.starts_with("ACK ");
}

std::string guess_type(const std::string &body) {
    return body.starts_with("v=0") ? "application/sdp" : "text/plain;charset=UTF-8";
}

RequestSpec Sender::spec() const {
    RequestSpec spec;
    spec.method = options_.method;
    spec.account = session_.setup().account;
    spec.headers = options_.headers;
    spec.body = content_;
    spec.content_type = guess_type(content_);
    return spec;
}

void Sender::start() {
    facts_.add("target", options_.target);
    if (!options_.raw.empty()) {
        if (options_.rport) content_ = with_rport(content_);
        return start_raw();
    }
    facts_.add("method", options_.method);
    compose();
}

void Sender::compose() {
    if (options_.dry_run) {
        const auto text = session_.phone().compose(options_.target, spec());
        if (!text) return session_.finish(text.error(), sip::Purpose::other);
        show(*text, nullptr);
        return session_.finish(0);
    }
    session_.on_finish([this] {
        if (request_) request_->cancel();
    });
    RequestHandlers handlers;
    handlers.provisional = [this](const sip::Message &response) { show(response.bytes(), &response); };
    handlers.final = [this](const sip::ClientRequest::Outcome &outcome) {
        if (session_.finishing()) return;
        if (!outcome.response) return unanswered(outcome.response.error());
        show(outcome.response->bytes(), &*outcome.response);
        final(outcome.response->status(), outcome.authenticated);
    };
    auto request = session_.phone().request(options_.target, spec(), std::move(handlers));
    if (!request) return session_.finish(request.error(), sip::Purpose::other);
    request_ = std::move(*request);
}

void Sender::start_raw() {
    if (options_.dry_run) {
        show(content_, nullptr);
        return session_.finish(0);
    }
    const bool answerable = is_answerable(content_);
    RawHandlers handlers;
    handlers.sent = [this, answerable](const sip::Flow &flow) {
        session_.output().progress("sent " + std::to_string(content_.size()) + " bytes to " + way_of(flow));
        patience_.start(
            answerable ? options_.wait : std::min(options_.wait, time_to_leave), [this, answerable, flow] {
                if (!answerable && !expects_nothing() && options_.expect.empty()) return session_.finish(0);
                const bool lost = flow.kind == sip::TransportKind::udp && !options_.rport;
                unanswered({Errc::timeout,
                            "no answer from " + way_of(flow) + " within " + format_span(options_.wait) +
                                (lost ? " (by UDP it goes where the Via says: see --rport)" : ""),
                            0});
            });
    };
    handlers.received = [this](std::string_view bytes) { received(bytes); };
    handlers.failed = [this](const Error &error) { unanswered(error); };
    if (auto begun = session_.phone().send_raw(options_.target, content_, std::move(handlers),
                                               session_.setup().account);
        !begun)
        session_.finish(begun.error(), sip::Purpose::other);
}

void Sender::received(std::string_view bytes) {
    if (session_.finishing()) return;
    const auto response = sip::Message::parse(std::string(bytes));
    if (!response || response->is_request()) return;
    show(bytes, &*response);
    const unsigned status = response->status();
    if (status >= 200) session_.loop().post([this, status] { final(status, false); });
}

void Sender::show(std::string_view bytes, const sip::Message *response) {
    auto &output = session_.output();
    if (!output.json()) {
        if (response == nullptr) return output.bytes(bytes); // ours: may be sent again as it is
        return output.text(sip::format_message(bytes));
    }
    if (response == nullptr) return output.line("send.request", Json::object().add("text", bytes));
    Json headers = Json::object();
    Json::Array list;
    for (const auto &header : response->headers())
        list.push_back(
            Json::object().add("name", sanitise(header.name)).add("value", sanitise(header.value)));
    output.line("send.response", Json::object()
                                     .add("code", response->status())
                                     .add("reason", sanitise(response->reason()))
                                     .add("headers", std::move(list))
                                     .add("body", escape_controls(response->body())));
}

void Sender::final(unsigned status, bool authenticated) {
    if (session_.finishing()) return;
    patience_.cancel();
    facts_.add("code", status);
    int exit = sip::exit_code(status, sip::Purpose::other, authenticated);
    std::string error;
    if (!options_.expect.empty()) {
        const bool good = status_matches(status, options_.expect);
        exit = good ? 0 : 40;
        if (!good) error = "expected " + options_.expect + ", got " + std::to_string(status);
    }
    const bool call = options_.raw.empty() && options_.method == "INVITE" && status / 100 == 2;
    if (!call) return session_.finish(exit, error);
    patience_.start(time_for_bye, [this, exit, error] { session_.finish(exit, error); });
}

void Sender::unanswered(const Error &error) {
    patience_.cancel();
    if (session_.finishing()) return;
    if (expects_nothing()) return session_.finish(0);
    if (!options_.expect.empty())
        return session_.finish(40, "expected " + options_.expect + ": " + sanitise(error.what));
    session_.finish(error, sip::Purpose::other);
}

Result<std::string> content_of(const SendOptions &options, std::optional<Duration> patience) {
    if (!options.raw.empty()) return read_input(options.raw, raw_limit, patience);
    if (options.body.starts_with('@')) return read_input(options.body.substr(1), body_limit, patience);
    return options.body;
}

Result<> check(const SendOptions &options) {
    const auto refuse = [](const std::string &what) { return fail(Errc::invalid_argument, "send: " + what); };
    if (options.target.empty()) return refuse("where? (expected send TARGET)");
    const bool composes = !options.headers.empty() || !options.body.empty() || options.method != "OPTIONS";
    if (!options.raw.empty() && composes)
        return refuse("--raw is the whole message: --method, --header and --body have no place in it");
    if (options.raw.empty() && options.rport) return refuse("--rport needs --raw FILE");
    return {};
}

} // namespace

Result<int> run(const GlobalOptions &global, const SendOptions &options) {
    if (auto good = check(options); !good) return tl::unexpected(good.error());
    Output output(global);
    auto setup = prepare(global);
    if (!setup) return tl::unexpected(setup.error());
    auto content = content_of(options, global.timeout);
    if (!content) return input_failed(output, content.error());
    setup->phone.audio = "none";
    auto session = Session::open(global, std::move(*setup), output);
    if (!session) return tl::unexpected(session.error());
    Sender sender(**session, options, std::move(*content));
    sender.start();
    const int exit = (*session)->run();
    Json facts = sender.facts();
    if (!(*session)->error().empty()) facts.add("error", (*session)->error());
    output.result(exit, facts);
    return exit;
}

} // namespace offhook::cmd
