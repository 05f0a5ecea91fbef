// Rings on the sound device while a call waits to be answered: no media leg is running yet.
#pragma once

#include <memory>
#include <vector>

#include "base/loop.hpp"
#include "media/device.hpp"

namespace offhook {

class Ringer {
public:
    Ringer(Loop &loop, media::Sink &sink);
    ~Ringer() = default;
    Ringer(const Ringer &) = delete;
    Ringer &operator=(const Ringer &) = delete;

private:
    void tick();

    media::Sink &sink_;
    std::unique_ptr<media::Source> tone_;
    std::vector<std::int16_t> frame_;
    unsigned ticks_ = 0;
    TimePoint due_;
    Timer timer_;
};

} // namespace offhook
