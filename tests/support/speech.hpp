// Speech for tests, by espeak-ng: several voices, the same at every run.
#pragma once

#include <cstdint>
#include <vector>

namespace offhook::test {

struct Speech {
    unsigned rate = 0;
    std::vector<std::int16_t> samples;
};

// At least so many seconds; empty when there is no espeak-ng.
Speech speech(unsigned seconds);

} // namespace offhook::test
