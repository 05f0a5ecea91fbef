#include "phone/ringer.hpp"

#include <algorithm>

namespace offhook {

namespace {
constexpr Duration frame_time{20};
constexpr unsigned on_ticks = 50, cycle_ticks = 250; // 1 s of ringing, 4 s of pause
} // namespace

Ringer::Ringer(Loop &loop, media::Sink &sink)
    : sink_(sink), tone_(media::resampled(media::make_tone_source(440, 480), sink.rate())),
      frame_(sink.rate() * static_cast<unsigned>(frame_time.count()) / 1000), due_(loop.now()), timer_(loop) {
    tick();
}

void Ringer::tick() {
    if (ticks_ % cycle_ticks < on_ticks)
        tone_->read(frame_);
    else
        std::ranges::fill(frame_, std::int16_t{0});
    sink_.write(frame_);
    ++ticks_;
    due_ += frame_time;
    timer_.start_at(due_, [this] { tick(); });
}

} // namespace offhook
