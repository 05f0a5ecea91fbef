#include "phone/event.hpp"

#include <array>

namespace offhook {

std::string to_string(CallId id) {
    return "c" + std::to_string(static_cast<std::uint32_t>(id));
}

std::string_view name(CallDirection direction) noexcept {
    return direction == CallDirection::outgoing ? "outgoing" : "incoming";
}

std::string_view name(EndedBy by) noexcept {
    switch (by) {
    case EndedBy::local:
        return "local";
    case EndedBy::remote:
        return "remote";
    case EndedBy::network:
        return "network";
    case EndedBy::timeout:
        return "timeout";
    }
    return {};
}

std::string_view name(TransferRole role) noexcept {
    switch (role) {
    case TransferRole::transferor:
        return "transferor";
    case TransferRole::transferee:
        return "transferee";
    case TransferRole::target:
        return "target";
    }
    return {};
}

std::string_view name(const Event &event) noexcept {
    // In the order of the variant.
    static constexpr std::array<std::string_view, std::variant_size_v<Event>> names{
        "account.registering", "account.registered", "account.failed", "account.unregistered",
        "call.incoming",       "call.outgoing",      "call.trying",    "call.ringing",
        "call.early",          "call.answered",      "call.held",      "call.resumed",
        "call.remote-hold",    "call.dtmf",          "call.media",     "call.quality",
        "call.transfer",       "call.recording",     "call.playback",  "call.step",
        "call.ended",          "audio.lost",         "audio.restored", "message.received",
        "message.sent",        "notify.received",    "notify.ended",   "log"};
    return event.valueless_by_exception() ? std::string_view{} : names.at(event.index());
}

const CallView *call_of(const Event &event) noexcept {
    return std::visit(
        [](const auto &e) -> const CallView * {
            if constexpr (requires { e.call; })
                return &e.call;
            else
                return nullptr;
        },
        event);
}

} // namespace offhook
