// One tag for all forks of a call. Whichever phone speaks, the browser that calls sees the same To-tag:
// SIP.js ends a call when another tag answers than the one whose early media it plays. What names a dialog by
// its tags elsewhere (Replaces and the like) is translated on its way. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "sip/draft.hpp"

namespace offhook::bridge {

class HiddenForks;

// All calls whose forks are hidden, by Call-ID. Outlives them.
class TagBook {
public:
    [[nodiscard]] bool empty() const noexcept { return calls_.empty(); }
    // A message that a browser sent: tags as it knows them become those of the forks.
    void outward(sip::Draft &draft) const;
    // A message for the browser `viewer`: tags of forks become the one that it knows.
    void inward(sip::Draft &draft, const std::string &viewer) const;

private:
    friend class HiddenForks;
    std::unordered_multimap<std::string, const HiddenForks *> calls_;
};

// Of one call; entered in the book as long as it lives.
class HiddenForks {
public:
    // `shown`: a fresh random tag of letters and digits. `viewer`: who sees it.
    HiddenForks(TagBook &book, std::string call_id, std::string viewer, std::string shown);
    ~HiddenForks();
    HiddenForks(const HiddenForks &) = delete;
    HiddenForks &operator=(const HiddenForks &) = delete;

    void learn(std::string_view tag); // a fork has this one, and stands for all from now on
    [[nodiscard]] const std::string &shown() const noexcept { return shown_; }
    [[nodiscard]] const std::string &viewer() const noexcept { return viewer_; }
    // Of the browser → of the fork that stands for all; anything else stays.
    [[nodiscard]] std::string_view outside(std::string_view tag) const noexcept;
    // Of a fork → of the browser; anything else stays.
    [[nodiscard]] std::string_view inside(std::string_view tag) const noexcept;

private:
    static constexpr std::size_t most = 64; // forks that are remembered

    TagBook &book_;
    std::string call_id_, viewer_, shown_, current_;
    std::vector<std::string> tags_;
};

} // namespace offhook::bridge
