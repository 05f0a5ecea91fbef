#include "base/config_reader.hpp"

#include "base/text.hpp"

namespace offhook {

void ConfigReader::members(const ConfigTable &table, std::string_view where, const Keys &keys) {
    for (const auto &member : table) {
        const Take *take = nullptr;
        std::vector<std::string> known;
        for (const auto &[key, function] : keys) {
            known.emplace_back(key);
            if (member.key == key) take = &function;
        }
        if (take != nullptr)
            (*take)(member);
        else
            error(member.origin, "unknown key \"" + sanitise(member.key) + "\"" + std::string(where) +
                                     suggestion(member.key, known));
    }
}

void ConfigReader::wrong_type(const ConfigMember &member, std::string_view expected) {
    error(member.value.origin, member.key + " must be " + std::string(expected) + ", not " +
                                   std::string(member.value.type_name()));
}

bool ConfigReader::each_string(const ConfigMember &member, std::string_view expected,
                               const std::function<bool(const std::string &)> &take) {
    const auto *items = as<ConfigArray>(member, expected);
    if (items == nullptr) return false;
    for (const auto &item : *items) {
        const auto *one = std::get_if<std::string>(&item.value);
        if (one == nullptr || !take(*one))
            error(item.origin, member.key + " must be " + std::string(expected));
    }
    return true;
}

ConfigReader::Take ConfigReader::text(std::string &into) {
    return [this, &into](const ConfigMember &member) {
        if (const auto *value = as<std::string>(member, "a string")) into = *value;
    };
}

ConfigReader::Take ConfigReader::flag(bool &into) {
    return [this, &into](const ConfigMember &member) {
        if (const auto *value = as<bool>(member, "true or false")) into = *value;
    };
}

ConfigReader::Take ConfigReader::duration(Duration &into) {
    return [this, &into](const ConfigMember &member) {
        if (const auto *seconds = std::get_if<std::int64_t>(&member.value.value)) {
            auto value = parse_duration(std::to_string(*seconds));
            if (value) into = *value;
            if (!value) error(member.value.origin, member.key + ": " + value.error().what);
            return;
        }
        if (!std::holds_alternative<std::string>(member.value.value))
            return wrong_type(member, "a duration such as \"20s\" or a number of seconds");
        parsed(member, into, [](const std::string &text) { return parse_duration(text); });
    };
}

ConfigReader::Take ConfigReader::number(std::int64_t low, std::int64_t high,
                                        std::function<void(std::int64_t)> into) {
    return [this, low, high, into = std::move(into)](const ConfigMember &member) {
        const auto *value = as<std::int64_t>(member, "a whole number");
        if (value == nullptr) return;
        if (*value < low || *value > high)
            return error(member.value.origin, member.key + " must be between " + std::to_string(low) +
                                                  " and " + std::to_string(high));
        into(*value);
    };
}

ConfigReader::Take ConfigReader::words(std::vector<std::string> &into) {
    return [this, &into](const ConfigMember &member) {
        if (std::holds_alternative<std::string>(member.value.value))
            return parsed(member, into, [](const std::string &text) { return split_words(text); });
        into.clear();
        const bool list =
            each_string(member, "a command: a string or a list of strings", [&](const std::string &word) {
                into.push_back(word);
                return true;
            });
        if (list && into.empty()) error(member.value.origin, member.key + " is an empty command");
    };
}

} // namespace offhook
