// A call's life, RFC 4235 §3.7.1: five states, one pure step, applied in one place per call.
#pragma once

#include <cstdint>
#include <string_view>

namespace offhook::sip {

enum class DialogState : std::uint8_t { trying, proceeding, early, confirmed, terminated };

enum class DialogEvent : std::uint8_t {
    provisional_without_tag, // 100, or 1xx without To tag
    provisional_with_tag,    // 1xx that makes an early dialog
    answered,                // 2xx
    ended                    // rejected, cancelled, replaced, BYE, error, timeout
};

DialogState step(DialogState state, DialogEvent event) noexcept;
std::string_view name(DialogState state) noexcept;

} // namespace offhook::sip
