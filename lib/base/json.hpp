// JSON values: what offhook writes on stdout and its socket, and what it reads from there.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace offhook {

// A value. Objects keep the order in which their members were added.
class Json {
public:
    using Array = std::vector<Json>;
    using Object = std::vector<std::pair<std::string, Json>>;

    Json() = default; // null
    template <std::same_as<bool> B>
    Json(B value) : value_(value) {}
    template <std::integral I>
    requires(!std::same_as<I, bool> && !std::same_as<I, char>) Json(I value)
        : value_(static_cast<std::int64_t>(value)) {}
    Json(double value) : value_(value) {}
    Json(std::string value) : value_(std::move(value)) {}
    Json(std::string_view value) : value_(std::string(value)) {}
    Json(const char *value) : value_(std::string(value)) {}
    Json(Array value) : value_(std::move(value)) {}
    static Json object() { return Json(Object{}); }

    // Appends a member (an object only; a null becomes an object).
    Json &add(std::string key, Json value);
    // The member, or nullptr.
    [[nodiscard]] const Json *find(std::string_view key) const noexcept;

    [[nodiscard]] bool is_null() const noexcept { return std::holds_alternative<std::monostate>(value_); }
    [[nodiscard]] bool is_object() const noexcept { return std::holds_alternative<Object>(value_); }
    [[nodiscard]] const std::string *as_string() const noexcept { return std::get_if<std::string>(&value_); }
    [[nodiscard]] const std::int64_t *as_int() const noexcept { return std::get_if<std::int64_t>(&value_); }
    [[nodiscard]] const double *as_double() const noexcept { return std::get_if<double>(&value_); }
    [[nodiscard]] const bool *as_bool() const noexcept { return std::get_if<bool>(&value_); }
    [[nodiscard]] const Array *as_array() const noexcept { return std::get_if<Array>(&value_); }
    [[nodiscard]] const Object *as_object() const noexcept { return std::get_if<Object>(&value_); }

    // One line, always valid UTF-8 (broken bytes become U+FFFD), no NaN or infinity (they become null).
    [[nodiscard]] std::string dump() const;
    // Strict RFC 8259, at most 64 levels deep. Errors: Errc::parse with the byte offset.
    static Result<Json> parse(std::string_view text);

    friend bool operator==(const Json &, const Json &) = default;

private:
    explicit Json(Object value) : value_(std::move(value)) {}
    std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
};

} // namespace offhook
