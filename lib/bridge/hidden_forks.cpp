#include "bridge/hidden_forks.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "bridge/dialog_names.hpp"

namespace offhook::bridge {

HiddenForks::HiddenForks(TagBook &book, std::string call_id, std::string viewer, std::string shown)
    : book_(book), call_id_(std::move(call_id)), viewer_(std::move(viewer)), shown_(std::move(shown)) {
    book_.calls_.emplace(call_id_, this);
}

HiddenForks::~HiddenForks() {
    const auto [begin, end] = book_.calls_.equal_range(call_id_);
    for (auto it = begin; it != end; ++it)
        if (it->second == this) {
            book_.calls_.erase(it);
            return;
        }
}

void HiddenForks::learn(std::string_view tag) {
    if (tag.empty()) return;
    if (std::ranges::find(tags_, tag) == tags_.end() && tags_.size() < most) tags_.emplace_back(tag);
    current_ = tag;
}

std::string_view HiddenForks::outside(std::string_view tag) const noexcept {
    return tag == shown_ && !current_.empty() ? std::string_view(current_) : tag;
}

std::string_view HiddenForks::inside(std::string_view tag) const noexcept {
    return tag == current_ || std::ranges::find(tags_, tag) != tags_.end() ? std::string_view(shown_) : tag;
}

void TagBook::outward(sip::Draft &draft) const {
    if (calls_.empty()) return;
    translate_tags(draft, [this](std::string_view call_id, std::string_view tag) {
        const auto [begin, end] = calls_.equal_range(std::string(call_id));
        for (auto it = begin; it != end; ++it)
            if (const auto out = it->second->outside(tag); out != tag) return std::string(out);
        return std::string(tag);
    });
}

void TagBook::inward(sip::Draft &draft, const std::string &viewer) const {
    if (calls_.empty()) return;
    translate_tags(draft, [&](std::string_view call_id, std::string_view tag) {
        const auto [begin, end] = calls_.equal_range(std::string(call_id));
        for (auto it = begin; it != end; ++it)
            if (it->second->viewer() == viewer)
                if (const auto in = it->second->inside(tag); in != tag) return std::string(in);
        return std::string(tag);
    });
}

} // namespace offhook::bridge
