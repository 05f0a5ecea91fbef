#include "bridge/visitors.hpp"

namespace offhook::bridge {

Visitors::Verdict Visitors::request(const sip::Flow &flow, TimePoint now) {
    const auto [entry, fresh] = visitors_.try_emplace(flow.connection);
    Visitor &visitor = entry->second;
    if (fresh) strangers_.push_back({now + stranger_for, flow});
    visitor.bucket.fill(per_second, burst, now);
    const double tokens = visitor.bucket.take(most_debt + 1);
    if (tokens >= 0) return Verdict::pass;
    return tokens < -most_debt ? Verdict::send_away : Verdict::refuse;
}

void Visitors::known(const sip::Flow &flow) {
    visitors_[flow.connection].known = true;
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
