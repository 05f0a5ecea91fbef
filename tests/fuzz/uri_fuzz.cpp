// Any bytes as a URI, a user part and an address.
#include <string>

#include "base/address.hpp"
#include "sip/uri.hpp"
#include "tests/fuzz/body.hpp"

using namespace offhook;
using namespace offhook::fuzz;
using namespace offhook::sip;

FUZZ_BODY(uri) {
    const auto text = text_of(input);
    if (const auto uri = Uri::parse(text)) {
        const std::string written = uri->encode();
        const auto again = Uri::parse(written);
        require(again && again->encode() == written);
        require(uri->equals(*uri) && uri->equals(*again) && again->equals(*uri));
        require(written.find_first_of(std::string_view("\r\n\0 ", 4)) == written.npos);
        (void)uri->host_port();
        (void)uri->user_decoded();
    }
    const std::string escaped = escape_user(text);
    require(unescape(escaped) == text);
    if (!text.empty()) {
        const auto made = Uri::parse("sip:" + escaped + "@example.com");
        require(made && made->user_decoded() == text && made->host == "example.com");
    }
    if (const auto address = Address::parse(text)) {
        const auto again = Address::parse(address->ip());
        require(again && again->same_ip(*address));
    }
}
