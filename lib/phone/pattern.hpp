// A user's regular expression (ECMAScript), compiled once; kept out of the headers because <regex> is heavy.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.hpp"

namespace offhook {

class Pattern {
public:
    // At most 256 characters. Errors: invalid_argument, with what is wrong.
    static Result<Pattern> compile(std::string_view expression, bool ignore_case = false);

    // The end of the first match in `text`. Texts over 1024 characters are cut: std::regex recurses per
    // character.
    [[nodiscard]] std::optional<std::size_t> find(std::string_view text) const;

private:
    struct Self;
    std::shared_ptr<const Self> self_;
};

} // namespace offhook
