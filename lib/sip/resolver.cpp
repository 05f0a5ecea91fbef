#include "sip/resolver.hpp"

#include <algorithm>
#include <optional>

#include "base/random.hpp"
#include "sip/dns_lookup.hpp"
#include "sip/host_lookup.hpp"
#include "sip/resolve_plan.hpp"

namespace offhook::sip {

namespace {

constexpr std::size_t hops_at_most = 16;
constexpr std::size_t targets_at_most = 8;

std::uint32_t random_up_to(std::uint32_t n) {
    return static_cast<std::uint32_t>(random_u32() % (static_cast<std::uint64_t>(n) + 1));
}

std::string without_dot(std::string name) {
    if (name.size() > 1 && name.ends_with('.')) name.pop_back();
    return name;
}

} // namespace

struct Resolver::Self {
    Self(Loop &on, Options chosen) : loop(on), options(std::move(chosen)), dns(options.nameservers) {}

    Loop &loop;
    Options options;
    DnsLookup dns;
    std::optional<HostLookup> hosts; // its thread starts with the first name

    HostLookup &host_lookup() {
        if (!hosts) hosts.emplace();
        return *hosts;
    }
};

namespace {

// One URI on its way to hops: NAPTR, then SRV (all at once), then addresses (all at once); what an earlier
// step does not bring, a later one does without.
class Resolution final : public Resolver::Query, public std::enable_shared_from_this<Resolution> {
public:
    Resolution(Loop &loop, DnsLookup &dns, HostLookup *hosts, Resolver::Done done)
        : dns_(dns), hosts_(hosts), done_(std::move(done)), deadline_(loop), service_deadline_(loop),
          finishing_(loop) {}

    void start(Result<ResolvePlan> plan, Duration patience);

private:
    struct Target { // a host that needs addresses
        TransportKind kind;
        std::string host;
        std::uint16_t port;
        std::vector<Address> addresses;
    };
    using Type = DnsLookup::Type;

    bool ask(const std::string &name, Type type, DnsLookup::Done done);
    void service_timed_out();
    void naptr_answered(const DnsLookup::Answer &answer);
    void ask_srv();
    void srv_answered(std::size_t index, const DnsLookup::Answer &answer);
    void gather_targets();
    void ask_addresses();
    void ask_address(std::size_t index);
    void one_down();
    void timed_out();
    void succeed();
    void finish(Result<std::vector<Hop>> result);

    DnsLookup &dns_;
    HostLookup *hosts_; // null: addresses by DNS
    Resolver::Done done_;
    Timer deadline_, service_deadline_, finishing_;
    ResolvePlan plan_;
    std::vector<std::vector<SrvRecord>> found_; // parallel to plan_.srv
    std::vector<Target> targets_;
    std::string problem_; // of the last look-up that failed
    std::size_t pending_ = 0;
    bool finished_ = false;
    std::vector<std::unique_ptr<DnsLookup::Question>> questions_;
};

void Resolution::start(Result<ResolvePlan> plan, Duration patience) {
    if (!plan) return finish(fail(plan.error()));
    plan_ = std::move(*plan);
    if (const auto address = Address::parse(plan_.host)) {
        const std::uint16_t port = plan_.port != 0 ? plan_.port : default_port(plan_.kind);
        return finish(std::vector<Hop>{{plan_.kind, address->with_port(port), plan_.host}});
    }
    deadline_.start(patience, [this] { timed_out(); });
    if (plan_.ask_naptr || !plan_.srv.empty())
        service_deadline_.start(patience * 2 / 5, [this] { service_timed_out(); });
    if (plan_.ask_naptr &&
        ask(plan_.host, Type::naptr, [this](const DnsLookup::Answer &answer) { naptr_answered(answer); }))
        return;
    ask_srv();
}

bool Resolution::ask(const std::string &name, Type type, DnsLookup::Done done) {
    auto question = dns_.ask(name, type, std::move(done));
    if (!question) return false;
    ++pending_;
    questions_.push_back(std::move(question));
    return true;
}

void Resolution::naptr_answered(const DnsLookup::Answer &answer) {
    --pending_;
    auto lookups = select_naptr(answer.naptr, plan_.secure_only);
    if (!lookups.empty()) plan_.srv = std::move(lookups);
    ask_srv();
}

void Resolution::ask_srv() {
    if (plan_.srv.size() > targets_at_most) plan_.srv.resize(targets_at_most);
    found_.resize(plan_.srv.size());
    ++pending_; // ourselves, until all are asked
    for (std::size_t i = 0; i < plan_.srv.size(); ++i)
        ask(plan_.srv[i].name, Type::srv, [this, i](const auto &answer) { srv_answered(i, answer); });
    if (--pending_ == 0) gather_targets();
}

void Resolution::srv_answered(std::size_t index, const DnsLookup::Answer &answer) {
    found_[index] = order_srv(answer.srv, random_up_to);
    if (--pending_ == 0) gather_targets();
}

// A dead DNS server must not keep a name of /etc/hosts from being found.
void Resolution::service_timed_out() {
    questions_.clear();
    pending_ = 0;
    gather_targets();
}

void Resolution::gather_targets() {
    service_deadline_.cancel();
    for (std::size_t i = 0; i < found_.size(); ++i)
        for (const SrvRecord &record : found_[i])
            if (targets_.size() < targets_at_most)
                targets_.push_back({plan_.srv[i].kind, without_dot(record.target), record.port, {}});
    if (targets_.empty())
        targets_.push_back(
            {plan_.kind, plan_.host, plan_.port != 0 ? plan_.port : default_port(plan_.kind), {}});
    ask_addresses();
}

void Resolution::ask_addresses() {
    ++pending_;
    for (std::size_t i = 0; i < targets_.size(); ++i)
        ask_address(i);
    one_down();
}

void Resolution::ask_address(std::size_t index) {
    Target &target = targets_[index];
    if (const auto numeric = Address::parse(target.host)) {
        target.addresses.push_back(*numeric);
        return;
    }
    if (hosts_ == nullptr) {
        for (const Type type : {Type::aaaa, Type::a})
            ask(target.host, type, [this, index](const DnsLookup::Answer &answer) {
                auto &all = targets_[index].addresses;
                all.insert(all.end(), answer.addresses.begin(), answer.addresses.end());
                one_down();
            });
        return;
    }
    ++pending_;
    hosts_->start(target.host, weak_from_this(), [this, index](const Result<std::vector<Address>> &answer) {
        if (answer)
            targets_[index].addresses = *answer;
        else
            problem_ = answer.error().what;
        one_down();
    });
}

void Resolution::one_down() {
    if (--pending_ == 0) succeed();
}

void Resolution::succeed() {
    std::vector<Hop> hops;
    for (const Target &target : targets_)
        for (const Address &address : target.addresses)
            if (hops.size() < hops_at_most)
                // The certificate must carry the name the user asked for, not what DNS said (RFC 5922 §4).
                hops.push_back({target.kind, address.with_port(target.port), plan_.host});
    if (!hops.empty()) return finish(std::move(hops));
    finish(fail(Errc::network,
                !problem_.empty() ? problem_ : "no address for " + plan_.host + ": not found in DNS"));
}

void Resolution::timed_out() {
    questions_.clear();
    if (!targets_.empty() &&
        std::ranges::any_of(targets_, [](const Target &t) { return !t.addresses.empty(); }))
        return succeed(); // what came so far is enough to begin with
    finish(fail(Errc::network, "no address for " + plan_.host + ": no answer from DNS"));
}

// From the loop: the caller of resolve() does not have the query yet, and libre is amid its own callback.
void Resolution::finish(Result<std::vector<Hop>> result) {
    if (finished_) return;
    finished_ = true;
    deadline_.cancel();
    service_deadline_.cancel();
    finishing_.start(Duration(0), [this, result = std::move(result)] {
        const Resolver::Done done = std::move(done_); // may destroy us
        done(result);
    });
}

// What the caller owns; look-ups in the helper thread see by a weak pointer that it is gone.
class Handle final : public Resolver::Query {
public:
    explicit Handle(std::shared_ptr<Resolution> resolution) : resolution_(std::move(resolution)) {}

private:
    std::shared_ptr<Resolution> resolution_;
};

} // namespace

Resolver::Resolver(Loop &loop, Options options) : self_(std::make_shared<Self>(loop, std::move(options))) {}

Resolver::~Resolver() = default;

std::unique_ptr<Resolver::Query> Resolver::resolve(const Uri &uri, std::optional<TransportKind> preferred,
                                                   Done done) {
    return start(plan_resolution(uri, preferred), std::move(done));
}

std::unique_ptr<Resolver::Query> Resolver::resolve_service(const std::string &host,
                                                           const std::string &service,
                                                           std::uint16_t default_port, Done done) {
    ResolvePlan plan;
    plan.host = host;
    plan.port = default_port;
    plan.srv.push_back({TransportKind::udp, service + "." + host});
    return start(plan, std::move(done));
}

std::unique_ptr<Resolver::Query> Resolver::start(const Result<ResolvePlan> &plan, Done done) {
    HostLookup *hosts = self_->options.nameservers.empty() ? &self_->host_lookup() : nullptr;
    auto resolution = std::make_shared<Resolution>(self_->loop, self_->dns, hosts, std::move(done));
    resolution->start(plan, self_->options.deadline);
    return std::make_unique<Handle>(std::move(resolution));
}

} // namespace offhook::sip
