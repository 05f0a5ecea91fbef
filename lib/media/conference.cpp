#include "media/conference.hpp"

#include <algorithm>

#include "media/saturate.hpp"

namespace offhook::media {

namespace {
constexpr unsigned most_ms = 80;  // in a queue: beyond it the clocks have drifted apart
constexpr unsigned start_ms = 20; // gathered before the first sample is taken
} // namespace

Conference::Member Conference::join() {
    members_[next_] = 0;
    return next_++;
}

void Conference::leave(Member member) {
    members_.erase(member);
    std::erase_if(queues_, [&](const auto &entry) {
        return entry.first.first == member || entry.first.second == member;
    });
}

void Conference::Queue::put(ConstSamples frame, unsigned from, unsigned to) {
    if (!resampler || resampler->from() != from || resampler->to() != to)
        resampler = std::make_unique<Resampler>(from, to);
    const std::size_t had = samples.size();
    samples.resize(had + frame.size() * to / from + 1);
    samples.resize(had + resampler->process(frame, Samples(samples).subspan(had)).produced);
    const std::size_t most = std::size_t{to} * most_ms / 1000;
    if (samples.size() > most)
        samples.erase(samples.begin(), samples.end() - static_cast<std::ptrdiff_t>(most / 2));
}

void Conference::Queue::add_to(Samples frame, unsigned rate) {
    if (!flowing && samples.size() < std::size_t{rate} * start_ms / 1000) return;
    const std::size_t size = std::min(frame.size(), samples.size());
    for (std::size_t i = 0; i < size; ++i)
        frame[i] = saturated_sum(frame[i], samples[i]);
    samples.erase(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(size));
    flowing = size == frame.size();
}

void Conference::give(Member from, ConstSamples frame, unsigned rate) {
    for (const auto &[reader, reads_at] : members_)
        if (reader != from && reads_at != 0) queues_[{from, reader}].put(frame, rate, reads_at);
}

void Conference::add_to(Member reader, Samples frame, unsigned rate) {
    const auto self = members_.find(reader);
    if (self == members_.end()) return;
    if (std::exchange(self->second, rate) != rate) // what waits is of the old rate
        std::erase_if(queues_, [&](const auto &entry) { return entry.first.second == reader; });
    for (auto &[pair, queue] : queues_)
        if (pair.second == reader) queue.add_to(frame, rate);
}

} // namespace offhook::media
