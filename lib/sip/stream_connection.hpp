// One TCP or TLS connection: connects, frames, queues, keeps its deadlines. Own sockets rather than libre's:
// its listener spins when accept() runs out of descriptors, and on Debian 13 it sets SO_REUSEPORT.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"
#include "sip/framer.hpp"
#include "sip/tls_session.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

class StreamConnection : public std::enable_shared_from_this<StreamConnection> {
public:
    struct Listener {
        virtual void on_item(StreamConnection &connection, StreamFramer::Item item) = 0;
        // The last call; never from inside connect(), accept(), send() or finish().
        virtual void on_closed(StreamConnection &connection, const Error &error) = 0;

    protected:
        ~Listener() = default;
    };
    struct Limits { // times after which the connection is given up
        Duration connect{10'000}, handshake{5'000}, first_message{32'000}, idle_incoming{15 * 60'000};
        std::size_t queue = std::size_t{1024} * 1024; // bytes waiting to be sent
    };
    struct Peer {
        std::uint64_t id = 0;
        TransportKind kind = TransportKind::tcp;
        Address remote;
        std::unique_ptr<TlsSession> tls; // null: plain TCP
    };

    // Connects in the background; what is sent meanwhile waits. Errors at once: Errc::network (no route …).
    static Result<std::shared_ptr<StreamConnection>> connect(Loop &loop, Listener &listener, Peer peer,
                                                             Limits limits);
    static Result<std::shared_ptr<StreamConnection>> accept(Loop &loop, Listener &listener, Peer peer,
                                                            Limits limits, Fd fd);
    ~StreamConnection();
    StreamConnection(const StreamConnection &) = delete;
    StreamConnection &operator=(const StreamConnection &) = delete;

    [[nodiscard]] const Flow &flow() const { return flow_; }
    [[nodiscard]] bool usable() const { return state_ <= State::open && !broken_; } // may carry more
    [[nodiscard]] bool incoming() const { return incoming_; }
    [[nodiscard]] bool half_open() const { return incoming_ && !heard_; } // no whole message came yet
    [[nodiscard]] bool heard() const { return heard_; }
    [[nodiscard]] std::string where() const; // "tcp:192.0.2.1:5060"

    Result<> send(std::string_view bytes);
    // Sends what waits, then ends the connection with `error`; nothing more is read from it.
    void finish(Error error);
    void abort(const Error &error) { close(error); } // at once; on_closed() comes from inside

private:
    enum class State : std::uint8_t { connecting, handshaking, open, draining, closed };

    StreamConnection(Loop &loop, Listener &listener, Peer peer, Limits limits, Fd fd, bool incoming);
    Result<> begin_connect();
    void read_local_address();
    void connected();
    void established();
    Result<> watch();
    void ready(int flags);
    void finish_connect();
    void receive();
    bool receive_once();
    void decrypt(std::string_view bytes);
    void deliver(std::string_view plaintext);
    void heard_item();
    void collect_output();
    Result<> flush();
    void drained();
    void deadline(Duration delay, std::string why);
    void fail_later(Error error);
    void close(const Error &error);

    Loop &loop_;
    Listener &listener_;
    Limits limits_;
    Fd fd_;
    Flow flow_;
    std::unique_ptr<TlsSession> tls_;
    StreamFramer framer_;
    std::string waiting_; // plaintext for after the handshake
    std::string out_;     // bytes for the socket
    std::size_t sent_ = 0;
    State state_ = State::connecting;
    bool incoming_;
    bool heard_ = false;
    bool watching_write_ = false;
    bool broken_ = false; // fails from the loop very soon
    Error end_;           // why a draining connection ends
    Timer deadline_, breaking_;
    FdWatch watch_;
};

} // namespace offhook::sip
