#include "bridge/callee_dialogs.hpp"

#include <algorithm>

#include "bridge/location.hpp"

namespace offhook::bridge {

using sip::HeaderId;

std::size_t CalleeDialogs::find(std::string_view tag) const {
    return static_cast<std::size_t>(std::ranges::find(list_, tag, &CalleeDialog::tag) - list_.begin());
}

CalleeDialog &CalleeDialogs::at(std::string_view tag) {
    const auto index = find(tag);
    return index < list_.size() ? list_[index] : current();
}

void CalleeDialogs::choose(std::string_view tag) {
    if (const auto index = find(tag); index < list_.size()) current_ = index;
    chosen_ = true;
}

void CalleeDialogs::learn(const sip::Message &response, const IsOurs &ours) {
    const auto to = response.to();
    if (!to || to->tag().empty() || response.status() >= 300) return;
    auto index = find(to->tag());
    if (index == list_.size()) {
        if (list_.size() >= most) return;
        if (list_.front().tag.empty())
            index = 0;
        else
            list_.emplace_back();
        list_[index].tag = to->tag();
    }
    if (!chosen_) current_ = index;
    CalleeDialog &dialog = list_[index];
    dialog.to = response.value(HeaderId::to);
    if (response.has(HeaderId::allow)) {
        dialog.allows_update = response.lists_token(HeaderId::allow, "UPDATE");
        dialog.allows_info = response.lists_token(HeaderId::allow, "INFO");
    }
    if (const auto contacts = response.list(HeaderId::contact); !contacts.empty())
        dialog.contact = raw_uri(contacts.front());
    if (has_sdp(response)) dialog.answer = response.body();
    dialog.routes.clear();
    for (const auto element : response.list(HeaderId::record_route)) {
        const auto route = sip::NameAddr::parse(element);
        if (!route || ours(route->uri)) break;
        dialog.routes.insert(dialog.routes.begin(), std::string(element));
    }
}

} // namespace offhook::bridge
