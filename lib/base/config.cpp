#include "base/config.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
// Its assertions stand before code that reports the same as an error, and a typing mistake in a file must not
// abort.
#define TOML_ASSERT(expr) static_cast<void>(0)
#include <toml++/toml.h>

#include "base/directories.hpp"
#include "base/fd.hpp"

namespace offhook {

namespace {

ConfigOrigin origin_of(const toml::source_region &region) {
    return {static_cast<unsigned>(region.begin.line), static_cast<unsigned>(region.begin.column)};
}

ConfigValue convert(const toml::node &node);

// toml++ keeps its tables sorted by key; people expect the order they wrote.
ConfigTable convert_table(const toml::table &table) {
    ConfigTable out;
    for (const auto &[key, node] : table)
        out.push_back({std::string(key.str()), origin_of(key.source()), convert(node)});
    std::stable_sort(out.begin(), out.end(), [](const ConfigMember &a, const ConfigMember &b) {
        return std::pair(a.origin.line, a.origin.column) < std::pair(b.origin.line, b.origin.column);
    });
    return out;
}

ConfigValue convert(const toml::node &node) {
    const ConfigOrigin origin = origin_of(node.source());
    if (const auto *table = node.as_table()) return {convert_table(*table), origin};
    if (const auto *flag = node.as_boolean()) return {flag->get(), origin};
    if (const auto *number = node.as_integer()) return {number->get(), origin};
    if (const auto *real = node.as_floating_point()) return {real->get(), origin};
    if (const auto *text = node.as_string()) return {text->get(), origin};
    ConfigArray items;
    if (const auto *array = node.as_array())
        for (const auto &item : *array)
            items.push_back(convert(item));
    return {std::move(items), origin}; // a date or time becomes an empty array: no key wants one
}

// Where a character that is not ASCII stands outside of quotes and comments, where TOML knows none:
// toml++ 3.0 runs into undefined behaviour there (is_non_ascii_horizontal_whitespace). npos where there is
// none.
std::size_t unquoted_non_ascii(std::string_view text) noexcept {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    char quote = 0; // '"', '\'' or '#' for a comment
    bool multi_line = false;
    for (std::size_t i = text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0; i < text.size();
         ++i) {
        const char c = text[i];
        const bool triple = (c == '"' || c == '\'') && text.substr(i, 3) == std::string(3, c);
        if (quote == 0) {
            if (static_cast<unsigned char>(c) >= 0x80) return i;
            if (c != '#' && c != '"' && c != '\'') continue;
            quote = c;
            multi_line = triple;
            if (triple) i += 2;
        } else if (quote == '"' && c == '\\') {
            ++i;
        } else if (c == '\n' ? !multi_line : c == quote && quote != '#' && (triple || !multi_line)) {
            if (multi_line) i += 2;
            quote = 0;
            multi_line = false;
        }
    }
    return std::string_view::npos;
}

} // namespace

std::string ConfigOrigin::message(std::string_view file, std::string_view text) const {
    return std::string(file) + ":" + std::to_string(line) + ":" + std::to_string(column) + ": " +
           std::string(text);
}

std::string_view ConfigValue::type_name() const noexcept {
    constexpr std::string_view names[] = {"true or false", "a whole number", "a number",
                                          "a string",      "a list",         "a table"};
    return names[value.index()];
}

const ConfigMember *find(const ConfigTable &table, std::string_view key) noexcept {
    const auto at = std::find_if(table.begin(), table.end(),
                                 [&](const ConfigMember &member) { return member.key == key; });
    return at == table.end() ? nullptr : &*at;
}

Result<ConfigTable> parse_config(std::string_view text, std::string_view file) {
    if (const auto at = unquoted_non_ascii(text); at != std::string_view::npos) {
        const auto row = text.substr(0, at);
        const auto start = row.rfind('\n') + 1; // npos + 1 is 0
        const ConfigOrigin origin{static_cast<unsigned>(std::count(row.begin(), row.end(), '\n')) + 1,
                                  static_cast<unsigned>(at - start) + 1};
        return fail(Errc::config, origin.message(file, "a character beyond ASCII needs quotes around it"));
    }
    const toml::parse_result parsed = toml::parse(text, std::string(file));
    if (!parsed) {
        const auto &error = parsed.error();
        return fail(Errc::config, origin_of(error.source()).message(file, error.description()));
    }
    return convert_table(parsed.table());
}

Result<ConfigFile> load_config(const std::string &path) {
    const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat info {};
    if (!file || fstat(file.get(), &info) != 0) return fail_errno(Errc::config, errno, path);
    if (S_ISDIR(info.st_mode)) return fail(Errc::config, path + ": is a directory, not a configuration file");
    constexpr std::size_t limit = 1 << 20;
    std::string text;
    char buffer[16384];
    ssize_t got = 0;
    while (text.size() <= limit && (got = read(file.get(), buffer, sizeof buffer)) > 0)
        text.append(buffer, static_cast<std::size_t>(got));
    if (got < 0) return fail_errno(Errc::config, errno, path);
    if (text.size() > limit) return fail(Errc::config, path + ": larger than 1 MiB");
    auto root = parse_config(text, path);
    if (!root) return tl::unexpected(root.error());
    const bool others_may_read = S_ISREG(info.st_mode) && (info.st_mode & 077) != 0 && !is_credential(path);
    return ConfigFile{path, std::move(*root), others_may_read};
}

} // namespace offhook
