#include "phone/pattern.hpp"

// g++ 12 warns inside its own <regex> when sanitizers are on (gcc bug 105562).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <regex>
#include <string>

namespace offhook {

struct Pattern::Self {
    std::regex regex;
};

Result<Pattern> Pattern::compile(std::string_view expression, bool ignore_case) {
    if (expression.size() > 256)
        return fail(Errc::invalid_argument, "the regular expression is longer than 256 characters");
    auto flags = std::regex::ECMAScript;
    if (ignore_case) flags |= std::regex::icase;
    try { // std::regex reports by exceptions only
        Pattern pattern;
        pattern.self_ =
            std::make_shared<const Self>(Self{std::regex(expression.begin(), expression.end(), flags)});
        return pattern;
    } catch (const std::regex_error &e) {
        return fail(Errc::invalid_argument,
                    "\"" + std::string(expression) + "\" is not a regular expression: " + e.what());
    }
}

std::optional<std::size_t> Pattern::find(std::string_view text) const {
    const std::string cut(text.substr(0, 1024));
    std::smatch match;
    try { // error_complexity and error_stack come as exceptions too
        if (!std::regex_search(cut, match, self_->regex)) return std::nullopt;
    } catch (const std::regex_error &) {
        return std::nullopt;
    }
    return static_cast<std::size_t>(match.position(0) + match.length(0));
}

} // namespace offhook
