#include <doctest/doctest.h>

#include "bridge/ice_gate.hpp"
#include "media/stun.hpp"

using namespace offhook;
using namespace offhook::bridge;
using Verdict = sip::PortGuest::Verdict;

namespace {

std::string framed(const std::vector<std::uint8_t> &packet) {
    std::string out{static_cast<char>(packet.size() >> 8U), static_cast<char>(packet.size() & 0xFFU)};
    out.append(packet.begin(), packet.end());
    return out;
}

std::string check(const std::string &user, std::string_view password, std::size_t software = 4) {
    media::StunWriter writer(media::StunClass::request, media::StunMethod::binding,
                             media::random_transaction());
    writer.add(media::StunAttribute::username, user);
    writer.add(media::StunAttribute::software, std::string(software, 'x'));
    return framed(writer.finish_signed(password));
}

Address at(const char *ip, std::uint16_t port) {
    return Address::parse(ip, port).value();
}

} // namespace

TEST_SUITE("bridge ice gate") {
    TEST_CASE("only a check that knows a leg's password gets through, and to that leg") {
        IceGate gate;
        int anna = 0, ben = 0;
        std::vector<std::uint8_t> read;
        gate.add({"anna", "rose"}, [&](Fd, const Address &, auto bytes) {
            ++anna;
            read = std::move(bytes);
        });
        gate.add({"ben", "lily"}, [&](Fd, const Address &, auto) { ++ben; });
        CHECK(gate.begins_with(0));
        CHECK(gate.begins_with(1));
        CHECK_FALSE(gate.begins_with(2));
        CHECK_FALSE(gate.begins_with(22));
        CHECK_FALSE(gate.begins_with('G'));
        const std::string good = check("anna:browser", "rose"), more = good + "more";
        CHECK(gate.judge(good) == Verdict::take);
        CHECK(gate.judge(more) == Verdict::take);
        gate.take(Fd(), at("192.0.2.7", 7000), more);
        CHECK(anna == 1);
        CHECK(std::string(read.begin(), read.end()) == more);
        gate.take(Fd(), at("192.0.2.7", 7000), check("ben:browser", "lily"));
        CHECK(ben == 1);
        CHECK(gate.refused() == 0);
        CHECK(gate.judge(check("anna:browser", "lily")) == Verdict::refuse);
        CHECK(gate.judge(check("carl:browser", "rose")) == Verdict::refuse);
        CHECK(gate.judge(check("", "rose")) == Verdict::refuse);
        gate.remove("anna");
        CHECK(gate.judge(good) == Verdict::refuse);
        gate.refused(
            at("192.0.2.8", 7000)); // as the connection tells it, whose address judge() does not know
        CHECK(gate.refused() == 1);
        CHECK(gate.stranger() == at("192.0.2.8", 7000));
        CHECK(gate.taken() == 2);
    }

    TEST_CASE("more is waited for as long as it may become a check, and no longer") {
        IceGate gate;
        gate.add({"anna", "rose"}, {});
        const std::string good = check("anna:browser", "rose");
        for (std::size_t size = 1; size < good.size(); ++size)
            REQUIRE(gate.judge(std::string_view(good).substr(0, size)) == Verdict::more);
        CHECK(gate.judge(std::string("\0\x13", 2)) == Verdict::refuse); // no STUN header fits
        CHECK(gate.judge(std::string("\0\0", 2)) == Verdict::refuse);
        CHECK(gate.judge(check("anna:browser", "rose", 400)) == Verdict::take);
        CHECK(gate.judge(check("anna:browser", "rose", 500).substr(0, 2)) == Verdict::refuse); // too large
        CHECK(gate.judge(framed(std::vector<std::uint8_t>(100, 0))) == Verdict::refuse);
        std::string damaged = good;
        damaged[40] ^= 1;
        CHECK(gate.judge(damaged) == Verdict::refuse);
    }

    TEST_CASE("the port that browsers are told is one that leads here") {
        IceGate gate;
        CHECK(gate.port_for(at("192.0.2.1", 0)) == 0);
        gate.set_listeners({at("127.0.0.1", 8080), at("192.0.2.1", 8443), at("::", 9443)});
        CHECK(gate.port_for(at("192.0.2.1", 0)) == 8443);
        CHECK(gate.port_for(at("127.0.0.1", 0)) == 8080);
        CHECK(gate.port_for(at("192.0.2.2", 0)) == 0);
        CHECK(gate.port_for(Address::any(AF_INET)) == 8443); // behind a NAT: not what is for this host alone
        CHECK(gate.port_for(at("2001:db8::1", 0)) == 9443);
        gate.set_listeners({at("127.0.0.1", 8080)});
        CHECK(gate.port_for(Address::any(AF_INET)) == 0);
    }
}
