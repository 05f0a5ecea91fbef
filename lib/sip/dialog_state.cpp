#include "sip/dialog_state.hpp"

namespace offhook::sip {

DialogState step(DialogState state, DialogEvent event) noexcept {
    if (state == DialogState::terminated || event == DialogEvent::ended) return DialogState::terminated;
    if (state == DialogState::confirmed || event == DialogEvent::answered) return DialogState::confirmed;
    if (state == DialogState::early || event == DialogEvent::provisional_with_tag) return DialogState::early;
    return DialogState::proceeding;
}

std::string_view name(DialogState state) noexcept {
    switch (state) {
    case DialogState::trying:
        return "trying";
    case DialogState::proceeding:
        return "proceeding";
    case DialogState::early:
        return "early";
    case DialogState::confirmed:
        return "confirmed";
    case DialogState::terminated:
        return "terminated";
    }
    return {};
}

} // namespace offhook::sip
