#include "sip/flood_guard.hpp"

#include "base/random.hpp"

namespace offhook::sip {

namespace {

constexpr std::size_t prefix_of_v6 = 8; // bytes: a /64 is one customer

// FNV-1a; the salt keeps an attacker from choosing addresses that share somebody's bucket.
std::uint64_t mix(std::uint64_t hash, const std::uint8_t *bytes, std::size_t size) noexcept {
    for (std::size_t i = 0; i < size; ++i)
        hash = (hash ^ bytes[i]) * 1'099'511'628'211ULL;
    return hash ^ (hash >> 29U);
}

// What is refused costs nothing.
bool take(TokenBucket &bucket, double rate, double burst, TimePoint now) noexcept {
    if (bucket.fill(rate, burst, now) < 1) return false;
    bucket.take();
    return true;
}

} // namespace

FloodGuard::FloodGuard(Limits limits) noexcept : limits_(limits), salt_(random_u64()) {}

std::size_t FloodGuard::index_of(const Address &source) const noexcept {
    const auto &raw = source.raw();
    std::uint64_t hash = salt_;
    if (source.family() == AF_INET6)
        hash = mix(hash, raw.u.in6.sin6_addr.s6_addr, prefix_of_v6);
    else
        hash =
            mix(hash, reinterpret_cast<const std::uint8_t *>(&raw.u.in.sin_addr), sizeof raw.u.in.sin_addr);
    return hash % sources_.size();
}

FloodGuard::Verdict FloodGuard::admit(const Address &source, TimePoint now) noexcept {
    const std::size_t at = index_of(source);
    const bool own = take(sources_.at(at), limits_.per_source, limits_.burst, now);
    // A source beyond its own limit must not use up what is there for all.
    if (own && take(all_, limits_.in_all, limits_.burst_in_all, now)) return Verdict::pass;
    // A refusal is as long as a request: a few are told, then it is silent (no reflection of forged sources).
    return take(answers_.at(at), 1, 4, now) ? Verdict::refuse : Verdict::drop;
}

} // namespace offhook::sip
