// SIP transports: sockets and connections, nothing about transactions. UDP, TCP, TLS, WS, WSS, DTLS
// and SCTP.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"
#include "sip/message.hpp"

namespace offhook::sip {

enum class TransportKind : std::uint8_t { udp, tcp, tls, ws, wss, dtls, sctp };

std::optional<TransportKind> parse_transport(std::string_view token) noexcept; // without case
std::string_view via_token(TransportKind kind) noexcept;                       // "UDP"
std::string_view uri_token(TransportKind kind) noexcept;                       // "udp"
std::string_view
contact_token(TransportKind kind) noexcept;    // in our own URIs: "ws" for WSS too (RFC 7118 §5.5)
bool is_stream(TransportKind kind) noexcept;   // has connections: all but UDP
bool is_reliable(TransportKind kind) noexcept; // loses nothing: all but UDP and DTLS
bool is_secure(TransportKind kind) noexcept;
bool is_websocket(TransportKind kind) noexcept;
std::uint16_t default_port(TransportKind kind) noexcept; // 5060, 5061, 80, 443

// Where to send: one resolved next hop.
struct Hop {
    TransportKind kind = TransportKind::udp;
    Address address;
    std::string host; // the name it was resolved from: SNI and the name a TLS certificate must carry
    friend bool operator==(const Hop &, const Hop &) = default;
};

// How a message travelled, or will travel: enough to answer on the same way. A value.
struct Flow {
    TransportKind kind = TransportKind::udp;
    Address local, remote;
    std::uint64_t connection = 0; // 0 for UDP
    friend bool operator==(const Flow &, const Flow &) = default;
};

struct TlsOptions {
    std::string ca_file;     // PEM; empty: the system's store
    std::string certificate; // PEM file with chain and key, for listening (and as client certificate)
    bool insecure = false;   // verify nothing; the command line warns loudly
    std::string key{};       // PEM file with the key of `certificate`; empty: it is in there
};

// SIP over SCTP (RFC 4168), experimental. Each end of the encapsulation in UDP (RFC 6951) has a port of its
// own: two programs on one host need different ones, and who calls the other has to know it.
struct SctpOptions {
    static constexpr std::uint16_t usual_udp_port = 9899;
    // Where our listeners get packets; 0: any free port. Absent: no encapsulation where the kernel has SCTP,
    // else the usual port.
    std::optional<std::uint16_t> udp_port;
    std::uint16_t peer_udp_port = usual_udp_port; // of those that we connect to and have not heard from
};

class WebServer;

class Transports {
public:
    // RFC 3261 §18.1.1: a request larger than this goes over a stream transport (path MTU unknown).
    static constexpr std::size_t udp_limit = 1300;

    struct Listener {
        // One framed and parsed message that passed screen(); requests to be refused were answered and
        // dropped below. `via received/rport` of requests are already filled in (RFC 3581). For a UDP request
        // without rport flow.remote has the port of its Via: where responses are due (RFC 3261 §18.2.2).
        virtual void on_message(const Message &message, const Flow &flow) = 0;
        // The flow cannot carry anything any more (TCP RST or connect failure, TLS failure, ICMP error for
        // that remote address; compare kind, remote and connection): pending transactions on it are to fail
        // now. Never called from inside open() or send(). Nobody may destroy Transports from a callback.
        virtual void on_flow_failed(const Flow &flow, const Error &error) = 0;

    protected:
        ~Listener() = default;
    };
    // What is held at most. Beyond it new connections are not accepted.
    struct Limits {
        std::size_t connections = 1024, per_address = 1024;
        // Accepted ones that have not said anything yet. The one that has been silent longest makes way for a
        // new one.
        std::size_t half_open_per_address = 10;
        Duration websocket_ping{
            25'000}; // to silent WebSocket clients; two without an answer end the connection
    };
    // Sees every message sent and received, after decryption: --trace and --pcap.
    using Tap = std::function<void(const Flow &flow, bool sent, std::string_view bytes)>;

    Transports(Loop &loop, Listener &listener);
    ~Transports();
    Transports(const Transports &) = delete;
    Transports &operator=(const Transports &) = delete;

    // Opens a socket (UDP) or listener (TCP, WS; TLS, WSS: need a certificate, else only outgoing
    // connections). An any-address (0.0.0.0, ::) binds one UDP socket per family; the local address of a flow
    // is then the one the kernel uses towards the peer (IP_PKTINFO). Port 0: any free port. Errors:
    // Errc::network
    // ("listen on udp:127.0.0.1:5060: Address already in use").
    Result<Address> listen(TransportKind kind, const Address &bind);
    // For connections from now on. Errors: Errc::tls when there are secure listeners and the certificate
    // cannot be used; then nothing has changed.
    Result<> set_tls(TlsOptions options);
    // The same, and what our own connections need is read at once, too.
    Result<> replace_tls(TlsOptions options);
    void set_sctp(const SctpOptions &options); // before listen() and open()
    void set_limits(const Limits &limits);
    // Decides about the HTTP requests to ws and wss listeners; must outlive the Transports. Null: WebServer's
    // own defaults.
    void set_web_server(WebServer *server);
    // The path to ask for when a WebSocket to that host and port (0: the default one) is opened; "/" unless
    // said.
    void set_websocket_path(const std::string &host, std::uint16_t port, std::string path);
    void set_tap(Tap tap);
    // RFC 5626 §3.5: CRLFCRLF on streams, a ping on WebSocket (pong due within 10 s), CRLF on UDP, every
    // `interval`; 0 ends it. With `stun` a Binding request goes with the CRLF (§3.5.2); a server that has
    // answered one must go on answering, always with the same mapped address, else the flow has failed.
    void keep_alive(const Flow &flow, Duration interval, bool stun = false);

    // Finds or makes the way to `hop`; streams are reused by (kind, address, host) and connect in the
    // background. Errors at once: no local address or socket of that family, no route.
    Result<Flow> open(const Hop &hop);
    // Gives up a stream that may be dead: open() makes a new one. What is queued still goes out, then
    // on_flow_failed comes. Nothing for UDP.
    void abandon(const Flow &flow);
    // Queues or sends. Failure at once when the connection is gone or the datagram cannot be sent
    // (EMSGSIZE, ENETUNREACH …); later failures come as on_flow_failed.
    Result<> send(const Flow &flow, std::string_view bytes);
    [[nodiscard]] bool alive(const Flow &flow) const; // UDP: always

    // What to write into Via sent-by and Contact for that flow: listening address and port of the same
    // family and kind where there is one (streams: the listener's port, else the connection's own).
    [[nodiscard]] Address contact_address(const Flow &flow) const;
    // The same as text, "192.0.2.1:5060". A WebSocket client without a listener cannot be reached at any
    // address: it has a random name in .invalid instead (RFC 7118 §5, appendix A).
    [[nodiscard]] std::string sent_by(const Flow &flow) const;
    // Was this connection of ours made to reach `host`?
    [[nodiscard]] bool leads_to_host(const Flow &flow, std::string_view host) const;
    [[nodiscard]] std::vector<Address> local_addresses(TransportKind kind) const;
    // The UDP sockets by which our SCTP listeners get their packets; none with the kernel's SCTP.
    [[nodiscard]] std::vector<Address> sctp_udp_addresses() const;
    // A host of a Via or URI that names one of our own sockets (loop and ownership checks).
    [[nodiscard]] bool is_local(std::string_view host, std::uint16_t port) const;

private:
    struct Self;
    std::unique_ptr<Self> self_;
};

} // namespace offhook::sip
