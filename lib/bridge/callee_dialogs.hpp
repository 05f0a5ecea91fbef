// The dialogs that the responses of one branch make (RFC 3261 §12.1.2): one for each To-tag, as a proxy
// behind us may fork, too. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/rewrite.hpp"
#include "sip/message.hpp"

namespace offhook::bridge {

struct CalleeDialog {
    std::string tag, to;             // to: the header as the phone writes it
    std::string contact;             // where requests for it go
    std::vector<std::string> routes; // from us to it, for requests of our own
    std::string answer;              // to the offer of the INVITE, as it came
    bool allows_update = true, allows_info = false;
};

class CalleeDialogs {
public:
    // What a provisional or successful response says. One of many dialogs too many is not remembered.
    void learn(const sip::Message &response, const IsOurs &ours);
    void choose(std::string_view tag); // it answered the call
    [[nodiscard]] bool known(std::string_view tag) const { return find(tag) < list_.size(); }
    // By tag; without one, the dialog that answered or was heard of last. Never nothing.
    [[nodiscard]] CalleeDialog &at(std::string_view tag);
    [[nodiscard]] CalleeDialog &current() { return list_[current_]; }
    [[nodiscard]] const CalleeDialog &current() const { return list_[current_]; }

private:
    static constexpr std::size_t most = 32;
    [[nodiscard]] std::size_t find(std::string_view tag) const;

    std::vector<CalleeDialog> list_{1}; // the first one gets its tag when it is known
    std::size_t current_ = 0;
    bool chosen_ = false;
};

} // namespace offhook::bridge
