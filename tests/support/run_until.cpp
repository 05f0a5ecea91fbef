#include "tests/support/run_until.hpp"

namespace offhook::test {

bool run_until(Loop &loop, const std::function<bool()> &done, Duration patience) {
    bool late = false;
    Timer watchdog(loop), poll(loop);
    watchdog.start(patience, [&] {
        late = true;
        loop.stop();
    });
    std::function<void()> again = [&] {
        poll.start(Duration{2}, again);
        loop.stop();
    };
    poll.start(Duration{0}, again);
    while (!done() && !late)
        if (!loop.run()) return false;
    return done();
}

} // namespace offhook::test
