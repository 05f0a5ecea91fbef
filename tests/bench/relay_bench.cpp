// The bridge's relay alone, as `offhook wss-bridge` runs it for each call: RTP comes in from one end and goes
// out as SRTP (AES_CM_128_HMAC_SHA1_80) to the other. Reads the ports of both ends of each flow ("A B"),
// prints where A is to send, relays until killed.
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include "bridge/relay.hpp"
#include "media/media_ports.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

Address loopback(std::uint16_t port) {
    return *Address::parse("127.0.0.1", port);
}

std::shared_ptr<Relay> start(MediaWorker &worker, std::uint16_t a, std::uint16_t b) {
    auto relay = std::make_shared<Relay>(worker, std::make_shared<RelayCounters>(), Relay::Events{}, nullptr);
    auto near = media::open_media_port(loopback(0), 0, 0, true),
         far = media::open_media_port(loopback(0), 0, 0, true);
    if (!near || !far) std::exit(1);
    std::cout << near->port << '\n';
    Relay::LinePlan line;
    line.from_caller.of[0].out = 0;
    line.from_callee.of[0].out = 0;
    line.caller_remote = loopback(a);
    line.callee_remote = loopback(b);
    const auto suite = media::SrtpSuite::aes128_cm_sha1_80;
    line.callee_keys = media::SrtpKeys{media::SrtpKey::random(suite), media::SrtpKey::random(suite)};
    struct Setup {
        media::MediaPort near, far;
        std::vector<Relay::LinePlan> plan;
    };
    auto setup = std::make_shared<Setup>(Setup{std::move(*near), std::move(*far), {std::move(line)}});
    worker.post([relay, setup] {
        relay->start();
        relay->add_line(0, 0, std::move(setup->near.rtp), std::move(setup->near.rtcp),
                        loopback(setup->near.port), 1);
        relay->add_line(1, 0, std::move(setup->far.rtp), std::move(setup->far.rtcp),
                        loopback(setup->far.port), 2);
        relay->configure(0, std::move(setup->plan), loopback(0), loopback(0));
        relay->settle(0);
    });
    return relay;
}

} // namespace

int main() {
    const rlimit files{16'384, 16'384};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    auto worker = MediaWorker::start();
    if (!worker) return 1;
    std::vector<std::shared_ptr<Relay>> relays;
    for (std::uint16_t a = 0, b = 0; std::cin >> a >> b;)
        relays.push_back(start(**worker, a, b));
    std::cout.flush();
    pause();
}
