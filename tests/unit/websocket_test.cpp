// RFC 6455 frames: every length, every split, every wrong bit.
#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "sip/websocket.hpp"

using namespace offhook::sip;
using Kind = WebSocket::Event::Kind;
using Opcode = WebSocket::Opcode;
using Role = WebSocket::Role;

namespace {

struct Seen {
    Kind kind;
    std::string data;
    std::uint16_t code = 0;
    friend bool operator==(const Seen &, const Seen &) = default;
};

[[maybe_unused]] std::ostream &operator<<(std::ostream &out, const Seen &seen) {
    return out << static_cast<int>(seen.kind) << ' ' << seen.code << ' ' << seen.data.substr(0, 60);
}

// What is seen when the bytes come in pieces of that size (the last one shorter).
std::vector<Seen> feed(WebSocket &socket, std::string bytes, std::size_t piece = SIZE_MAX) {
    std::vector<Seen> seen;
    for (std::size_t at = 0; at < bytes.size();) {
        const std::size_t size = std::min(piece, bytes.size() - at);
        std::span<char> part(bytes.data() + at, size);
        while (const auto event = socket.next(part))
            seen.push_back({event->kind, std::string(event->data), event->code});
        CHECK(part.empty());
        at += size;
    }
    return seen;
}

struct Frame {
    unsigned first; // FIN, RSV and opcode
    std::string payload;
    bool masked = true;
};

std::string big_endian(std::uint64_t value, int size) {
    std::string text;
    for (int i = size - 1; i >= 0; --i)
        text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    return text;
}

std::string bytes(const Frame &frame) {
    const std::string key = "\x01\xfe\x55\x80";
    const auto size = frame.payload.size();
    std::string out(1, static_cast<char>(frame.first));
    const unsigned mask = frame.masked ? 0x80 : 0;
    out.push_back(static_cast<char>(mask | (size < 126 ? size : size < 65536 ? 126 : 127)));
    if (size >= 126) out += big_endian(size, size < 65536 ? 2 : 8);
    if (frame.masked) out += key;
    for (std::size_t i = 0; i < size; ++i)
        out.push_back(frame.masked ? static_cast<char>(frame.payload[i] ^ key[i % 4]) : frame.payload[i]);
    return out;
}

std::string bytes(const std::vector<Frame> &frames) {
    std::string out;
    for (const auto &frame : frames)
        out += bytes(frame);
    return out;
}

std::uint16_t failure(const std::string &wire, Role role = Role::server, WebSocket::Limits limits = {}) {
    WebSocket socket(role, limits);
    const auto seen = feed(socket, wire);
    if (seen.empty() || seen.back().kind != Kind::failed) return 0;
    CHECK_FALSE(seen.back().data.empty());
    CHECK(feed(socket, bytes({0x81, "more"})).empty()); // it is over
    return seen.back().code;
}

} // namespace

TEST_SUITE("websocket") {

    TEST_CASE("frames of every length form go both ways, however they are cut") {
        for (const std::size_t size : {0, 1, 125, 126, 127, 65'535, 65'536}) {
            CAPTURE(size);
            std::string payload(size, '\0');
            for (std::size_t i = 0; i < size; ++i)
                payload[i] = static_cast<char>(i * 7 + i / 251);
            for (const auto role : {Role::client, Role::server}) {
                const WebSocket sender(role);
                std::string wire;
                sender.append(wire, Opcode::binary, payload);
                const std::size_t head = (size < 126      ? 2
                                          : size < 65'536 ? 4
                                                          : 10) +
                                         (role == Role::client ? 4U : 0U);
                CHECK(wire.size() == head + size);
                const std::vector<Seen> expected{{Kind::binary, payload}};
                for (const std::size_t piece :
                     {std::size_t(1), std::size_t(3), std::size_t(1460), SIZE_MAX}) {
                    if (piece < 1000 && size > 1000 && piece != 3) continue;
                    WebSocket receiver(role == Role::client ? Role::server : Role::client);
                    CHECK((feed(receiver, wire, piece) == expected));
                }
            }
        }
    }

    TEST_CASE("a message may be split at every byte") {
        const std::string wire =
            bytes({{0x01, "REG"}, {0x89, "are you there"}, {0x00, ""}, {0x80, "ISTER"}, {0x8a, ""}});
        const std::vector<Seen> expected{
            {Kind::ping, "are you there"}, {Kind::text, "REGISTER"}, {Kind::pong, ""}};
        for (std::size_t at = 1; at < wire.size(); ++at) {
            CAPTURE(at);
            WebSocket socket(Role::server);
            auto seen = feed(socket, wire.substr(0, at));
            const auto rest = feed(socket, wire.substr(at));
            seen.insert(seen.end(), rest.begin(), rest.end());
            CHECK((seen == expected));
        }
    }

    TEST_CASE("a message in one piece is not copied") {
        std::string wire = bytes({0x81, "OPTIONS sip:example.com SIP/2.0"});
        WebSocket socket(Role::server);
        std::span<char> part(wire);
        const auto event = socket.next(part);
        REQUIRE(event);
        CHECK(event->data.data() >= wire.data());
        CHECK(event->data.data() < wire.data() + wire.size());
    }

    TEST_CASE("a client masks with another key each time") {
        const WebSocket client(Role::client);
        std::string first, second;
        client.append(first, Opcode::text, "the same");
        client.append(second, Opcode::text, "the same");
        CHECK(first != second);
        CHECK(first.find("the same") == std::string::npos);
    }

    TEST_CASE("lengths that nobody can mean end the connection without a byte being kept for them") {
        const auto announce = [](std::uint64_t length) {
            return std::string("\x82\xff", 2) + big_endian(length, 8) + "\1\2\3\4payload";
        };
        CHECK(failure(announce(65'537)) == close_code::too_big);
        CHECK(failure(announce(std::uint64_t{1} << 31U)) == close_code::too_big);
        CHECK(failure(announce(std::uint64_t{1} << 32U)) == close_code::too_big);
        CHECK(failure(announce((std::uint64_t{1} << 63U) - 1)) == close_code::too_big);
        CHECK(failure(announce(std::uint64_t{1} << 63U)) == close_code::protocol_error);
        CHECK(failure(announce(UINT64_MAX)) == close_code::protocol_error);
        CHECK(failure(announce(UINT64_MAX - 3)) == close_code::protocol_error);
        CHECK(failure(announce(65'535)) == close_code::protocol_error); // fits 16 bits
        CHECK(failure(std::string("\x82\xfe\x00\x7d\1\2\3\4", 8)) ==
              close_code::protocol_error); // fits 7 bits
    }

    TEST_CASE("all fragments together are bounded, and so is their number") {
        const std::string half(40'000, 'x');
        CHECK(failure(bytes({{0x01, half}, {0x80, half}})) == close_code::too_big);
        std::vector<Frame> many{{0x01, "x"}};
        many.resize(1024, {0x00, ""});
        CHECK(failure(bytes(many)) == 0);
        many.push_back({0x80, ""});
        CHECK(failure(bytes(many)) == close_code::policy);
        WebSocket socket(Role::server, {10, 2});
        CHECK((feed(socket, bytes({{0x01, "12345"}, {0x80, "67890"}})) ==
               std::vector<Seen>{{Kind::text, "1234567890"}}));
        CHECK(
            (feed(socket, bytes({{0x82, "1234567890"}})) == std::vector<Seen>{{Kind::binary, "1234567890"}}));
    }

    TEST_CASE("what RFC 6455 forbids is a protocol error") {
        const struct {
            const char *what;
            std::string wire;
        } rows[]{
            {"RSV1", bytes({0xc1, "x"})},
            {"RSV2", bytes({0xa1, "x"})},
            {"RSV3", bytes({0x91, "x"})},
            {"opcode 3", bytes({0x83, "x"})},
            {"opcode 7", bytes({0x87, "x"})},
            {"opcode 11", bytes({0x8b, "x"})},
            {"opcode 15", bytes({0x8f, "x"})},
            {"not masked", bytes({0x81, "x", false})},
            {"ping of 126 bytes", bytes({0x89, std::string(126, 'x')})},
            {"ping in fragments", bytes({0x09, "x"})},
            {"close in fragments", bytes({0x08, "x"})},
            {"continuation of nothing", bytes({0x80, "x"})},
            {"continuation after an end", bytes({{0x81, "x"}, {0x80, "y"}})},
            {"text amid text", bytes({{0x01, "x"}, {0x81, "y"}})},
            {"binary amid text", bytes({{0x01, "x"}, {0x02, "y"}})},
            {"close with half a code", bytes({0x88, "x"})},
        };
        for (const auto &row : rows) {
            CAPTURE(row.what);
            CHECK(failure(row.wire) == close_code::protocol_error);
        }
        CHECK(failure(bytes({0x81, "x"}), Role::client) == close_code::protocol_error); // a server that masks
        CHECK(failure(bytes({0x81, "x", false}), Role::client) == 0);
    }

    TEST_CASE("close codes are those of RFC 6455 and its registry") {
        for (const unsigned code :
             {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 3000, 3999, 4999}) {
            CAPTURE(code);
            WebSocket socket(Role::server);
            const auto seen =
                feed(socket, bytes({0x88, big_endian(code, 2) + "bye"}) + bytes({0x81, "late"}), 3);
            CHECK((seen == std::vector<Seen>{{Kind::close, "bye", static_cast<std::uint16_t>(code)}}));
        }
        for (const unsigned code : {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
            CAPTURE(code);
            CHECK(failure(bytes({0x88, big_endian(code, 2)})) == close_code::protocol_error);
        }
        WebSocket socket(Role::server);
        CHECK((feed(socket, bytes({0x88, ""})) == std::vector<Seen>{{Kind::close, "", close_code::none}}));
        CHECK(failure(bytes({0x88, big_endian(1000, 2) + "\xff"})) == close_code::not_utf8);
    }

    TEST_CASE("our close frames fit, whatever the reason") {
        const WebSocket server(Role::server);
        std::string wire;
        server.append_close(wire, close_code::policy, std::string(122, 'x') + "\xc3\xa9");
        WebSocket client(Role::client);
        CHECK((feed(client, wire) ==
               std::vector<Seen>{{Kind::close, std::string(122, 'x'), close_code::policy}}));
        wire.clear();
        server.append_close(wire, close_code::none, "never sent");
        CHECK(wire == std::string("\x88\x00", 2));
    }

    TEST_CASE("text is UTF-8, also across fragments and pieces, and is refused at the first wrong byte") {
        for (const char *good :
             {"", "a", "κόσμε", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\xef\xbf\xbe",
              "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80", "0123456789abcdef\xc3\xa9 and more"}) {
            CAPTURE(good);
            const std::string text(good);
            for (std::size_t at = 0; at <= text.size(); ++at)
                for (const std::size_t piece : {std::size_t(1), SIZE_MAX}) {
                    WebSocket socket(Role::server);
                    CHECK((feed(socket,
                                bytes({{0x01, text.substr(0, at)}, {0x89, ""}, {0x80, text.substr(at)}}),
                                piece) == std::vector<Seen>{{Kind::ping, ""}, {Kind::text, text}}));
                }
        }
        for (const char *bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf",
                                "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
                                "\xf5\x80\x80\x80", "\xff", "\xfe", "abcdefgh\xc3(", "\xc3"}) {
            CAPTURE(bad);
            CHECK(failure(bytes({0x81, bad})) == close_code::not_utf8);
            CHECK(failure(bytes({{0x01, bad}, {0x80, ""}})) == close_code::not_utf8);
            CHECK(failure(bytes({0x82, bad})) == 0); // binary may be anything
        }
        // Amid the frame, before the rest has come.
        const std::string wire = bytes({0x81, std::string("ok \xed\xa0\x80") + std::string(100, 'x')});
        CHECK(failure(wire.substr(0, 20)) == close_code::not_utf8);
    }

    TEST_CASE("an idle WebSocket is small") {
        CHECK(sizeof(WebSocket) <= 192);
    }
}
