// Changes are made in a network of the test's own, which only root may have; others test that it opens.
#include <cstring>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/link_watch.hpp"

using namespace offhook;

namespace {

// An empty network namespace for this thread, until the end of the scope.
class OwnNetwork {
public:
    OwnNetwork() : before_(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)) {
        entered_ = before_ && unshare(CLONE_NEWNET) == 0;
    }
    ~OwnNetwork() {
        if (entered_) CHECK(setns(before_.get(), CLONE_NEWNET) == 0);
    }
    OwnNetwork(const OwnNetwork &) = delete;
    OwnNetwork &operator=(const OwnNetwork &) = delete;
    [[nodiscard]] bool entered() const { return entered_; }

private:
    Fd before_;
    bool entered_ = false;
};

bool set_loopback(bool up) {
    const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
    request.ifr_flags = static_cast<short>(up ? IFF_UP : 0);
    return ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

} // namespace

TEST_SUITE("base") {

    TEST_CASE("a link watch stays silent while nothing changes") {
        Loop loop;
        int changes = 0;
        const auto watch = LinkWatch::open(loop, [&] { ++changes; });
        REQUIRE(watch);
        Timer end(loop);
        end.start(Duration(50), [&] { loop.stop(); });
        REQUIRE(loop.run());
        CHECK(changes == 0);
    }

    TEST_CASE("a link watch tells of a link that comes up or goes down, once for each burst") {
        const OwnNetwork network;
        if (!network.entered()) return;
        Loop loop;
        int changes = 0;
        const auto watch = LinkWatch::open(loop, [&] {
            ++changes;
            loop.stop();
        });
        REQUIRE(watch);
        for (const bool up : {true, false}) {
            const TimePoint start = loop.now();
            REQUIRE(set_loopback(up));
            Timer watchdog(loop);
            watchdog.start(Duration(5000), [&] { loop.stop(); });
            REQUIRE(loop.run());
            CHECK(watchdog.running());
            CHECK(loop.now() - start >= LinkWatch::settle - Duration(10));
        }
        CHECK(changes == 2);
        REQUIRE(set_loopback(true)); // up and down again within the burst: nothing has changed
        REQUIRE(set_loopback(false));
        Timer end(loop);
        end.start(LinkWatch::settle * 2, [&] { loop.stop(); });
        REQUIRE(loop.run());
        CHECK(changes == 2);
    }

} // TEST_SUITE
