#pragma once

#include <string>
#include <utility>
#include <vector>

namespace offhook::cmd {

// What this program was built with: name, and version or whether it is there.
std::vector<std::pair<std::string, std::string>> libraries();

} // namespace offhook::cmd
