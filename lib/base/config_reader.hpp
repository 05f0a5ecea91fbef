// What every reader of configuration tables does: hand each key to its function, and say what is wrong and
// where.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.hpp"
#include "base/config.hpp"

namespace offhook {

class ConfigReader {
protected:
    using Take = std::function<void(const ConfigMember &)>;
    using Keys = std::initializer_list<std::pair<const char *, Take>>;

    // Both outlive the reader; `errors` gets one line for each mistake.
    ConfigReader(const ConfigFile &file, std::vector<std::string> &errors) : file_(file), errors_(errors) {}

    void error(const ConfigOrigin &origin, std::string_view text) {
        errors_.push_back(origin.message(file_.path, text));
    }
    // Gives every member of `table` to the function of its key; `where` says which table an unknown one is
    // in.
    void members(const ConfigTable &table, std::string_view where, const Keys &keys);
    void wrong_type(const ConfigMember &member, std::string_view expected);
    // Null, and an error, when it is of another type.
    template <class T>
    const T *as(const ConfigMember &member, std::string_view expected) {
        const auto *value = std::get_if<T>(&member.value.value);
        if (value == nullptr) wrong_type(member, expected);
        return value;
    }
    // Hands each string of a list to `take`, which says whether it is what was expected.
    // False: it is no list.
    bool each_string(const ConfigMember &member, std::string_view expected,
                     const std::function<bool(const std::string &)> &take);
    // A string handed to `parse`, which gives a Result; its error gets the place.
    template <class T, class Parse>
    void parsed(const ConfigMember &member, T &into, Parse parse) {
        const auto *text = as<std::string>(member, "a string");
        if (text == nullptr) return;
        if (auto value = parse(*text); value)
            into = std::move(*value);
        else
            error(member.value.origin, member.key + ": " + value.error().what);
    }

    Take text(std::string &into);
    Take flag(bool &into);
    Take duration(Duration &into); // "20s", or a number of seconds
    Take number(std::int64_t low, std::int64_t high, std::function<void(std::int64_t)> into);
    Take words(std::vector<std::string> &into); // a command: a string, split as a shell does, or a list

    const ConfigFile &file_;

private:
    std::vector<std::string> &errors_;
};

} // namespace offhook
