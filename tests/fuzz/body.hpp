// One body, two drivers: libFuzzer (make fuzz), and the deterministic run of the unit tests, which link all
// bodies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>
#include <vector>

namespace offhook::fuzz {

using Input = std::span<const std::uint8_t>;

struct Body {
    std::string_view name; // and of its seeds: tests/data/fuzz/NAME
    void (*run)(Input);
};
std::vector<Body> &bodies();

inline void require(bool holds, const char *file = __builtin_FILE(), int line = __builtin_LINE()) {
    if (holds) return;
    (void)std::fprintf(stderr, "%s:%d: does not hold\n", file, line);
    std::abort(); // not assert(): never compiled out
}

inline std::string_view text_of(Input input) {
    return {reinterpret_cast<const char *>(input.data()), input.size()};
}

// Takes pieces off the front of an input.
class Pieces {
public:
    explicit Pieces(Input input) : rest_(input) {}
    [[nodiscard]] bool empty() const { return rest_.empty(); }
    std::uint8_t byte() {
        if (rest_.empty()) return 0;
        const std::uint8_t value = rest_.front();
        rest_ = rest_.subspan(1);
        return value;
    }
    std::uint32_t number(int bytes) {
        std::uint32_t value = 0;
        while (bytes-- > 0)
            value = value << 8 | byte();
        return value;
    }
    Input take(std::size_t count) {
        const auto piece = rest_.first(count < rest_.size() ? count : rest_.size());
        rest_ = rest_.subspan(piece.size());
        return piece;
    }
    Input rest() { return take(rest_.size()); }

private:
    Input rest_;
};

} // namespace offhook::fuzz

#ifdef OFFHOOK_LIBFUZZER
#define FUZZ_BODY(name)                                                                                      \
    static void fuzz_##name(offhook::fuzz::Input input);                                                     \
    extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {                      \
        fuzz_##name({data, size});                                                                           \
        return 0;                                                                                            \
    }                                                                                                        \
    static void fuzz_##name(offhook::fuzz::Input input)
#else
#define FUZZ_BODY(name)                                                                                      \
    static void fuzz_##name(offhook::fuzz::Input input);                                                     \
    [[maybe_unused]] static const bool registered_##name =                                                   \
        (offhook::fuzz::bodies().push_back({#name, fuzz_##name}), true);                                     \
    static void fuzz_##name(offhook::fuzz::Input input)
#endif
