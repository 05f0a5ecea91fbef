#include "base/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cwchar>
#include <limits>

#include <locale.h> // newlocale(3): <clocale> does not promise it  NOLINT(modernize-deprecated-headers)

namespace offhook {

namespace {

struct CodePoint {
    std::uint32_t value = 0xFFFD;
    std::size_t bytes = 1;
    bool valid = false;
};

// One UTF-8 sequence (RFC 3629: shortest form, no surrogates, at most U+10FFFF).
CodePoint decode_utf8(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return {first, 1, true};
    const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || text.size() < length) return {};
    std::uint32_t value = first & (0xFFU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return {};
        value = value << 6 | (byte(i) & 0x3FU);
    }
    constexpr std::array<std::uint32_t, 5> smallest{0, 0, 0x80, 0x800, 0x10000};
    if (value < smallest[length] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
    return {value, length, true};
}

bool is_hostile(std::uint32_t c) {
    return c < 0x20 || (c >= 0x7F && c <= 0x9F) || c == 0x2028 || c == 0x2029 || c == 0x200E || c == 0x200F ||
           c == 0x061C || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// The "C" locale's wcwidth knows ASCII only; widths must not depend on the user's environment.
std::size_t columns(std::uint32_t c) {
    static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (c < 0x7F) return 1;
    if (utf8 == nullptr) return 1;
    const locale_t before = uselocale(utf8);
    const int width = wcwidth(static_cast<wchar_t>(c));
    uselocale(before);
    return width < 0 ? 1 : static_cast<std::size_t>(width);
}

std::size_t common_prefix(std::string_view a, std::string_view b) {
    std::size_t length = 0;
    while (length < a.size() && length < b.size() && lower(a[length]) == lower(b[length]))
        ++length;
    return length;
}

} // namespace

std::string sanitise(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const CodePoint point = decode_utf8(text);
        if (point.value == '\t')
            out += ' ';
        else if (!point.valid || is_hostile(point.value))
            out += "\xEF\xBF\xBD";
        else
            out += text.substr(0, point.bytes);
        text.remove_prefix(point.bytes);
    }
    return out;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const CodePoint point = decode_utf8(text);
        if (!point.valid) return false;
        text.remove_prefix(point.bytes);
    }
    return true;
}

std::string escape_controls(std::string_view text) {
    const auto escape = [](std::string &out, std::uint32_t value, unsigned digits) {
        for (unsigned shift = digits * 4; shift > 0; shift -= 4)
            out += "0123456789abcdef"[value >> (shift - 4) & 15U];
    };
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const CodePoint point = decode_utf8(text);
        if (point.value == '\t' || point.value == '\n' || (point.valid && !is_hostile(point.value)))
            out += text.substr(0, point.bytes);
        else if (point.valid && point.value > 0xFF)
            escape(out += "\\u", point.value, 4);
        else
            escape(out += "\\x", point.valid ? point.value : static_cast<unsigned char>(text[0]), 2);
        text.remove_prefix(point.bytes);
    }
    return out;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j)
        last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
            const bool swapped =
                i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
            if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(row);
    }
    return last[b.size()];
}

std::string did_you_mean(std::string_view word, std::span<const std::string> candidates) {
    const std::string *best = nullptr;
    std::size_t best_distance = 0;
    std::size_t best_prefix = 0;
    word = word.substr(0, 64);
    for (const auto &candidate : candidates) {
        const std::size_t distance = edit_distance(word, candidate);
        const std::size_t longest = std::max(word.size(), candidate.size());
        if (distance > std::max<std::size_t>(1, longest / 3)) continue;
        const std::size_t prefix = common_prefix(word, candidate); // decides a tie: people start words right
        if (best != nullptr &&
            (distance > best_distance || (distance == best_distance && prefix <= best_prefix)))
            continue;
        best = &candidate;
        best_distance = distance;
        best_prefix = prefix;
    }
    return best == nullptr ? "" : *best;
}

std::string suggestion(std::string_view word, std::span<const std::string> candidates) {
    const std::string meant = did_you_mean(word, candidates);
    return meant.empty() ? "" : " (did you mean \"" + meant + "\"?)";
}

Result<Duration> parse_duration(std::string_view text) {
    const auto bad = [&] {
        return fail(Errc::invalid_argument,
                    "\"" + sanitise(text) + "\" is not a duration (expected 500ms, 20s, 3m or 1h)");
    };
    double number = 0;
    const bool starts_well = !text.empty() && text[0] >= '0' && text[0] <= '9';
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (!starts_well || error != std::errc{}) return bad();
    const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
    double milliseconds = 0;
    if (unit == "ms")
        milliseconds = 1;
    else if (unit.empty() || unit == "s")
        milliseconds = 1000;
    else if (unit == "m" || unit == "min")
        milliseconds = 60'000;
    else if (unit == "h")
        milliseconds = 3'600'000;
    else
        return bad();
    constexpr double ten_years_ms = 10.0 * 366 * 24 * 3'600'000;
    if (number * milliseconds > ten_years_ms)
        return fail(Errc::invalid_argument,
                    "\"" + sanitise(text) + "\" is too long for a duration (at most 10 years)");
    return Duration(std::llround(number * milliseconds));
}

std::string format_clock(Duration time) {
    const auto total = std::max<std::int64_t>(0, time.count() / 1000);
    const auto two = [](std::int64_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
    if (total >= 3600)
        return std::to_string(total / 3600) + ":" + two(total / 60 % 60) + ":" + two(total % 60);
    return std::to_string(total / 60) + ":" + two(total % 60);
}

std::string format_span(Duration time) {
    if (time.count() < 1000) return std::to_string(time.count()) + " ms";
    if (time < std::chrono::minutes(1))
        return format_number(static_cast<double>(time.count()) / 1000, 1) + " s";
    return format_clock(time);
}

std::string format_number(double value, int digits) {
    std::array<char, 64> buffer{};
    if (!(value > -1e15 && value < 1e15)) return "0";
    const auto [end, error] =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, digits);
    return error == std::errc{} ? std::string(buffer.data(), end) : "0";
}

std::size_t display_width(std::string_view text) {
    std::size_t width = 0;
    while (!text.empty()) {
        const CodePoint point = decode_utf8(text);
        width += columns(point.value);
        text.remove_prefix(point.bytes);
    }
    return width;
}

std::string cut_to_width(std::string_view text, std::size_t width) {
    if (display_width(text) <= width) return std::string(text);
    if (width == 0) return "";
    std::size_t used = 0;
    std::string out;
    while (!text.empty()) {
        const CodePoint point = decode_utf8(text);
        used += columns(point.value);
        if (used > width - 1) break;
        out += text.substr(0, point.bytes);
        text.remove_prefix(point.bytes);
    }
    return out + "…";
}

bool glob_match(std::string_view pattern, std::string_view text) noexcept {
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t resume = 0;
    while (t < text.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.size() && (pattern[p] == '?' || lower(pattern[p]) == lower(text[t]))) {
            ++p;
            ++t;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*')
        ++p;
    return p == pattern.size();
}

Result<std::vector<std::string>> split_words(std::string_view command) {
    std::vector<std::string> words;
    char quote = 0;
    bool in_word = false;
    for (std::size_t i = 0; i < command.size(); ++i) {
        const char c = command[i];
        const bool blank = c == ' ' || c == '\t' || c == '\n';
        if (quote == 0 && blank) {
            in_word = false;
            continue;
        }
        if (!in_word) words.emplace_back();
        in_word = true;
        if (c == '\\' && quote != '\'' && i + 1 < command.size())
            words.back() += command[++i];
        else if (quote == 0 && (c == '"' || c == '\''))
            quote = c;
        else if (c == quote)
            quote = 0;
        else
            words.back() += c;
    }
    if (quote != 0)
        return fail(Errc::invalid_argument,
                    std::string("a ") + quote + " is not closed in \"" + sanitise(command) + "\"");
    if (words.empty()) return fail(Errc::invalid_argument, "an empty command");
    return words;
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find(separator, at), text.size());
        parts.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    return parts;
}

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> prefixes) noexcept {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&](std::string_view prefix) { return text.starts_with(prefix); });
}

} // namespace offhook
