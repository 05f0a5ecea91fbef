#include "sip/ladder_formats.hpp"

#include <algorithm>
#include <cstdio>

namespace offhook::sip {

namespace {

std::string seconds(const LadderEntry &entry, const LadderEntry &first) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f", std::chrono::duration<double>(entry.time - first.time).count());
    return text;
}

bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// What is not plain is written as `escape(byte)`; control characters and foreign bytes become "?".
template <class Escape>
std::string guarded(std::string_view text, std::string_view plain, Escape escape) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte > 0x7e)
            out += '?';
        else if (is_word(c) || plain.find(c) != std::string_view::npos)
            out += c;
        else
            out += escape(byte);
    }
    return out;
}

std::string markdown_cell(std::string_view text) {
    return guarded(text, " .,:;@/-+=()%?!'\"&~", [](unsigned char c) {
        return c == '<' ? std::string("&lt;") : "\\" + std::string(1, static_cast<char>(c));
    });
}

// Mermaid reads "#59;" as a character, ";" and line ends as the end of a statement.
std::string mermaid_text(std::string_view text) {
    return guarded(text, " .,:@/-+=()%?!'&~_*[]",
                   [](unsigned char c) { return "#" + std::to_string(c) + ";"; });
}

} // namespace

std::string format_markdown(const std::vector<LadderEntry> &entries) {
    if (entries.empty()) return "";
    std::string out = "| Time (s) | From | To | Message |\n|---:|---|---|---|\n";
    for (const auto &entry : entries)
        out += "| " + seconds(entry, entries.front()) + " | " + markdown_cell(entry.from) + " | " +
               markdown_cell(entry.to) + " | " + markdown_cell(entry.label) + " |\n";
    return out;
}

std::string format_mermaid(const std::vector<LadderEntry> &entries) {
    if (entries.empty()) return "";
    std::vector<std::string> names;
    for (const auto &entry : entries)
        for (const auto &name : {entry.from, entry.to})
            if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    const auto id = [&](const std::string &name) {
        return "P" + std::to_string(std::find(names.begin(), names.end(), name) - names.begin() + 1);
    };
    std::string out = "sequenceDiagram\n";
    for (const auto &name : names)
        out += "    participant " + id(name) + " as " + mermaid_text(name) + "\n";
    for (const auto &entry : entries)
        out += "    " + id(entry.from) + "->>" + id(entry.to) + ": " + mermaid_text(entry.label) + "\n";
    return out;
}

} // namespace offhook::sip
