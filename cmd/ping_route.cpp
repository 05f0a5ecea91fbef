// ping --route: each proxy answers 483 to a request whose Max-Forwards ran out at it (RFC 3261 §16.3). One
// that answers OPTIONS itself instead, as §11 allows, is told from the target by its answer.
#include <memory>

#include "base/text.hpp"
#include "cmd/ping.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

class RouteTracer {
public:
    RouteTracer(Session &session, const PingOptions &options) : session_(session), options_(options) {}
    void start();
    [[nodiscard]] Json facts() const;

private:
    void probe(unsigned max_forwards);
    void answered(const sip::ClientRequest::Outcome &outcome);
    void learn_target(const sip::ClientRequest::Outcome &outcome);
    void show(const PingReply &reply, double ms);
    void show_lost(const Error &error);
    void next();

    static constexpr unsigned whole_way = 70;

    Session &session_;
    const PingOptions &options_;
    std::unique_ptr<sip::ClientRequest> request_;
    TimePoint left_{};
    unsigned max_forwards_ = whole_way;
    bool reached_ = false;
    std::optional<std::string> target_; // what the target's own answer looks like; none: it did not answer
    std::optional<int> exit_;
    int hops_ = 0;
};

std::string face_of(const sip::Message &response) {
    std::string face = std::to_string(response.status());
    for (const auto id : {sip::HeaderId::server, sip::HeaderId::user_agent, sip::HeaderId::contact,
                          sip::HeaderId::allow, sip::HeaderId::supported, sip::HeaderId::accept})
        face += "\n" + std::string(response.value(id));
    return face;
}

void RouteTracer::start() {
    session_.on_finish([this] { request_.reset(); });
    probe(whole_way);
}

void RouteTracer::probe(unsigned max_forwards) {
    max_forwards_ = max_forwards;
    RequestSpec spec;
    spec.account = session_.setup().account;
    spec.patience = options_.wait;
    spec.max_forwards = max_forwards;
    RequestHandlers handlers;
    handlers.leaves = [this](const sip::Flow &) {
        reached_ = true;
        left_ = session_.loop().now();
    };
    handlers.final = [this](const sip::ClientRequest::Outcome &outcome) {
        session_.loop().post([this, outcome] {
            if (!session_.finishing()) answered(outcome);
        });
    };
    left_ = session_.loop().now();
    auto request = session_.phone().request(options_.target, spec, std::move(handlers));
    if (!request) return session_.finish(request.error(), sip::Purpose::other);
    request_ = std::move(*request);
}

void RouteTracer::learn_target(const sip::ClientRequest::Outcome &outcome) {
    if (!outcome.response) {
        if (!reached_) return session_.finish(outcome.response.error(), sip::Purpose::other);
        exit_ = sip::exit_code(outcome.response.error(), sip::Purpose::other);
    } else {
        target_ = face_of(*outcome.response);
        exit_ = reply_of(*outcome.response, outcome.flow, outcome.authenticated).exit;
    }
    if (!session_.output().json())
        session_.output().text("ROUTE to " + sanitise(options_.target) + ", at most " +
                               std::to_string(options_.max_hops) + " hops");
    probe(0);
}

void RouteTracer::answered(const sip::ClientRequest::Outcome &outcome) {
    const double ms = milliseconds(session_.loop().now() - left_);
    if (max_forwards_ == whole_way) return learn_target(outcome);
    ++hops_;
    if (!outcome.response) {
        show_lost(outcome.response.error());
        return next();
    }
    show(reply_of(*outcome.response, outcome.flow, outcome.authenticated), ms);
    const unsigned status = outcome.response->status();
    const bool there = status != 483 && (!target_ || face_of(*outcome.response) == *target_);
    if (there) return session_.finish(exit_.value_or(1));
    next();
}

void RouteTracer::next() {
    if (max_forwards_ + 1 < options_.max_hops) return probe(max_forwards_ + 1);
    const bool lost = !target_;
    session_.finish(lost ? exit_.value_or(20) : 20,
                    "the target was not reached within " + std::to_string(options_.max_hops) + " hops");
}

void RouteTracer::show(const PingReply &reply, double ms) {
    if (session_.output().json()) {
        Json line = reply.json(static_cast<std::size_t>(hops_), ms);
        return session_.output().line("ping.hop", line.add("max_forwards", max_forwards_));
    }
    session_.output().text(std::to_string(hops_) + "  " + reply.text + "  " + format_number(ms, 3) + " ms" +
                           (reply.software.empty() ? "" : "  " + reply.software));
}

void RouteTracer::show_lost(const Error &error) {
    if (session_.output().json())
        return session_.output().line("ping.lost",
                                      Json::object().add("number", hops_).add("error", sanitise(error.what)));
    session_.output().text(std::to_string(hops_) + "  *  " + sanitise(error.what));
}

Json RouteTracer::facts() const {
    return Json::object().add("target", options_.target).add("hops", hops_);
}

} // namespace

int trace_route(Session &session, const PingOptions &options) {
    RouteTracer tracer(session, options);
    tracer.start();
    const int exit = session.run();
    Json facts = tracer.facts();
    if (!session.error().empty()) facts.add("error", session.error());
    session.output().result(exit, facts);
    return exit;
}

} // namespace offhook::cmd
