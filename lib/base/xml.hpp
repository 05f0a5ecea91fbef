// Small XML documents from the network (presence, dialog and registration state) as a tree, over expat. There
// is no way to reach anything outside the document: a DOCTYPE, and with it every entity of its own, is
// refused.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace offhook {

struct XmlElement {
    std::string name;                                            // without its namespace
    std::vector<std::pair<std::string, std::string>> attributes; // names without namespaces
    std::string text;                                            // its own, without that of children; trimmed
    std::vector<XmlElement> children;

    [[nodiscard]] const XmlElement *find(std::string_view child) const noexcept; // the first, or nullptr
    [[nodiscard]] std::vector<const XmlElement *> all(std::string_view child) const;
    [[nodiscard]] std::string attribute(std::string_view key) const; // "" when absent
    [[nodiscard]] std::string text_of(std::string_view child) const; // "" when absent
};

// Limits: 64 KiB, 16 levels, 2000 elements, 32 attributes each. Errors: Errc::parse with line and column.
Result<XmlElement> parse_xml(std::string_view text);

} // namespace offhook
