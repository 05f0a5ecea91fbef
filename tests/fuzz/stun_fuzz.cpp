// A datagram to both kinds of ICE agent and a TURN client: as it came, and its pieces as attributes of a
// check that is signed with our password, so that what lies behind the signature is reached too.
#include <algorithm>

#include "media/ice_agent.hpp"
#include "media/ice_lite.hpp"
#include "media/turn_client.hpp"
#include "tests/fuzz/body.hpp"

using namespace offhook;
using namespace offhook::fuzz;
using namespace offhook::media;

namespace {

const TimePoint now{std::chrono::seconds(1000)};
const IceCredentials ours{"localufrag", "localpasswordlocalpassword"};

Address at(const char *ip, std::uint16_t port) {
    return Address::parse(ip, port).value();
}

std::vector<std::uint8_t> signed_check(Input input) {
    StunWriter writer(StunClass::request, StunMethod::binding, random_transaction());
    writer.add(StunAttribute::username, ours.ufrag + ":remote");
    Pieces pieces(input.first(std::min<std::size_t>(input.size(), 256)));
    while (!pieces.empty()) {
        const auto type = static_cast<StunAttribute>(pieces.number(2));
        writer.add(type, pieces.take(pieces.byte() % 40));
    }
    return writer.finish_signed(ours.password);
}

void arrives(Bytes datagram) {
    const Address from = at("192.0.2.7", 7000);
    IceLite lite(ours);
    const auto outcome = lite.received(from, datagram, now);
    require(outcome.reply.size() <= datagram.size() + 256);
    require(!lite.selected() || outcome.accepted);
    for (const bool controlling : {true, false}) {
        IceAgent agent({{1, at("192.0.2.1", 4000), false}}, ours, controlling, {});
        (void)agent.set_remote({{"remote", "remotepasswordremotepassword"},
                                {{"1", 1, 1, at("192.0.2.2", 5000), IceCandidateType::host, {}}}},
                               1, now);
        (void)agent.tick(now);
        (void)agent.received(0, from, datagram, now);
        (void)agent.tick(now + Duration{1'000});
        require(!agent.selected(1)); // nobody has answered our checks
    }
    TurnClient turn({"user", "password"});
    (void)turn.start(now);
    (void)turn.received(datagram, now);
    require(!turn.relayed());
    (void)turn_message_size(datagram);
}

} // namespace

FUZZ_BODY(stun) {
    arrives(input);
    arrives(signed_check(input));
    (void)parse_candidate(text_of(input));
    (void)parse_named_candidate(text_of(input));
}
