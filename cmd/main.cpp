#include <clocale>
#include <cstdio>
#include <exception>

#include "cmd/commands.hpp"

int main(int argc, char **argv) {
    // Only this: a decimal point stays a point. There is one thread yet.
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    std::setlocale(LC_CTYPE, "");
    try {
        return offhook::cmd::main_of(argc, argv);
    } catch (const std::exception &e) {
        (void)std::fprintf(stderr, "offhook: bug: %s\n", e.what());
        return 1;
    }
}
