#pragma once

#include <chrono>
#include <string>

namespace offhook::cmd {

// Fills {date}, {time} and {peer} into a file name. The peer chose its URI: of it only letters, digits and
// `.-_+@` stay, no more than 64 and never a leading dot, so that it cannot leave the directory.
std::string expand_record_name(std::string name, const std::string &peer_uri,
                               std::chrono::system_clock::time_point when);

} // namespace offhook::cmd
