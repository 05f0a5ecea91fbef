#include "base/json.hpp"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "base/text.hpp"

namespace offhook {

namespace {

using Library = nlohmann::ordered_json;

Library to_library(const Json &value) {
    if (const auto *text = value.as_string()) return *text;
    if (const auto *number = value.as_int()) return *number;
    if (const auto *real = value.as_double()) return std::isfinite(*real) ? Library(*real) : Library(nullptr);
    if (const auto *flag = value.as_bool()) return *flag;
    if (const auto *array = value.as_array()) {
        Library out = Library::array();
        for (const auto &item : *array)
            out.push_back(to_library(item));
        return out;
    }
    if (const auto *object = value.as_object()) {
        Library out = Library::object();
        for (const auto &[key, item] : *object)
            out[sanitise(key)] = to_library(item);
        return out;
    }
    return nullptr;
}

Json from_library(const Library &value) {
    if (value.is_string()) return value.get<std::string>();
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_number_unsigned()) {
        const auto number = value.get<std::uint64_t>();
        constexpr std::uint64_t limit = std::numeric_limits<std::int64_t>::max();
        return number > limit ? Json(static_cast<double>(number)) : Json(static_cast<std::int64_t>(number));
    }
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (value.is_number_float()) return value.get<double>();
    if (value.is_array()) {
        Json::Array out;
        for (const auto &item : value)
            out.push_back(from_library(item));
        return out;
    }
    if (value.is_object()) {
        Json out = Json::object();
        for (const auto &[key, item] : value.items())
            out.add(key, from_library(item));
        return out;
    }
    return {};
}

// The library recurses while it builds and frees a value: depth must be bounded before it sees the text.
bool too_deep(std::string_view text) {
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (quoted && text[i] == '\\')
            ++i;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && (text[i] == '[' || text[i] == '{') && ++depth > 64)
            return true;
        else if (!quoted && (text[i] == ']' || text[i] == '}'))
            --depth;
    }
    return false;
}

} // namespace

Json &Json::add(std::string key, Json value) {
    if (is_null()) value_ = Object{};
    if (auto *object = std::get_if<Object>(&value_)) object->emplace_back(std::move(key), std::move(value));
    return *this;
}

const Json *Json::find(std::string_view key) const noexcept {
    if (const auto *object = as_object())
        for (const auto &[name, value] : *object)
            if (name == key) return &value;
    return nullptr;
}

std::string Json::dump() const {
    return to_library(*this).dump(-1, ' ', false, Library::error_handler_t::replace);
}

Result<Json> Json::parse(std::string_view text) {
    if (too_deep(text)) return fail(Errc::parse, "JSON nested more than 64 levels deep");
    try {
        return from_library(Library::parse(text));
    } catch (const Library::parse_error &e) {
        return fail(Errc::parse, "not JSON, at byte " + std::to_string(e.byte));
    } catch (const Library::exception &e) {
        return fail(Errc::parse, std::string("not JSON: ") + e.what());
    }
}

} // namespace offhook
