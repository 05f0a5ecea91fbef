#include "sip/request.hpp"

#include <algorithm>
#include <deque>
#include <utility>

#include "sip/challenges.hpp"

namespace offhook::sip {

namespace {

constexpr unsigned max_attempts = 3;        // transmissions with different credentials
constexpr std::size_t udp_limit = 1300;     // RFC 3261 §18.1.1, path MTU unknown
constexpr std::size_t stamp_size = 48 + 72; // Max-Forwards and Via with the longest address

// One place to try: a live flow, or a hop to open.
struct Way {
    Hop hop;
    std::optional<Flow> flow;
    bool stream_tried = false; // TCP in place of UDP was refused
};

} // namespace

struct ClientRequest::Self : std::enable_shared_from_this<Self> {
    struct Callbacks {
        OnProvisional provisional;
        OnFinal final;
    };

    Self(TransactionLayer &layer_, Resolver &resolver_, Loop &loop_, Options options_, Callbacks callbacks_)
        : layer(layer_), resolver(resolver_), loop(loop_), options(std::move(options_)), draft(options.draft),
          callbacks(std::make_shared<Callbacks>(std::move(callbacks_))), deadline(loop_) {}

    void begin();
    void resolve();
    void resolved_to(Result<std::vector<Hop>> hops);
    void next();
    void next_alternative();
    bool try_way();
    bool prefer_stream(const Flow &over);
    void on_response(const Message &response, const Flow &way);
    void on_final(const Message &response);
    void on_failure(const Error &error);
    bool retry(const Message &response);
    [[nodiscard]] bool refused_again(const std::vector<Challenge> &challenges) const;
    void conclude(Result<Message> response);
    void tell(const Result<Message> &response);
    void cancel(std::string_view reason);
    void expired();
    void drop_query();

    TransactionLayer &layer;
    Resolver &resolver;
    Loop &loop;
    Options options;
    Draft draft;
    std::shared_ptr<Callbacks> callbacks; // null: detached
    std::deque<Way> ways;
    Way current;
    Flow flow;
    ClientTransaction transaction;
    std::unique_ptr<Resolver::Query> query;
    Timer deadline;
    std::vector<std::string> realms; // answered
    Error last_error{Errc::network, "no way to the next hop", 0};
    unsigned attempts = 1;
    bool starting = true; // the constructor has not returned
    bool resolved = false, cancelled = false, authenticated = false, done = false;
    bool heard = false; // a response came on the current transaction
};

void ClientRequest::Self::begin() {
    if (options.authenticator) {
        options.authenticator->begin();
        options.authenticator->apply_cached(options.trusted, draft);
        authenticated = !draft.get("Authorization").empty() || !draft.get("Proxy-Authorization").empty();
    }
    if (options.total.count() > 0) deadline.start(options.total, [this] { expired(); });
    if (options.flow && layer.transports().alive(*options.flow)) {
        ways.push_back({{options.flow->kind, options.flow->remote, options.next_hop.host}, options.flow});
        next();
    } else {
        resolve();
    }
    starting = false;
}

void ClientRequest::Self::resolve() {
    resolved = true;
    query = resolver.resolve(options.next_hop, options.transport, [weak = weak_from_this()](auto hops) {
        if (const auto self = weak.lock()) self->resolved_to(std::move(hops));
    });
}

// The resolver is still inside the query when it calls us.
void ClientRequest::Self::drop_query() {
    if (!query) return;
    loop.post([old = std::shared_ptr<Resolver::Query>(std::move(query))] {});
}

void ClientRequest::Self::resolved_to(Result<std::vector<Hop>> hops) {
    drop_query();
    if (done) return;
    if (!hops) {
        last_error = hops.error();
        return next();
    }
    for (auto &hop : *hops)
        ways.push_back({std::move(hop), {}});
    next();
}

void ClientRequest::Self::next() {
    while (!ways.empty()) {
        current = std::move(ways.front());
        ways.pop_front();
        if (try_way()) return;
    }
    // The connection was lost: its peer may be reached by another.
    if (!resolved && options.flow && is_stream(options.flow->kind) && last_error.code != Errc::timeout)
        return resolve();
    if (!options.alternatives.empty()) return next_alternative();
    conclude(fail(last_error));
}

void ClientRequest::Self::next_alternative() {
    const std::string old = "<" + options.next_hop.encode() + ">";
    options.next_hop = std::move(options.alternatives.front());
    options.alternatives.erase(options.alternatives.begin());
    if (draft.get("Route") == old)
        draft.erase_first("Route").prepend("Route", "<" + options.next_hop.encode() + ">");
    resolve();
}

bool ClientRequest::Self::try_way() {
    auto opened = current.flow ? Result<Flow>(*current.flow) : layer.transports().open(current.hop);
    if (!opened) {
        last_error = opened.error();
        return false;
    }
    const auto keep = shared_from_this();
    if (options.prepare) options.prepare(draft, *opened);
    if (done) return true; // it destroyed us
    if (prefer_stream(*opened)) return false;
    flow = *opened;
    heard = false;
    const auto weak = weak_from_this();
    transaction = layer.request(
        draft, flow,
        [weak](const Message &response, const Flow &way) {
            if (const auto self = weak.lock()) self->on_response(response, way);
        },
        [weak](const Error &error) {
            if (const auto self = weak.lock()) self->on_failure(error);
        });
    if (cancelled) transaction.cancel();
    return true;
}

// RFC 3261 §18.1.1: what is too long for a datagram goes by TCP, and by UDP only when TCP is refused.
bool ClientRequest::Self::prefer_stream(const Flow &over) {
    if (over.kind != TransportKind::udp || current.stream_tried) return false;
    if (draft.encode().size() + stamp_size <= udp_limit) return false;
    current.stream_tried = true;
    Way stream{{TransportKind::tcp, over.remote, current.hop.host}, {}};
    ways.push_front(current);
    ways.push_front(std::move(stream));
    return true;
}

void ClientRequest::Self::on_response(const Message &response, const Flow &way) {
    const auto keep = shared_from_this();
    heard = true;
    if (response.status() >= 200) return on_final(response);
    if (done) return;
    if (const auto listening = callbacks; listening && listening->provisional)
        listening->provisional(response, way);
}

void ClientRequest::Self::on_final(const Message &response) {
    const unsigned status = response.status();
    if (done) { // another branch of a forked INVITE, or its 2xx again
        if (status / 100 == 2) tell(response);
        return;
    }
    if ((status == 401 || status == 407) && retry(response)) return;
    if (status == 503 && !cancelled && !(ways.empty() && options.alternatives.empty())) return next();
    conclude(response);
}

void ClientRequest::Self::on_failure(const Error &error) {
    const auto keep = shared_from_this();
    if (done) return;
    last_error = error;
    if (heard || cancelled) return conclude(fail(error));
    next();
}

// Every realm that asks has had our answer, and not because the nonce was old.
bool ClientRequest::Self::refused_again(const std::vector<Challenge> &challenges) const {
    return std::all_of(challenges.begin(), challenges.end(), [this](const Challenge &challenge) {
        return !challenge.stale && std::find(realms.begin(), realms.end(), challenge.realm) != realms.end();
    });
}

bool ClientRequest::Self::retry(const Message &response) {
    if (!options.authenticator || cancelled || attempts >= max_attempts) return false;
    const auto challenges = challenges_of(response);
    if (refused_again(challenges)) return false;
    const auto cseq = CSeq::parse(draft.get("CSeq"));
    if (!cseq || !options.authenticator->answer(response, options.trusted, draft)) return false;
    ++attempts;
    authenticated = true;
    for (const auto &challenge : challenges)
        realms.push_back(challenge.realm);
    draft.set("CSeq", std::to_string(cseq->number + 1) + " " + draft.method);
    current.flow.reset();
    if (layer.transports().alive(flow)) current.flow = flow;
    ways.push_front(current);
    next();
    return true;
}

void ClientRequest::Self::conclude(Result<Message> response) {
    done = true;
    deadline.cancel();
    if (!starting) return tell(response);
    loop.post([weak = weak_from_this(), response = std::move(response)] {
        if (const auto self = weak.lock()) self->tell(response);
    });
}

void ClientRequest::Self::tell(const Result<Message> &response) {
    const auto keep = shared_from_this();
    if (const auto listening = callbacks) listening->final({response, flow, authenticated});
}

void ClientRequest::Self::cancel(std::string_view reason) {
    if (done || std::exchange(cancelled, true)) return;
    if (parse_method(draft.method) == Method::invite && transaction.running())
        return transaction.cancel(reason);
    drop_query();
    transaction = {};
    starting = true; // never from inside cancel()
    conclude(fail(Errc::rejected, "cancelled", 487));
    starting = false;
}

void ClientRequest::Self::expired() {
    const auto keep = shared_from_this();
    transaction.cancel();
    transaction = {}; // a late 2xx goes to the layer's listener
    drop_query();
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(options.total).count();
    conclude(fail(Errc::timeout, "no final answer to " + draft.method + " from " +
                                     options.next_hop.host_port() + " within " + std::to_string(seconds) +
                                     " s"));
}

ClientRequest::ClientRequest(TransactionLayer &layer, Resolver &resolver, Loop &loop, Options options,
                             OnProvisional provisional, OnFinal final)
    : self_(std::make_shared<Self>(layer, resolver, loop, std::move(options),
                                   Self::Callbacks{std::move(provisional), std::move(final)})) {
    self_->begin();
}

ClientRequest::~ClientRequest() {
    self_->callbacks.reset();
    self_->done = true;
    self_->deadline.cancel();
    self_->drop_query();
    self_->transaction = {};
}

void ClientRequest::cancel(std::string_view reason_header) {
    self_->cancel(reason_header);
}

const Uri &ClientRequest::next_hop() const {
    return self_->options.next_hop;
}

const Draft &ClientRequest::draft() const {
    return self_->draft;
}

} // namespace offhook::sip
