#include "sip/ladder.hpp"

#include <algorithm>
#include <cstdio>

#include "sip/headers.hpp"

namespace offhook::sip {

namespace {

constexpr std::size_t time_width = 8; // "  1.234 "
constexpr std::size_t column_min = 12;

std::string cut(std::string_view text, std::size_t width) {
    std::string clean;
    for (const char c : text)
        clean += static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e ? '?' : c;
    if (clean.size() <= width) return clean;
    if (width == 0) return "";
    return clean.substr(0, width - 1) + "…";
}

std::size_t width_of(const std::string &text) { // the ellipsis is the only character of several bytes
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string centred(const std::string &text, std::size_t width, char fill) {
    const std::size_t free = width > width_of(text) ? width - width_of(text) : 0;
    return std::string(free / 2, fill) + text + std::string(free - free / 2, fill);
}

class Sheet {
public:
    Sheet(const std::vector<LadderEntry> &entries, std::size_t width) {
        for (const auto &entry : entries) {
            add(entry.from);
            add(entry.to);
        }
        const std::size_t room = width > time_width ? width - time_width : 0;
        column_ = std::max(column_min, room / participants_.size());
        // More participants than fit: the last column takes the rest, so that the width holds.
        shown_ = std::min(participants_.size(), std::max<std::size_t>(room / column_, 2));
    }

    [[nodiscard]] std::string head() const {
        std::string line(time_width, ' ');
        for (std::size_t i = 0; i < shown_; ++i) {
            const bool more = i + 1 == shown_ && shown_ < participants_.size();
            line += centred(cut(more ? "others" : participants_[i], column_ - 2), column_, ' ');
        }
        return trimmed(line);
    }

    [[nodiscard]] std::string row(const LadderEntry &entry, double seconds) const {
        char time[32];
        std::snprintf(time, sizeof time, "%7.3f ", seconds);
        const std::size_t from = at(entry.from), to = at(entry.to);
        const std::size_t left = std::min(from, to), right = std::max(from, to);
        std::string line(std::string_view(time).substr(0, time_width));
        for (std::size_t i = 0; i < left; ++i)
            line += bar();
        if (left == right)
            return trimmed(line + std::string(column_ / 2, ' ') + "| " +
                           cut(entry.label, column_ - column_ / 2 - 2));
        line += std::string(column_ / 2, ' ') + "|" + arrow(entry.label, right - left, from < to) + "|";
        for (std::size_t i = right + 1; i < shown_; ++i)
            line += std::string(column_ - 1, ' ') + "|";
        return trimmed(line);
    }

private:
    void add(const std::string &participant) {
        if (std::ranges::find(participants_, participant) == participants_.end())
            participants_.push_back(participant);
    }
    [[nodiscard]] std::size_t at(const std::string &participant) const {
        const auto found = std::ranges::find(participants_, participant);
        return std::min(static_cast<std::size_t>(found - participants_.begin()), shown_ - 1);
    }
    [[nodiscard]] std::string bar() const {
        return std::string(column_ / 2, ' ') + "|" + std::string(column_ - column_ / 2 - 1, ' ');
    }
    [[nodiscard]] std::string arrow(std::string_view label, std::size_t columns, bool rightwards) const {
        const std::size_t inside = columns * column_ - 1;
        const std::string text = " " + cut(label, inside - 6) + " ";
        return rightwards ? "-" + centred(text, inside - 2, '-') + ">"
                          : "<" + centred(text, inside - 2, '-') + "-";
    }
    static std::string trimmed(std::string line) {
        line.erase(line.find_last_not_of(' ') + 1);
        return line + "\n";
    }

    std::vector<std::string> participants_;
    std::size_t column_ = column_min, shown_ = 0;
};

} // namespace

std::string format_ladder(const std::vector<LadderEntry> &entries, std::size_t width) {
    if (entries.empty()) return "";
    const Sheet sheet(entries, width);
    std::string text = sheet.head();
    for (const auto &entry : entries)
        text += sheet.row(entry, std::chrono::duration<double>(entry.time - entries.front().time).count());
    return text;
}

std::string ladder_label(std::string_view message) {
    std::string_view line = message.substr(0, message.find_first_of("\r\n"));
    constexpr std::string_view version = "SIP/2.0";
    if (line.starts_with(version)) line.remove_prefix(version.size());
    if (line.ends_with(version)) line.remove_suffix(version.size());
    std::string label(trim(line));
    const auto body = message.find("\r\n\r\n");
    if (body != std::string_view::npos && message.substr(body + 4).starts_with("v=0")) label += " (SDP)";
    return label;
}

void LadderRecorder::name(const Address &address, std::string participant) {
    names_[address.to_string()] = std::move(participant);
}

std::string LadderRecorder::participant(const Address &address) const {
    const std::string text = address.to_string();
    const auto named = names_.find(text);
    return named == names_.end() ? text : named->second;
}

void LadderRecorder::tap(const Flow &flow, bool sent, std::string_view bytes,
                         std::chrono::system_clock::time_point now) {
    const std::string local = participant(flow.local), remote = participant(flow.remote);
    entries_.push_back({now, sent ? local : remote, sent ? remote : local, ladder_label(bytes)});
}

} // namespace offhook::sip
