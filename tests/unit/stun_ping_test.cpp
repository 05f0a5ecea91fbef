// STUN as far as keep-alives need it.
#include <doctest/doctest.h>

#include "sip/stun_ping.hpp"

using namespace offhook;
using namespace offhook::sip;

namespace {

const std::string id = "0123456789ab";

std::string message(unsigned type, const std::string &attributes) {
    std::string out{static_cast<char>(type >> 8U), static_cast<char>(type), '\0',
                    static_cast<char>(attributes.size())};
    return out + "\x21\x12\xa4\x42" + id + attributes;
}

} // namespace

TEST_SUITE("transport") {

    TEST_CASE("STUN: a Binding request is 20 bytes, and no SIP") {
        const std::string request = stun_binding_request(id);
        CHECK(request == std::string("\0\1\0\0\x21\x12\xa4\x42", 8) + id);
        CHECK(is_stun(request));
        CHECK_FALSE(is_stun("OPTIONS sip:a@b SIP/2.0\r\n\r\n"));
        CHECK_FALSE(is_stun(request.substr(0, 19)));
        CHECK_FALSE(parse_stun_response(request));
        CHECK(stun_transaction_id().size() == 12);
        CHECK(stun_transaction_id() != stun_transaction_id());
    }

    TEST_CASE("STUN: mapped addresses, hidden by XOR and plain") {
        // RFC 5769 §2.2: 192.0.2.1:32853.
        const std::string hidden("\0\x20\0\x08\0\x01\xa1\x47\xe1\x12\xa6\x43", 12);
        const auto response =
            parse_stun_response(message(0x0101, "\x80\x22" + std::string("\0\3abc ", 6) + hidden));
        REQUIRE(response);
        CHECK(response->id == id);
        REQUIRE(response->mapped);
        CHECK(response->mapped->to_string() == "192.0.2.1:32853");
        const std::string plain("\0\1\0\x08\0\1\x13\xc4\x7f\0\0\1", 12);
        CHECK(parse_stun_response(message(0x0101, plain))->mapped->to_string() == "127.0.0.1:5060");
        std::string six("\0\x20\0\x14\0\2\x32\xd6", 8); // port 5060
        const std::string key = "\x21\x12\xa4\x42" + id;
        for (std::size_t i = 0; i < 16; ++i)
            six.push_back(static_cast<char>((i == 15 ? 1 : 0) ^ key[i]));
        CHECK(parse_stun_response(message(0x0101, six))->mapped->to_string() == "[::1]:5060");
        CHECK_FALSE(parse_stun_response(message(0x0111, ""))->mapped); // an error is an answer too
    }

    TEST_CASE("STUN: what is cut short or lies about lengths is nothing") {
        const std::string hidden("\0\x20\0\x08\0\x01\xa1\x47\xe1\x12\xa6\x43", 12);
        const std::string good = message(0x0101, hidden);
        for (std::size_t size = 0; size < good.size(); ++size)
            CHECK_FALSE(parse_stun_response(good.substr(0, size)));
        CHECK_FALSE(
            parse_stun_response(message(0x0101, std::string("\0\x20\0\x20\0\1", 6) + std::string(6, 'x'))));
        const auto family =
            parse_stun_response(message(0x0101, std::string("\0\x20\0\x08\0\7\0\0\0\0\0\0", 12)));
        REQUIRE(family);
        CHECK_FALSE(family->mapped);
        const auto brief = parse_stun_response(message(0x0101, std::string("\0\x20\0\2\0\1\0\0", 8)));
        REQUIRE(brief);
        CHECK_FALSE(brief->mapped);
    }
}
