// Tables for people: text in columns.
#pragma once

#include <string>

#include "base/text.hpp"

namespace offhook::cmd {

// `text` made safe for a terminal and filled up to `width` screen columns, with two spaces to the next
// column.
inline std::string column(const std::string &text, std::size_t width) {
    const std::string safe = sanitise(text);
    const std::size_t used = display_width(safe);
    return safe + std::string(used < width ? width - used + 2 : 2, ' ');
}

} // namespace offhook::cmd
