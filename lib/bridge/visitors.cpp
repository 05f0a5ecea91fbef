#include "bridge/visitors.hpp"

#include <algorithm>

namespace offhook::bridge {

Visitors::Verdict Visitors::request(const sip::Flow &flow, TimePoint now) {
    const auto [entry, fresh] = visitors_.try_emplace(flow.connection);
    Visitor &visitor = entry->second;
    if (fresh) strangers_.push_back({now + stranger_for, flow});
    const std::chrono::duration<double> passed = fresh ? Duration(0) : now - visitor.filled;
    visitor.filled = now;
    const double tokens = std::min(burst, visitor.tokens + passed.count() * per_second) - 1;
    visitor.tokens = static_cast<float>(std::max(tokens, -most_debt - 1));
    if (tokens >= 0) return Verdict::pass;
    return tokens < -most_debt ? Verdict::send_away : Verdict::refuse;
}

void Visitors::known(const sip::Flow &flow, TimePoint now) {
    const auto [entry, fresh] = visitors_.try_emplace(flow.connection);
    if (fresh) entry->second.filled = now;
    entry->second.known = true;
}

std::vector<sip::Flow> Visitors::overdue(TimePoint now) {
    std::vector<sip::Flow> out;
    for (; !strangers_.empty() && strangers_.front().until <= now; strangers_.pop_front()) {
        const sip::Flow &flow = strangers_.front().flow;
        const auto found = visitors_.find(flow.connection);
        if (found != visitors_.end() && !found->second.known) out.push_back(flow);
    }
    return out;
}

} // namespace offhook::bridge
