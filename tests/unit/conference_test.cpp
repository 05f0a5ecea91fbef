#include <doctest/doctest.h>

#include "media/conference.hpp"

using namespace offhook::media;

namespace {

using Frame = std::vector<std::int16_t>;

Frame level(std::size_t samples, std::int16_t value) {
    return Frame(samples, value);
}

Frame hear(Conference &room, Conference::Member who, unsigned rate = 8000) {
    Frame frame(rate / 50, 0);
    room.add_to(who, frame, rate);
    return frame;
}

} // namespace

TEST_SUITE("media conference") {
    TEST_CASE("everybody hears the sum of all others, nobody themselves") {
        Conference room;
        const auto a = room.join();
        const auto b = room.join();
        const auto c = room.join();
        for (const auto who : {a, b, c})
            CHECK(hear(room, who) == level(160, 0)); // now it is known how fast each listens
        room.give(a, level(160, 100), 8000);
        room.give(b, level(160, 20), 8000);
        room.give(c, level(160, 3), 8000);
        CHECK(hear(room, a) == level(160, 23));
        CHECK(hear(room, b) == level(160, 103));
        CHECK(hear(room, c) == level(160, 120));
        CHECK(hear(room, a) == level(160, 0)); // said once, heard once
    }

    TEST_CASE("loud voices saturate, they do not wrap") {
        Conference room;
        const auto a = room.join();
        const auto b = room.join();
        const auto c = room.join();
        hear(room, c);
        room.give(a, level(160, 30000), 8000);
        room.give(b, level(160, 30000), 8000);
        CHECK(hear(room, c) == level(160, 32767));
    }

    TEST_CASE("rates differ: the sound arrives at the listener's") {
        Conference room;
        const auto wide = room.join();
        const auto narrow = room.join();
        hear(room, narrow);
        hear(room, wide, 48000);
        std::size_t loud = 0;
        for (int i = 0; i < 10; ++i) {
            room.give(wide, level(960, 1000), 48000);
            for (const auto sample : hear(room, narrow))
                loud += sample > 900 && sample < 1100 ? 1 : 0;
        }
        CHECK(loud > 8U * 160U);
    }

    TEST_CASE("a member that does not listen for a while hears the newest, and who left is silent") {
        Conference room;
        const auto a = room.join();
        const auto b = room.join();
        hear(room, b);
        for (std::int16_t i = 1; i <= 50; ++i)
            room.give(a, level(160, i), 8000);
        CHECK(hear(room, b).front() >= 47);
        room.give(a, level(160, 9), 8000);
        room.leave(a);
        CHECK(room.size() == 1);
        CHECK(hear(room, b) == level(160, 0));
    }
}
