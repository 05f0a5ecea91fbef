// Text in lines, as traces hold it.
#pragma once

#include <string_view>

namespace offhook::sip {

// Takes the first line off `rest`, without its LF or CRLF. The last line needs none.
inline std::string_view take_line(std::string_view &rest) {
    const auto end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

} // namespace offhook::sip
