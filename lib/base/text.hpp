// Text as people type it and as it may safely be shown.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace offhook {

// Makes text from the network harmless for terminals and logs: C0 and C1 controls, DEL, U+2028/2029, the bidi
// controls and everything that is not UTF-8 become U+FFFD. A tab becomes a space. Never longer than 3 x
// input.
std::string sanitise(std::string_view text);
// The same for texts that people read in full (an instant message): the same characters are shown as \x1b or
// \u202e instead. Line ends and tabs stay. Never longer than 6 x input.
std::string escape_controls(std::string_view text);

bool is_utf8(std::string_view text); // RFC 3629

// Edit distance with transposition (optimal string alignment), ASCII case ignored.
std::size_t edit_distance(std::string_view a, std::string_view b);
// The candidate nearest to `word`, or "" when none is near enough to be meant.
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);
// ` (did you mean "call"?)` or "".
std::string suggestion(std::string_view word, std::span<const std::string> candidates);

// "500ms", "20s", "3m", "1h", "1.5s"; a bare number is seconds. At most 10 years. Errors: invalid_argument.
Result<Duration> parse_duration(std::string_view text);
// "0:07", "12:30", "1:02:03": a running clock.
std::string format_clock(Duration time);
// "4.2 s", "350 ms": a measured time.
std::string format_span(Duration time);
// `value` with that many digits after the point, never in the locale's way.
std::string format_number(double value, int digits);

// Columns on a terminal (wcwidth), invalid bytes count one.
std::size_t display_width(std::string_view text);
// At most `width` columns, ending in "…" when something was cut off.
std::string cut_to_width(std::string_view text, std::size_t width);

// Shell-like patterns: `*` any run, `?` one character; the rest literal, ASCII case ignored.
bool glob_match(std::string_view pattern, std::string_view text) noexcept;
// A command line into words: white space separates, '…' and "…" group, a backslash takes the next character
// literally. No variables, no globbing, no shell. Errors: invalid_argument (a quote left open, no word).
Result<std::vector<std::string>> split_words(std::string_view command);
std::vector<std::string> split(std::string_view text, char separator);
bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> prefixes) noexcept;

} // namespace offhook
