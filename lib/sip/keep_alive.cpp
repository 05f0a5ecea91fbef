#include "sip/keep_alive.hpp"

#include <algorithm>

namespace offhook::sip {

KeepAlive::Entry *KeepAlive::find(const Flow &flow) {
    const auto found = std::ranges::find_if(entries_, [&](const auto &entry) { return entry->flow == flow; });
    return found == entries_.end() ? nullptr : found->get();
}

void KeepAlive::set(const Flow &flow, Duration interval) {
    if (interval <= Duration(0)) return forget(flow);
    Entry *entry = find(flow);
    if (entry == nullptr) {
        entries_.push_back(std::make_unique<Entry>(loop_, flow, interval));
        entry = entries_.back().get();
    }
    entry->interval = interval;
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

void KeepAlive::ping(Entry &entry) {
    schedule(entry);
    if (is_stream(entry.flow.kind) && !entry.due.running())
        entry.due.start(pong_due_, [this, flow = entry.flow] {
            forget(flow);
            failed_(flow);
        });
    const Flow flow = entry.flow; // sending may end the flow and with it the entry
    ping_(flow, is_stream(flow.kind) ? "\r\n\r\n" : "\r\n");
}

} // namespace offhook::sip
