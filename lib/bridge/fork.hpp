// The response context of a forking proxy, RFC 3261 §16.7, pure: which response of which branch goes to the
// caller, and which branches are cancelled.
#pragma once

#include <cstddef>
#include <vector>

namespace offhook::bridge {

class Fork {
public:
    struct Action {
        enum class Kind : unsigned char {
            forward, // the response last received on `branch`
            cancel   // CANCEL `branch`
        } kind;
        std::size_t branch;
        friend bool operator==(const Action &, const Action &) = default;
    };

    std::size_t add() { // a new branch, its request on the way
        statuses_.push_back(0);
        return statuses_.size() - 1;
    }
    // A response, or what stands for one: 408 after a time-out, 503 after a transport failure.
    std::vector<Action> received(std::size_t branch, unsigned status);
    std::vector<Action> cancel(); // the caller gave up, or Timer C fired
    [[nodiscard]] bool finished() const noexcept { return forwarded_; } // a final response went to the caller
    [[nodiscard]] bool pending(std::size_t branch) const noexcept { return statuses_[branch] < 200; }
    [[nodiscard]] std::size_t size() const noexcept { return statuses_.size(); }

private:
    [[nodiscard]] std::vector<Action> cancel_pending() const;
    [[nodiscard]] std::size_t best() const;

    std::vector<unsigned> statuses_;
    bool forwarded_ = false;
};

} // namespace offhook::bridge
