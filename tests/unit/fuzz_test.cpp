// Every fuzz body over its seeds and some thousand mutations of them, the same ones each time. With
// FUZZ_SECONDS=N in the environment: other ones, each body for so long (FUZZ=NAME: only that), the last input
// kept in fuzz-NAME.last. `make fuzz` does it with coverage.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include <doctest/doctest.h>

#include "tests/fuzz/body.hpp"

namespace offhook::fuzz {

std::vector<Body> &bodies() {
    static std::vector<Body> all;
    return all;
}

} // namespace offhook::fuzz

namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr int mutations = 2500;
constexpr auto at_most = std::chrono::seconds(4); // on a busy machine with sanitizers; some seeds are long

std::string environment(const char *name) {
    const char *value = std::getenv(name); // NOLINT(concurrency-mt-unsafe): nobody sets it
    return value != nullptr ? value : "";
}

std::string seeds_folder(std::string_view name) {
    const std::string here = __FILE__; // tests/unit/…: found from wherever the tests are started
    return here.substr(0, here.rfind("tests/unit/")) + "tests/data/fuzz/" + std::string(name);
}

void keep(std::string_view name, const Bytes &input) {
    std::ofstream file("fuzz-" + std::string(name) + ".last", std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char *>(input.data()), static_cast<std::streamsize>(input.size()));
}

std::vector<Bytes> seeds_of(std::string_view name) {
    std::vector<std::filesystem::path> paths;
    for (const auto &entry : std::filesystem::directory_iterator(seeds_folder(name)))
        paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    std::vector<Bytes> seeds;
    for (const auto &path : paths) {
        std::ifstream file(path, std::ios::binary);
        seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    return seeds;
}

class Mutator {
public:
    Mutator(const std::vector<Bytes> &seeds, unsigned long seed) : seeds_(seeds), random_(seed) {}
    Bytes next() {
        Bytes bytes = pick();
        for (std::size_t i = 0, count = 1 + below(6); i < count; ++i)
            mutate(bytes);
        return bytes;
    }

private:
    std::size_t below(std::size_t n) { return n == 0 ? 0 : random_() % n; }
    const Bytes &pick() { return seeds_[below(seeds_.size())]; }
    void mutate(Bytes &bytes) {
        const auto at = [&](std::size_t i) { return bytes.begin() + static_cast<std::ptrdiff_t>(i); };
        const std::size_t from = below(bytes.size() + 1),
                          size = below(std::min<std::size_t>(bytes.size() - from, 32) + 1);
        switch (below(6)) {
        case 0: // one bit
            if (from < bytes.size()) bytes[from] ^= static_cast<std::uint8_t>(1U << below(8));
            break;
        case 1: // a character that means something somewhere
            bytes.insert(at(from), static_cast<std::uint8_t>("\r\n\0\xff:;,=<>\"\\@?&%0 9/[]{}#"[below(25)]));
            break;
        case 2:
            bytes.erase(at(from), at(from + size));
            break;
        case 3: { // the same again
            const Bytes piece(at(from), at(from + size));
            for (std::size_t times = 1 + below(20); times > 0 && bytes.size() < 20'000; --times)
                bytes.insert(at(from), piece.begin(), piece.end());
            break;
        }
        case 4: { // the end of another
            const Bytes &other = pick();
            bytes.resize(from);
            bytes.insert(bytes.end(), other.begin() + static_cast<std::ptrdiff_t>(below(other.size() + 1)),
                         other.end());
            break;
        }
        default: // any bytes
            for (std::size_t i = from; i < from + size; ++i)
                bytes[i] = static_cast<std::uint8_t>(random_());
        }
    }
    const std::vector<Bytes> &seeds_;
    std::mt19937 random_;
};

} // namespace

TEST_SUITE("fuzz") {
    TEST_CASE("every body survives its seeds and their mutations") {
        REQUIRE(offhook::fuzz::bodies().size() >= 7);
        const std::string seconds = environment("FUZZ_SECONDS"), only = environment("FUZZ");
        const auto limit = seconds.empty() ? at_most : std::chrono::seconds(std::stoi(seconds));
        for (const auto &body : offhook::fuzz::bodies()) {
            if (!only.empty() && only != body.name) continue;
            CAPTURE(body.name);
            const auto seeds = seeds_of(body.name);
            REQUIRE(!seeds.empty());
            for (const auto &seed : seeds)
                body.run(seed);
            body.run({});
            Mutator mutator(seeds, seconds.empty() ? 4733UL : std::random_device{}());
            int done = 0;
            const auto until = std::chrono::steady_clock::now() + limit;
            for (; std::chrono::steady_clock::now() < until; ++done) {
                if (seconds.empty() && done == mutations) break;
                const Bytes input = mutator.next();
                if (!seconds.empty()) keep(body.name, input);
                body.run(input);
            }
            if (!seconds.empty()) MESSAGE(body.name, ": ", done, " inputs");
            CHECK(done > 0);
        }
    }
}
