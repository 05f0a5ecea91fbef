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

struct Descriptor {
    int fd = -1;
    ~Descriptor() {
        if (fd >= 0) close(fd);
    }
};

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
    const toml::parse_result parsed = toml::parse(text, std::string(file));
    if (!parsed) {
        const auto &error = parsed.error();
        return fail(Errc::config, origin_of(error.source()).message(file, error.description()));
    }
    return convert_table(parsed.table());
}

Result<ConfigFile> load_config(const std::string &path) {
    const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat info {};
    if (file.fd < 0 || fstat(file.fd, &info) != 0) return fail_errno(Errc::config, errno, path);
    if (S_ISDIR(info.st_mode)) return fail(Errc::config, path + ": is a directory, not a configuration file");
    constexpr std::size_t limit = 1 << 20;
    std::string text;
    char buffer[16384];
    ssize_t got = 0;
    while (text.size() <= limit && (got = read(file.fd, buffer, sizeof buffer)) > 0)
        text.append(buffer, static_cast<std::size_t>(got));
    if (got < 0) return fail_errno(Errc::config, errno, path);
    if (text.size() > limit) return fail(Errc::config, path + ": larger than 1 MiB");
    auto root = parse_config(text, path);
    if (!root) return tl::unexpected(root.error());
    return ConfigFile{path, std::move(*root), S_ISREG(info.st_mode) && (info.st_mode & 077) != 0};
}

} // namespace offhook
