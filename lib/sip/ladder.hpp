// A call flow as text, one column per participant, for people: at most 80 columns wide.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sip/transport.hpp"

namespace offhook::sip {

struct LadderEntry {
    std::chrono::system_clock::time_point time;
    std::string from, to; // participants; columns come in the order of first appearance
    std::string label;    // "INVITE sip:bob@example.com", "180 Ringing"
};

// Labels and names that do not fit are cut with "…"; control characters become "?". Time is relative to the
// first entry. "" for no entries.
std::string format_ladder(const std::vector<LadderEntry> &entries, std::size_t width = 80);

// Collects entries from Transports' tap. Participants are addresses unless they were given a name.
class LadderRecorder {
public:
    void name(const Address &address, std::string participant);
    void tap(const Flow &flow, bool sent, std::string_view bytes,
             std::chrono::system_clock::time_point now = std::chrono::system_clock::now());
    [[nodiscard]] const std::vector<LadderEntry> &entries() const { return entries_; }
    [[nodiscard]] std::string format() const { return format_ladder(entries_); }

private:
    [[nodiscard]] std::string participant(const Address &address) const;

    std::map<std::string, std::string> names_;
    std::vector<LadderEntry> entries_;
};

// "INVITE sip:bob@example.com" or "180 Ringing": the start line without the version; "SDP" is added for a
// body that is one.
std::string ladder_label(std::string_view message);

} // namespace offhook::sip
