#pragma once

#include <functional>

#include "base/loop.hpp"

namespace offhook::test {

// Runs the loop until `done()` holds; false when `patience` passed first. Others may stop the loop meanwhile.
bool run_until(Loop &loop, const std::function<bool()> &done, Duration patience = Duration{10'000});

} // namespace offhook::test
