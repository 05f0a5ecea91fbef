// What every reader of configuration tables does: hand each key to its function, and say what is wrong and
// where.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

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
    Take text(std::string &into);

    const ConfigFile &file_;

private:
    std::vector<std::string> &errors_;
};

} // namespace offhook
