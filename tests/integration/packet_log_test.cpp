// Packets from other threads into the loop, within bounds.
#include <array>
#include <thread>

#include <doctest/doctest.h>

#include "bridge/packet_log.hpp"
#include "tests/support/run_until.hpp"

using namespace offhook;
using namespace offhook::bridge;
using offhook::test::run_until;

namespace {

const Address here = Address::parse("192.0.2.1", 4000).value(),
              there = Address::parse("192.0.2.2", 5000).value();

} // namespace

TEST_SUITE("packet log") {
    TEST_CASE("packets of other threads arrive in the loop, in order") {
        Loop loop;
        std::string seen;
        const auto log = std::make_shared<PacketLog>(
            PacketLog::Limits{}, [&](const PacketLog::Packet &packet) { seen += packet.bytes; }, [] {});
        std::thread worker([&] {
            for (std::uint8_t n = 'a'; n <= 'z'; ++n)
                log->note(here, there, std::array{n});
        });
        CHECK(run_until(loop, [&] { return seen.size() == 26; }));
        worker.join();
        CHECK(seen == "abcdefghijklmnopqrstuvwxyz");
        CHECK(log->left_out() == 0);
    }

    TEST_CASE("what does not fit is left out and counted") {
        Loop loop;
        std::size_t packets = 0, full = 0;
        const std::array<std::uint8_t, 100> packet{};
        const auto log = std::make_shared<PacketLog>(
            PacketLog::Limits{250, 600}, [&](const PacketLog::Packet &) { ++packets; }, [&] { ++full; });
        for (int n = 0; n < 5; ++n)
            log->note(here, there, packet);
        CHECK(log->left_out() == 3);
        log->drain();
        CHECK(packets == 2);
        for (int n = 0; n < 4; ++n) {
            log->note(here, there, packet);
            log->note(here, there, packet);
            log->drain();
        }
        CHECK(packets == 6);
        CHECK(full == 1);
        log->note({}, there, packet); // no address yet
        CHECK(log->left_out() == 3);
    }
}
