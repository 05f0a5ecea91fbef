// Texts that several suites are made of.
#pragma once

#include <string>
#include <string_view>

#include <doctest/doctest.h>

#include "sip/message.hpp"

namespace offhook::test {

inline std::string repeated(std::string_view line, int count) {
    std::string text;
    for (int n = 0; n < count; ++n)
        text += line;
    return text;
}

inline sip::Message parsed(const std::string &text) {
    auto message = sip::Message::parse(text);
    REQUIRE(message);
    return *message;
}

} // namespace offhook::test
