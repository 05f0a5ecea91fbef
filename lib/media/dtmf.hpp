// DTMF as telephone-events (RFC 4733) and in INFO bodies. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "media/rtp.hpp"

namespace offhook::media {

std::optional<std::uint8_t> dtmf_event_code(char digit) noexcept; // 0-9 * # A-D → 0..15
std::optional<char> dtmf_digit(std::uint8_t code) noexcept;

struct DtmfEvent {
    enum class Kind : std::uint8_t { down, up } kind;
    char digit;
    Duration length{0}; // with up
};

// Keyed on (SSRC, RTP timestamp): each key gives exactly one down and one up, whatever is lost, repeated or
// reordered. Ends an event after `patience` without packets.
class DtmfReceiver {
public:
    explicit DtmfReceiver(Duration patience = Duration{150}) : patience_(patience) {}
    // `clock_rate`: of the packet's payload type.
    std::vector<DtmfEvent> received(const RtpPacket &packet, TimePoint now, unsigned clock_rate = 8000);
    std::vector<DtmfEvent> poll(TimePoint now); // call about every 20 ms while active()
    [[nodiscard]] bool active() const noexcept;

private:
    struct Event {
        std::uint32_t ssrc = 0, first_timestamp = 0,
                      last_timestamp = 0; // more than one: segments of a long event
        std::uint8_t code = 0;
        std::uint32_t units = 0; // of finished segments
        std::uint16_t duration = 0;
        unsigned clock_rate = 8000;
        TimePoint last_seen{};
    };
    [[nodiscard]] bool known(std::uint32_t ssrc, std::uint32_t timestamp) const noexcept;
    void remember(std::uint32_t ssrc, std::uint32_t timestamp);
    DtmfEvent finish();

    Duration patience_;
    std::optional<Event> current_;
    std::deque<std::pair<std::uint32_t, std::uint32_t>> past_; // (SSRC, timestamp) already told
};

// Digits to send: a queue of tones and pauses, polled every ptime for the payload to send instead of audio.
class DtmfSender {
public:
    struct Options {
        unsigned clock_rate = 8000;
        unsigned ptime_ms = 20;
        Duration tone{160}, gap{160}, pause{500}; // pause: ',' and 'w'
    };
    struct Payload {
        std::array<std::uint8_t, 4> bytes;
        std::uint32_t timestamp; // of the event's start
        bool marker;
    };
    explicit DtmfSender(Options options) : options_(options) {}
    Result<>
    send(std::string_view digits); // 0-9 * # A-D a-d , w; Errors: invalid_argument naming the character
    // `timestamp`: RTP time of this tick. Nothing when audio may flow. Each end is sent three times.
    std::optional<Payload> poll(std::uint32_t timestamp);
    [[nodiscard]] bool busy() const noexcept { return state_ != State::idle || !queue_.empty(); }
    // The digit whose tone just began, once per digit: for events and logs.
    std::optional<char> take_started() noexcept { return std::exchange(started_, std::nullopt); }

private:
    enum class State : std::uint8_t { idle, tone, end, gap };
    void next(std::uint32_t timestamp);

    Options options_;
    std::deque<char> queue_;
    State state_ = State::idle;
    std::uint8_t code_ = 0;
    std::uint32_t start_ = 0, wait_until_ = 0;
    int ends_left_ = 0;
    bool first_ = false;
    std::optional<char> started_;
};

// INFO bodies. `content_type`: application/dtmf-relay, application/dtmf, audio/telephone-event.
// Errors: not_supported with sip = 415 for any other type; parse with sip = 400.
Result<DtmfEvent> parse_dtmf_info(std::string_view content_type, std::string_view body);
std::string dtmf_relay_body(char digit, Duration length); // "Signal=5\r\nDuration=160\r\n"

} // namespace offhook::media
