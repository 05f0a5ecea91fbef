#include <clocale>
#include <cstdio>
#include <exception>

#include "cmd/commands.hpp"

int main(int argc, char **argv) {
    std::setlocale(LC_CTYPE, ""); // only this: a decimal point stays a point
    try {
        return offhook::cmd::main_of(argc, argv);
    } catch (const std::exception &e) {
        (void)std::fprintf(stderr, "offhook: bug: %s\n", e.what());
        return 1;
    }
}
