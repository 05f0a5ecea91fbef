// A file that is either as it was or as it shall be, whenever the power fails or the disk is full.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace offhook::bridge {

// Written beside (PATH.new, for the owner alone), brought to the disk, and renamed over. Errors:
// Errc::config.
Result<> replace_file(const std::string &path, std::string_view content);

} // namespace offhook::bridge
