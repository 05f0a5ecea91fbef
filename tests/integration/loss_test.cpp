// Two hundred calls at once through a relay that loses SIP messages.
#include <map>
#include <memory>

#include <doctest/doctest.h>

#include "sip/invite_session.hpp"
#include "tests/support/lossy_relay.hpp"
#include "tests/support/run_until.hpp"

using namespace offhook;
using namespace offhook::sip;
using namespace offhook::test;

namespace {

// A tenth of the usual timers: the same retransmissions in a tenth of the time (64*T1 is 3.2 s).
constexpr TimerValues tenth{Duration(50), Duration(400), Duration(500)};

// A party with many calls. The caller hangs up as soon as it is answered.
class Crowd final : UserAgent::Listener {
public:
    explicit Crowd(Loop &on) : ua(on, {.product = {}, .timers = tenth, .limits = {}}, *this) {
        address = ua.transports().listen(TransportKind::udp, Address::parse("127.0.0.1", 0).value()).value();
    }

    void call(const Address &whom) {
        NameAddr to;
        to.uri = Uri::parse("sip:callee@" + whom.to_string()).value();
        auto &one = add();
        one.caller = true;
        one.session = InviteSession::outgoing(ua, to, "v=0", options(), one);
    }
    [[nodiscard]] std::size_t ended() const {
        return count([](const One &one) { return one.over; });
    }
    [[nodiscard]] std::size_t complete() const {
        return count([](const One &one) { return one.over && one.status == 200; });
    }

    UserAgent ua;
    Address address;

private:
    struct One final : InviteSession::Listener {
        explicit One(Loop &on) : loop(on) {}
        Result<std::string> on_offer(std::string_view) override { return "v=0"; }
        Result<std::string> make_offer() override { return "v=0"; }
        Result<> on_answer(std::string_view) override { return {}; }
        void on_reinvited(const Result<> &) override {}
        void on_progress(const Message &) override {}
        void on_confirmed(const Message &) override {
            if (caller) loop.post([this] { session->hang_up(); });
        }
        unsigned on_info(const Message &) override { return 200; }
        void on_ended(const SessionEnd &end) override {
            over = true;
            status = end.error ? 0 : end.status;
        }
        Loop &loop;
        std::unique_ptr<InviteSession> session;
        bool caller = false, over = false;
        unsigned status = 0;
    };

    One &add() { return *all_.emplace_back(std::make_unique<One>(ua.loop())); }
    InviteSession::Options options() const {
        InviteSession::Options made;
        made.from.uri = Uri::parse("sip:party@" + address.to_string()).value();
        made.contact_user = "party";
        return made;
    }
    std::size_t count(const std::function<bool(const One &)> &wanted) const {
        return static_cast<std::size_t>(
            std::ranges::count_if(all_, [&](const auto &one) { return wanted(*one); }));
    }
    bool serves(const Uri &, const Message &, const Flow &) override { return true; }
    void on_invite(const Message &invite, const Flow &flow, ServerTransaction transaction) override {
        auto &one = add();
        auto session = InviteSession::incoming(ua, invite, flow, std::move(transaction), options(), one);
        REQUIRE(session.has_value());
        one.session = std::move(*session);
        one.session->ring();
        one.session->accept("v=0");
    }
    void on_flow_failed(const Flow &, const Error &) override {}

    std::vector<std::unique_ptr<One>> all_;
};

std::size_t completed(double loss, unsigned seed) {
    constexpr std::size_t calls = 200;
    Loop loop;
    Crowd callers(loop), callees(loop);
    LossyRelay relay(callers.address, callees.address, loss, seed);
    for (std::size_t i = 0; i < calls; ++i)
        callers.call(relay.for_caller());
    CHECK(run_until(
        loop, [&] { return callers.ended() == calls; }, Duration{20'000}));
    const auto share = static_cast<double>(relay.lost()) / static_cast<double>(relay.lost() + relay.passed());
    CHECK(share == doctest::Approx(loss).epsilon(0.2)); // the relay does what it says
    INFO("lost ", relay.lost(), " of ", relay.lost() + relay.passed());
    return callers.complete();
}

} // namespace

TEST_SUITE("sip loss") {
    TEST_CASE("10 % of all messages lost: 200 of 200 calls complete") {
        CHECK(completed(0.1, 1) == 200);
    }

    TEST_CASE("30 % lost: at least 198 of 200") {
        CHECK(completed(0.3, 2) >= 198);
    }
}
