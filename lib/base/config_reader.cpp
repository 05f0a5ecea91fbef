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

ConfigReader::Take ConfigReader::text(std::string &into) {
    return [this, &into](const ConfigMember &member) {
        if (const auto *value = as<std::string>(member, "a string")) into = *value;
    };
}

} // namespace offhook
