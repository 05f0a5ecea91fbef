// A TURN client (RFC 8656) for one UDP allocation, pure: what the server sent and the time in, what to send
// to the server out. The caller owns the way to the server (UDP, TCP or TLS) and calls tick() at next_tick().
// libre's client is not used: it is tied to libre's own UDP sockets.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "media/stun.hpp"

namespace offhook::media {

class TurnClient {
public:
    struct Options {
        std::string user, password;
        bool reliable = false; // TCP or TLS: nothing is sent twice
        bool ipv6 = false;     // the family of the relayed address
    };
    struct Data { // from a peer, through the server
        Address peer;
        std::vector<std::uint8_t> bytes;
    };
    struct Step {
        std::vector<std::vector<std::uint8_t>> send; // to the server
        std::optional<Data> data;
        bool allocated = false;      // relayed() and mapped() are there now
        std::optional<Error> failed; // Errc::authentication, Errc::timeout, Errc::network; for good
    };

    explicit TurnClient(Options options) : options_(std::move(options)) {}

    Step start(TimePoint now);
    // A message that came from the server.
    Step received(Bytes bytes, TimePoint now);
    Step tick(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_tick() const;
    // `bytes` for `peer`: asks for a permission first if there is none. Nothing before the allocation is
    // there.
    Step send(const Address &peer, Bytes bytes, TimePoint now);
    // `peer` is where the media goes: a channel saves 32 bytes a packet.
    Step bind(const Address &peer, TimePoint now);
    Step stop(TimePoint now); // gives the allocation back

    [[nodiscard]] const std::optional<Address> &relayed() const noexcept { return relayed_; }
    [[nodiscard]] const std::optional<Address> &mapped() const noexcept {
        return mapped_;
    } // us, as the server sees us

private:
    enum class Use : std::uint8_t { allocate, refresh, permission, channel };
    struct Request {
        Use use;
        Address peer; // of a permission or channel
        StunTransaction transaction{};
        std::vector<std::uint8_t> packet;
        unsigned sent = 0, refusals = 0;
        TimePoint resend{};
    };
    struct Peer {
        Address address;
        std::uint16_t channel = 0; // 0: none asked for
        bool bound = false;
        std::optional<TimePoint> renew; // of permission and channel
    };

    Peer &peer_of(const Address &address);
    void request(Use use, const Address &peer, Step &step, TimePoint now, unsigned refusals = 0);
    [[nodiscard]] std::vector<std::uint8_t> encode(const Request &request);
    void take_success(const Request &request, const StunMessage &message, Step &step, TimePoint now);
    void take_error(const Request &request, const StunMessage &message, Step &step, TimePoint now);
    void take_data(Bytes message, Step &step);
    void fail_with(Step &step, Errc code, const std::string &why);

    Options options_;
    std::string realm_, nonce_;
    std::array<std::uint8_t, 16> key_{};
    std::vector<Request> requests_;
    std::vector<Peer> peers_;
    std::optional<Address> relayed_, mapped_;
    std::optional<TimePoint> refresh_at_;
    std::uint16_t next_channel_ = 0x4000;
    bool over_ = false;
};

// The length of the message at the front of a stream to a TURN server (RFC 8656 §12.5); 0: more is needed to
// tell. Errors: Errc::parse, the stream is no TURN.
Result<std::size_t> turn_message_size(Bytes stream) noexcept;

// One Binding request to a STUN server: how the outside sees a socket. Pure, as above.
class StunQuery {
public:
    struct Step {
        std::vector<std::uint8_t> send;
        bool done = false; // mapped(), or no answer
    };
    Step start(TimePoint now);
    Step received(Bytes datagram);
    Step tick(TimePoint now);
    void give_up() noexcept { done_ = true; }
    [[nodiscard]] std::optional<TimePoint> next_tick() const;
    [[nodiscard]] const std::optional<Address> &mapped() const noexcept { return mapped_; }

private:
    StunTransaction transaction_{};
    unsigned sent_ = 0;
    TimePoint resend_{};
    bool done_ = true;
    std::optional<Address> mapped_;
};

} // namespace offhook::media
