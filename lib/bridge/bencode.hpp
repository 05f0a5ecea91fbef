// Bencoding, as rtpengine's control protocol speaks it. Pure, bounded.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace offhook::bridge {

struct Bencode {
    using List = std::vector<Bencode>;
    using Dict = std::map<std::string, Bencode>; // keys are sorted on the wire
    std::variant<std::string, std::int64_t, List, Dict> value;

    Bencode() = default;
    Bencode(std::string text) : value(std::move(text)) {}
    Bencode(const char *text) : value(std::string(text)) {}
    Bencode(std::int64_t number) : value(number) {}
    Bencode(List list) : value(std::move(list)) {}
    Bencode(Dict dict) : value(std::move(dict)) {}

    [[nodiscard]] std::string encode() const;
    // One whole value. At most 16 levels deep. Errors: Errc::parse.
    static Result<Bencode> parse(std::string_view text);
    [[nodiscard]] std::string text(const std::string &key) const;    // of a dict; "" when absent
    [[nodiscard]] const Bencode *find(const std::string &key) const; // of a dict; null when absent
    [[nodiscard]] const std::string *string() const noexcept { return std::get_if<std::string>(&value); }
    [[nodiscard]] const List *list() const noexcept { return std::get_if<List>(&value); }
};

} // namespace offhook::bridge
