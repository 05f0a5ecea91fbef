#include <algorithm>
#include <functional>
#include <set>

#include <doctest/doctest.h>

#include "media/ice_agent.hpp"
#include "media/ice_lite.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

Address at(const std::string &ip, std::uint16_t port) {
    return Address::parse(ip, port).value();
}

struct Party {
    Party(std::vector<IceBase> own, bool controlling, IceAgent::Timing timing = {})
        : bases(own), agent(std::move(own), IceCredentials::random(), controlling, timing) {}

    [[nodiscard]] IceDescription description() const {
        IceDescription ice{agent.local(), {}};
        for (const IceBase &base : bases)
            if (!hidden)
                ice.candidates.push_back(
                    {"1",
                     base.component,
                     ice_priority(base.relayed ? IceCandidateType::relayed : IceCandidateType::host,
                                  base.preference, base.component),
                     base.address,
                     base.relayed ? IceCandidateType::relayed : IceCandidateType::host,
                     {}});
        return ice;
    }

    std::vector<IceBase> bases;
    IceAgent agent;
    bool hidden = false; // names no candidates, as with mDNS
    int selected = 0, faltered = 0;
    std::optional<Error> failed;
};

// Two agents and the network between them, in simulated time.
struct Net {
    Net(Party a, Party b) : parties{std::move(a), std::move(b)} {}

    void exchange(unsigned components = 1) {
        absorb(0, parties[0].agent.set_remote(parties[1].description(), components, now));
        absorb(1, parties[1].agent.set_remote(parties[0].description(), components, now));
    }

    void absorb(std::size_t who, IceAgent::Step step) {
        Party &party = parties[who], &other = parties[1 - who];
        party.selected += step.selected ? 1 : 0;
        party.faltered += step.faltering ? 1 : 0;
        if (step.failed) party.failed = step.failed;
        for (auto &send : step.send) {
            ++sent;
            const Address from = party.bases[send.base].address;
            if (blocked && blocked(from, send.to)) continue;
            for (std::size_t base = 0; base < other.bases.size(); ++base)
                if (other.bases[base].address == send.to)
                    absorb(1 - who, other.agent.received(base, from, send.bytes, now));
        }
    }

    void run(Duration time) {
        const TimePoint until = now + time;
        for (int steps = 0; steps < 100000; ++steps) {
            std::optional<TimePoint> next;
            for (const Party &party : parties)
                if (const auto tick = party.agent.next_tick()) next = next ? std::min(*next, *tick) : *tick;
            if (!next || *next > until) break;
            now = std::max(now, *next);
            for (std::size_t who : {0U, 1U})
                if (const auto tick = parties[who].agent.next_tick(); tick && *tick <= now)
                    absorb(who, parties[who].agent.tick(now));
        }
        now = until;
    }

    void check_joined(const std::string &a, const std::string &b, unsigned component = 1) {
        for (std::size_t who : {0U, 1U}) {
            const Party &party = parties[who];
            REQUIRE(party.agent.selected(component));
            const auto &chosen = *party.agent.selected(component);
            CHECK(party.bases[chosen.base].address.to_string() == (who == 0 ? a : b));
            CHECK(chosen.remote.to_string() == (who == 0 ? b : a));
            CHECK(party.agent.validated(chosen.remote));
            CHECK(party.agent.complete());
        }
    }

    std::array<Party, 2> parties;
    TimePoint now{std::chrono::seconds(5000)};
    std::function<bool(const Address &from, const Address &to)> blocked;
    int sent = 0;
};

IceBase host(const std::string &ip, std::uint16_t port, unsigned component = 1) {
    return {component, at(ip, port), false};
}
IceBase relay(const std::string &ip, std::uint16_t port, unsigned component = 1) {
    return {component, at(ip, port), true};
}

} // namespace

TEST_SUITE("ice_agent") {

    TEST_CASE("two hosts find each other at once, and agree on the pair") {
        Net net(Party({host("192.0.2.1", 4000)}, true), Party({host("192.0.2.2", 5000)}, false));
        net.exchange();
        net.run(Duration{100});
        net.check_joined("192.0.2.1:4000", "192.0.2.2:5000");
        CHECK(net.sent < 20);
        CHECK(net.parties[0].selected == 1);
    }

    TEST_CASE("whichever description comes first") {
        for (const std::size_t first : {0U, 1U}) {
            Net net(Party({host("192.0.2.1", 4000)}, true), Party({host("192.0.2.2", 5000)}, false));
            auto &one = net.parties[first], &other = net.parties[1 - first];
            net.absorb(first, one.agent.set_remote(other.description(), 1, net.now));
            net.run(Duration{2000});
            CHECK_FALSE(other.agent.selected(1));
            net.absorb(1 - first, other.agent.set_remote(one.description(), 1, net.now));
            net.run(Duration{2000});
            net.check_joined("192.0.2.1:4000", "192.0.2.2:5000");
        }
    }

    TEST_CASE("the relay is taken when hosts cannot reach each other, the host pair when they can") {
        for (const bool block : {true, false}) {
            Net net(Party({host("192.0.2.1", 4000), relay("203.0.113.1", 6000)}, true),
                    Party({host("192.0.2.2", 5000), relay("203.0.113.1", 6001)}, false));
            if (block)
                net.blocked = [](const Address &from, const Address &to) {
                    return from.ip().starts_with("192.") || to.ip().starts_with("192.");
                };
            net.exchange();
            net.run(Duration{8000});
            if (block)
                net.check_joined("203.0.113.1:6000", "203.0.113.1:6001");
            else
                net.check_joined("192.0.2.1:4000", "192.0.2.2:5000");
        }
    }

    TEST_CASE("two components, each with its pair") {
        Net net(Party({host("192.0.2.1", 4000), host("192.0.2.1", 4001, 2)}, true),
                Party({host("192.0.2.2", 5000), host("192.0.2.2", 5001, 2)}, false));
        net.exchange(2);
        net.run(Duration{500});
        net.check_joined("192.0.2.1:4000", "192.0.2.2:5000", 1);
        net.check_joined("192.0.2.1:4001", "192.0.2.2:5001", 2);
    }

    TEST_CASE("a peer that names no address we can use is found by its own checks") {
        for (const bool we_control : {true, false}) {
            Net net(Party({host("192.0.2.1", 4000)}, we_control),
                    Party({host("192.0.2.2", 5000)}, !we_control));
            net.parties[1].hidden = true;
            net.exchange();
            net.run(Duration{1000});
            net.check_joined("192.0.2.1:4000", "192.0.2.2:5000");
        }
    }

    TEST_CASE("of several addresses the best that reach each other are taken") {
        const auto several = [](const std::string &network) {
            std::vector<IceBase> bases;
            for (unsigned n = 0; n < 6; ++n) {
                const std::string ip =
                    n == 5 ? "2001:db8::" + network : "10." + std::to_string(n) + ".0." + network;
                bases.push_back({1, at(ip, 4000), false, static_cast<std::uint16_t>(65535 - 256 * n)});
            }
            return bases;
        };
        for (const int reachable : {0, 2, 4, 5}) { // as if only that network were common to both
            Net net(Party(several("1"), true), Party(several("2"), false));
            net.blocked = [&](const Address &from, const Address &to) {
                const std::string prefix = "10." + std::to_string(reachable) + ".";
                if (reachable == 0) return false;
                if (reachable == 5) return to.family() == AF_INET;
                return !from.ip().starts_with(prefix) || !to.ip().starts_with(prefix);
            };
            net.exchange();
            net.run(Duration{8000});
            const std::string prefix =
                reachable == 5 ? "[2001:db8::" : "10." + std::to_string(reachable) + ".0.";
            const std::string end = reachable == 5 ? "]:4000" : ":4000";
            net.check_joined(prefix + "1" + end, prefix + "2" + end);
        }
    }

    TEST_CASE("a candidate whose address is known only later is paired then") {
        Net net(Party({host("192.0.2.1", 4000)}, true), Party({host("192.0.2.2", 5000)}, false));
        for (auto &party : net.parties)
            party.hidden = true;
        net.exchange();
        net.run(Duration{3000});
        CHECK_FALSE(net.parties[0].agent.selected(1)); // nobody can begin
        net.parties[0].agent.add_remote(
            {"1", 1, 2130706431, at("192.0.2.2", 5000), IceCandidateType::host, {}});
        net.run(Duration{3000});
        net.check_joined("192.0.2.1:4000", "192.0.2.2:5000");
        net.parties[0].agent.add_remote(
            {"1", 2, 1, at("192.0.2.2", 5001), IceCandidateType::host, {}}); // of none
    }

    TEST_CASE("both think they control, or neither does: the tie is broken") {
        for (const bool controlling : {true, false}) {
            Net net(Party({host("192.0.2.1", 4000)}, controlling),
                    Party({host("192.0.2.2", 5000)}, controlling));
            net.exchange();
            net.run(Duration{3000});
            net.check_joined("192.0.2.1:4000", "192.0.2.2:5000");
            CHECK(net.parties[0].agent.controlling() != net.parties[1].agent.controlling());
        }
    }

    TEST_CASE("no way: failed after the patience, once, and bounded in packets") {
        Net net(Party({host("192.0.2.1", 4000)}, true), Party({host("192.0.2.2", 5000)}, false));
        net.blocked = [](const Address &, const Address &) { return true; };
        IceDescription many = net.parties[1].description();
        for (std::uint16_t n = 0; n < 500; ++n)
            many.candidates.push_back({"2",
                                       1,
                                       n,
                                       at("198.51.100.1", static_cast<std::uint16_t>(1024 + n)),
                                       IceCandidateType::host,
                                       {}});
        net.absorb(0, net.parties[0].agent.set_remote(many, 1, net.now));
        net.run(Duration{14'000});
        CHECK_FALSE(net.parties[0].failed);
        net.run(Duration{2'000});
        REQUIRE(net.parties[0].failed);
        CHECK(net.parties[0].failed->code == Errc::media);
        CHECK(net.sent <= 100 * 6);
        CHECK_FALSE(net.parties[0].agent.next_tick());
    }

    TEST_CASE("consent is asked for and its loss is told within 30 s") { // RFC 7675
        Net net(Party({host("192.0.2.1", 4000)}, true), Party({host("192.0.2.2", 5000)}, false));
        net.exchange();
        net.run(Duration{120'000});
        CHECK_FALSE(net.parties[0].failed);
        CHECK_FALSE(net.parties[1].failed);
        CHECK(net.sent > 80); // two ends, two datagrams, 24 times
        CHECK(net.sent < 160);
        net.blocked = [](const Address &, const Address &) { return true; };
        CHECK(net.parties[0].faltered == 0);
        net.run(Duration{16'000});
        CHECK(net.parties[0].faltered == 1);
        net.run(Duration{8'000});
        CHECK_FALSE(net.parties[0].failed);
        net.run(Duration{6'000});
        CHECK(net.parties[0].failed);
        CHECK(net.parties[1].failed);
    }

    TEST_CASE("a restart moves to the new pair; until then the old one serves") {
        Net net(Party({host("192.0.2.1", 4000)}, true), Party({host("192.0.2.2", 5000)}, false));
        net.exchange();
        net.run(Duration{1000});
        const auto before = net.parties[0].agent.selected(1);
        for (Party &party : net.parties)
            party.agent.restart(IceCredentials::random());
        CHECK(net.parties[0].agent.selected(1) == before);
        CHECK_FALSE(net.parties[0].agent.complete());
        net.run(Duration{20'000}); // the answer takes its time: consent goes on
        CHECK_FALSE(net.parties[0].failed);
        CHECK(net.parties[0].agent.selected(1) == before);
        net.exchange();
        net.run(Duration{60'000});
        net.check_joined("192.0.2.1:4000", "192.0.2.2:5000");
        CHECK_FALSE(net.parties[0].failed);
        CHECK(net.parties[0].selected == 2);
    }

    TEST_CASE("a lite peer: we control") {
        IceLite lite(IceCredentials::random());
        Party party({host("192.0.2.1", 4000)}, false);
        IceDescription description{
            lite.local(), {{"1", 1, 2130706431, at("192.0.2.2", 5000), IceCandidateType::host, {}}}, true};
        TimePoint now{std::chrono::seconds(5000)};
        const auto pass = [&](const IceAgent::Step &step) {
            for (const auto &send : step.send) {
                const auto outcome = lite.received(at("192.0.2.1", 4000), send.bytes, now);
                if (!outcome.reply.empty())
                    (void)party.agent.received(0, at("192.0.2.2", 5000), outcome.reply, now);
            }
        };
        pass(party.agent.set_remote(description, 1, now));
        for (int n = 0; n < 100 && party.agent.next_tick(); ++n) {
            now = std::max(now, *party.agent.next_tick());
            pass(party.agent.tick(now));
        }
        CHECK(party.agent.controlling());
        CHECK(party.agent.complete());
        CHECK(lite.selected() == at("192.0.2.1", 4000));
        CHECK_FALSE(lite.consent_lost(now));
    }

    TEST_CASE("forged checks and answers select nothing") {
        Net net(Party({host("192.0.2.1", 4000)}, true), Party({host("192.0.2.2", 5000)}, false));
        IceAgent &agent = net.parties[0].agent;
        (void)agent.set_remote(net.parties[1].description(), 1, net.now);
        const auto step = agent.tick(net.now);
        REQUIRE(step.send.size() == 1);
        const auto request = StunMessage::parse(step.send[0].bytes);
        REQUIRE(request);
        const auto mallory = at("192.0.2.66", 6666), peer = at("192.0.2.2", 5000);
        const auto unsigned_answer = StunWriter::reply(*request, StunClass::success)
                                         .add_address(StunAttribute::xor_mapped_address, mallory)
                                         .finish();
        (void)agent.received(0, peer, unsigned_answer, net.now);
        const auto wrong_key = StunWriter::reply(*request, StunClass::success).finish_signed("guess");
        (void)agent.received(0, peer, wrong_key, net.now);
        for (const auto &user : {agent.local().ufrag + ":x", std::string("x:y"), std::string()}) {
            const auto check = StunWriter(StunClass::request, StunMethod::binding, random_transaction())
                                   .add(StunAttribute::username, user)
                                   .add_flag(StunAttribute::use_candidate)
                                   .finish_signed("guess");
            (void)agent.received(0, mallory, check, net.now);
        }
        CHECK_FALSE(agent.selected(1));
        CHECK_FALSE(agent.validated(mallory));
        CHECK_FALSE(agent.validated(peer));
        for (std::size_t size = 0; size < step.send[0].bytes.size(); ++size)
            CHECK(agent.received(0, peer, Bytes(step.send[0].bytes).first(size), net.now).send.empty());
    }

} // TEST_SUITE
