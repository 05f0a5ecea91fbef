// One TCP connection, with TLS and WebSocket on it or not, one DTLS association on a UDP socket of its own,
// or one SCTP association: connects, frames, queues, keeps its deadlines. Own sockets rather than libre's:
// its listener spins when accept() runs out of descriptors, and on Debian 13 it sets SO_REUSEPORT.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"
#include "sip/framing.hpp"
#include "sip/port_guest.hpp"
#include "sip/stream_socket.hpp"
#include "sip/tls_session.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

class StreamConnection : public std::enable_shared_from_this<StreamConnection> {
public:
    struct Listener {
        virtual void on_item(StreamConnection &connection, Framing::Item item) = 0;
        // Before the first item: it comes through a proxy, and flow().remote is from now on who is behind
        // that.
        virtual void on_client(StreamConnection &connection, const Address &proxy) = 0;
        // The last call; never from inside connect(), accept(), send() or finish().
        virtual void on_closed(StreamConnection &connection, const Error &error) = 0;

    protected:
        ~Listener() = default;
    };
    struct Limits { // times after which the connection is given up
        Duration connect{10'000}, handshake{5'000}, first_message{32'000}, idle_incoming{15 * 60'000};
        std::size_t queue = std::size_t{1024} * 1024; // bytes waiting to be sent
        // Incoming connections that are silent for so long are pinged; two pings without anything coming end
        // them. 0: never (TCP and TLS peers need not answer).
        Duration ping{0};
    };
    struct Peer {
        std::uint64_t id = 0;
        TransportKind kind = TransportKind::tcp;
        Address remote;
        std::unique_ptr<StreamSocket> socket;
        std::unique_ptr<TlsSession> tls;  // null: plain TCP
        std::unique_ptr<Framing> framing; // null: SIP by Content-Length
        PortGuest *guest = nullptr;       // whose an accepted connection may be instead; outlives it
    };

    // Connects in the background; what is sent meanwhile waits. Errors at once: Errc::network (no route …).
    static Result<std::shared_ptr<StreamConnection>> connect(Loop &loop, Listener &listener, Peer peer,
                                                             Limits limits);
    static Result<std::shared_ptr<StreamConnection>> accept(Loop &loop, Listener &listener, Peer peer,
                                                            Limits limits);
    ~StreamConnection();
    StreamConnection(const StreamConnection &) = delete;
    StreamConnection &operator=(const StreamConnection &) = delete;

    [[nodiscard]] const Flow &flow() const { return flow_; }
    [[nodiscard]] bool usable() const { return state_ <= State::open && !broken_; } // may carry more
    [[nodiscard]] bool incoming() const { return incoming_; }
    [[nodiscard]] bool half_open() const { return incoming_ && !heard_; } // no whole message came yet
    [[nodiscard]] bool heard() const { return heard_; }
    [[nodiscard]] std::string where() const; // "tcp:192.0.2.1:5060"

    Result<> send(std::string_view message);
    Result<> ping(); // which the peer answers with an item of kind pong
    // What an accepted DTLS peer began with; may end the connection.
    void begin_with(std::string_view first);
    // Sends what waits, then ends the connection with `error`; nothing more is read from it.
    void finish(Error error);
    void abort(const Error &error) { close(error); } // at once; on_closed() comes from inside

private:
    enum class State : std::uint8_t { connecting, handshaking, open, draining, closed };

    StreamConnection(Loop &loop, Listener &listener, Peer peer, Limits limits, bool incoming);
    Result<> begin_connect();
    void connected();
    void established();
    Result<> watch();
    void ready(int flags);
    void finish_connect();
    void receive();
    bool receive_once();
    bool is_guests(std::string_view bytes);
    void hand_over();
    void decrypt(std::string_view bytes);
    void deliver(std::span<char> plaintext);
    void opened();
    bool write(std::string_view plaintext);
    Result<> send_wire(std::string wire);
    void framing_failed(const Error &error);
    void heard_item();
    void watch_silence(Duration delay);
    void silent();
    void too_slow(const char *why);
    [[nodiscard]] bool datagrams() const { return flow_.kind == TransportKind::dtls; }
    [[nodiscard]] std::size_t next_piece() const;
    void watch_handshake();
    void collect_output();
    Result<> flush();
    void drained();
    void deadline(Duration delay, const char *why);
    void fail_later(Error error);
    void close(const Error &error);

    Loop &loop_;
    Listener &listener_;
    Limits limits_;
    std::unique_ptr<StreamSocket> socket_;
    Flow flow_;
    std::unique_ptr<TlsSession> tls_;
    std::unique_ptr<Framing> framing_;
    PortGuest *guest_;    // until it is known whose this is
    std::string waiting_; // plaintext for after the handshakes; what the guest has to judge
    std::string out_;     // bytes for the socket
    std::size_t sent_ = 0;
    State state_ = State::connecting;
    bool incoming_;
    bool heard_ = false;
    bool broken_ = false;         // fails from the loop very soon
    bool opened_ = false;         // both handshakes are over
    std::uint8_t unanswered_ = 0; // pings
    TimePoint heard_at_{};
    Error end_; // why a draining connection ends
    Timer deadline_, breaking_, resend_;
};

} // namespace offhook::sip
