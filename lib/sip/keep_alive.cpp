#include "sip/keep_alive.hpp"

#include <algorithm>

#include "sip/stun_ping.hpp"

namespace offhook::sip {

KeepAlive::Entry *KeepAlive::find(const Flow &flow) {
    const auto found = std::ranges::find_if(entries_, [&](const auto &entry) { return entry->flow == flow; });
    return found == entries_.end() ? nullptr : found->get();
}

void KeepAlive::set(const Flow &flow, Duration interval, bool stun) {
    if (interval <= Duration(0)) return forget(flow);
    Entry *entry = find(flow);
    if (entry == nullptr) {
        entries_.push_back(std::make_unique<Entry>(loop_, flow, interval));
        entry = entries_.back().get();
    }
    entry->interval = interval;
    entry->stun = stun && !is_stream(flow.kind);
    schedule(*entry);
}

void KeepAlive::pong(const Flow &flow) {
    if (Entry *entry = find(flow)) entry->due.cancel();
}

void KeepAlive::forget(const Flow &flow) {
    std::erase_if(entries_, [&](const auto &entry) { return entry->flow == flow; });
}

void KeepAlive::schedule(Entry &entry) {
    entry.next.start(entry.interval, [this, &entry] { ping(entry); });
}

void KeepAlive::give_up(const Flow &flow) {
    const Flow dead = flow; // it is the entry's
    forget(dead);
    failed_(dead);
}

void KeepAlive::expect_pong(Entry &entry) {
    if (!entry.due.running()) entry.due.start(pong_due_, [this, &entry] { give_up(entry.flow); });
}

void KeepAlive::ping(Entry &entry) {
    schedule(entry);
    if (is_stream(entry.flow.kind) || entry.stun_spoken) expect_pong(entry);
    const Flow flow = entry.flow; // sending may end the flow and with it the entry
    std::string binding;
    if (entry.stun) {
        entry.stun_id = stun_transaction_id();
        binding = stun_binding_request(entry.stun_id);
    }
    ping_(flow, is_stream(flow.kind) ? "\r\n\r\n" : "\r\n");
    if (!binding.empty() && find(flow) != nullptr) ping_(flow, binding);
}

void KeepAlive::stun(const Address &local, const Address &remote, std::string_view message) {
    const auto response = parse_stun_response(message);
    if (!response) return;
    const auto found = std::ranges::find_if(entries_, [&](const auto &entry) {
        return !entry->stun_id.empty() && entry->stun_id == response->id && entry->flow.remote == remote &&
               entry->flow.local.port() == local.port();
    });
    if (found == entries_.end()) return;
    Entry &entry = **found;
    entry.due.cancel();
    entry.stun_spoken = true;
    if (!response->mapped) return;
    // RFC 5626 §4.4.2: the NAT forgot us, the registrar's way to us is gone.
    const bool moved = entry.mapped && !(*entry.mapped == *response->mapped);
    entry.mapped = response->mapped;
    if (moved) give_up(entry.flow);
}

} // namespace offhook::sip
