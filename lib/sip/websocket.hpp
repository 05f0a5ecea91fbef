// WebSocket frames (RFC 6455 §5 to §8), client and server, without I/O: bytes in, events out. An idle one
// holds no memory beyond itself; what announces much gets none before it arrives.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sip/utf8_check.hpp"

namespace offhook::sip {

// RFC 6455 §7.4.1.
namespace close_code {
inline constexpr std::uint16_t normal = 1000, going_away = 1001, protocol_error = 1002, none = 1005,
                               not_utf8 = 1007, policy = 1008, too_big = 1009;
} // namespace close_code

class WebSocket {
public:
    enum class Role : std::uint8_t { client, server };
    enum class Opcode : std::uint8_t {
        continuation = 0,
        text = 1,
        binary = 2,
        close = 8,
        ping = 9,
        pong = 10
    };
    struct Limits {
        std::size_t message = 65'536;  // bytes of one message, all fragments together; more: 1009
        std::size_t fragments = 1'024; // of one message; more: 1008
    };
    struct Event {
        enum class Kind : std::uint8_t { text, binary, ping, pong, close, failed } kind;
        std::string_view data; // payload, reason of a close, or what was wrong; until the next call of next()
        std::uint16_t code = 0; // close: the peer's (1005: it gave none); failed: what to close with
    };

    explicit WebSocket(Role role) : WebSocket(role, Limits()) {}
    WebSocket(Role role, Limits limits) noexcept : role_(role), limits_(limits) {}

    // The next event in `bytes`, which is shortened by what was read and unmasked in place: a message that
    // came in one piece is not copied. Nothing when it takes more bytes; all of them are taken then. After
    // `close` and `failed` there is nothing any more.
    std::optional<Event> next(std::span<char> &bytes);

    // One whole frame at the end of `out`. A client's are masked with random keys (§5.3).
    void append(std::string &out, Opcode opcode, std::string_view payload) const;
    // `code` none: an empty close frame. `reason` is cut to what fits.
    void append_close(std::string &out, std::uint16_t code, std::string_view reason) const;

private:
    bool read_header(std::span<char> &bytes);
    [[nodiscard]] std::size_t header_size() const noexcept;
    std::optional<Event> begin_frame();
    std::optional<Event> check_data_frame() noexcept;
    std::optional<Event> frame_ended(std::string_view part);
    std::optional<Event> data_ended(std::string_view part);
    std::optional<Event> close_frame(std::string_view payload);
    bool keep(std::string_view part);
    void unmask(std::span<char> part) noexcept;
    void forget_delivered();
    Event fail(std::uint16_t code, std::string_view why) noexcept;
    [[nodiscard]] bool is_control() const noexcept { return opcode_ >= Opcode::close; }

    static constexpr std::size_t longest_header = 14;

    Role role_;
    Opcode opcode_{};                     // of the frame
    Opcode message_kind_{};               // of the message under way; continuation: there is none
    bool fin_ = false, in_frame_ = false; //
    bool delivered_ = false;              // what is kept was handed out by the last call
    bool ended_ = false;
    std::uint8_t header_length_ = 0;
    std::uint8_t mask_at_ = 0; // which of the four key bytes is next
    std::array<char, longest_header> header_{};
    std::array<char, 4> mask_{};
    Utf8Check utf8_;
    Limits limits_;
    std::size_t fragments_ = 0;
    std::uint64_t remaining_ = 0; // bytes of the frame still to come
    std::string message_;         // what came of a message in pieces
    std::string control_;         // of a control frame in pieces
};

} // namespace offhook::sip
