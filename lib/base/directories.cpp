#include "base/directories.hpp"

#include <cstdlib>

namespace offhook {

namespace {

// The absolute path in a variable; of a list, the first. Empty: none.
std::string path_in(const char *variable) {
    const char *value = std::getenv(variable); // NOLINT(concurrency-mt-unsafe): nobody writes it
    if (value == nullptr || value[0] != '/') return "";
    const std::string list(value);
    return list.substr(0, list.find(':'));
}

} // namespace

std::string state_directory() {
    if (auto given = path_in("STATE_DIRECTORY"); !given.empty()) return given;
    if (const auto state = path_in("XDG_STATE_HOME"); !state.empty()) return state + "/offhook";
    if (const auto home = path_in("HOME"); !home.empty()) return home + "/.local/state/offhook";
    return "";
}

std::string runtime_directory() {
    if (auto given = path_in("RUNTIME_DIRECTORY"); !given.empty()) return given;
    if (const auto runtime = path_in("XDG_RUNTIME_DIR"); !runtime.empty()) return runtime + "/offhook";
    return "";
}

bool is_credential(const std::string &path) {
    const auto given = path_in("CREDENTIALS_DIRECTORY");
    return !given.empty() && path.starts_with(given + "/") && path.find("/../") == std::string::npos;
}

} // namespace offhook
