// One callback out of libre's loop. What is posted from inside it, and the timers that are due by then, run
// when it has returned, without a way through the kernel. Of the one Loop there is.
#pragma once

#include <utility>

#include "base/callback.hpp"

namespace offhook {

void begin_turn() noexcept;
void end_turn() noexcept;

template <class Callback>
void in_turn(Callback &&callback) noexcept {
    begin_turn();
    guard(std::forward<Callback>(callback));
    end_turn();
}

} // namespace offhook
