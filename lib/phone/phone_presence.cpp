// Who may see how our calls stand, and when they are told.
#include <algorithm>

#include "base/text.hpp"
#include "phone/dialog_info.hpp"
#include "phone/phone_self.hpp"
#include "sip/event_headers.hpp"

namespace offhook {

namespace {

bool accepts_dialog_info(const sip::Message &request) {
    if (!request.has(sip::HeaderId::accept)) return true; // RFC 4235 §3.5: the default of the package
    const auto ranges = request.list(sip::HeaderId::accept);
    return std::ranges::any_of(ranges, [](std::string_view range) {
        const auto type = sip::trim(range.substr(0, range.find(';')));
        return sip::iequals(type, "application/dialog-info+xml") || sip::iequals(type, "application/*") ||
               type == "*/*";
    });
}

} // namespace

// From is only worth something when the account's own server (or this host) vouches for it.
bool Phone::Self::may_watch(const sip::Message &request, const sip::Flow &flow) const {
    const auto from = request.from();
    if (!from || !trusts(flow)) return false;
    const auto address = plain_uri(from->uri);
    return std::ranges::any_of(settings_.watchers,
                               [&](const std::string &pattern) { return glob_match(pattern, address); });
}

void Phone::Self::on_subscribe(const sip::Message &request, const sip::Flow &flow,
                               sip::ServerTransaction transaction) {
    const auto refuse = [&](unsigned status) {
        auto response = sip::Draft::response(request, status, {}, sip::random_token(8));
        if (status == 489) response.add("Allow-Events", "dialog");
        if (status == 406) response.add("Accept", "application/dialog-info+xml");
        transaction.respond(response);
    };
    const auto event = sip::EventName::parse(request.value(sip::HeaderId::event));
    if (!event || event->package != "dialog") return refuse(489);
    if (!may_watch(request, flow)) {
        const auto from = request.from();
        tell(
            event::Log{"warning", "refused a watcher" + (from ? " " + plain_uri(from->uri) : std::string{})});
        return refuse(403);
    }
    if (!accepts_dialog_info(request)) return refuse(406);
    if (shutting_down_) return refuse(480);
    const auto uri = request.uri();
    auto *account = uri ? account_of(*uri) : nullptr;
    if (account == nullptr) account = accounts_.back().get();
    publisher_.subscribe(request, flow, transaction, account->settings().name,
                         account->answering_options(request, flow));
}

std::string Phone::Self::dialogs_of(const std::string &account, const std::string &entity,
                                    std::uint32_t number) const {
    std::vector<CallView> views;
    for (const auto &call : calls_)
        if (!call->over() && call->account().settings().name == account) views.push_back(call->view());
    return dialog_info(entity, number, views);
}

void Phone::Self::publish(const Event &event) {
    const bool news = std::visit(
        [](const auto &e) {
            using E = std::decay_t<decltype(e)>;
            return std::is_same_v<E, event::CallIncoming> || std::is_same_v<E, event::CallOutgoing> ||
                   std::is_same_v<E, event::CallRinging> || std::is_same_v<E, event::CallEarly> ||
                   std::is_same_v<E, event::CallAnswered> || std::is_same_v<E, event::CallHeld> ||
                   std::is_same_v<E, event::CallResumed> || std::is_same_v<E, event::CallTransfer> ||
                   std::is_same_v<E, event::CallEnded>;
        },
        event);
    if (news) publisher_.changed();
}

} // namespace offhook
