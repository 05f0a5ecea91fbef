// IceTransport: an IceAgent with its timers, STUN queries and TURN allocations, in the loop. Gathers
// candidates, then carries datagrams over the pair that was selected. MediaTransport owns it and the sockets
// under it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.hpp"
#include "media/ice_agent.hpp"
#include "media/turn_client.hpp"
#include "media/turn_stream.hpp"

namespace offhook::media {

struct IceServer {
    enum class Kind : std::uint8_t { stun, turn };
    enum class Way : std::uint8_t { udp, tcp, tls };
    Kind kind = Kind::stun;
    Way way = Way::udp;
    Address address;
    std::string user, password; // of a TURN server
    TurnTls tls;                // for Way::tls
};

class IceTransport {
public:
    struct Options {
        bool ice = false;
        bool mapped_address = false; // without ICE: find out how the outside sees us
        bool relay_only = false;     // nobody but the TURN server learns our address
        std::string public_ip;       // a 1:1 NAT in front of us: a candidate without a question
        Duration gather_patience{2'000};
        IceAgent::Timing timing{};
    };
    struct Events {
        std::function<void(std::size_t socket, const Address &to, Bytes datagram)> send; // from our socket
        // A datagram of the peer that came through a relay, STUN taken out.
        std::function<void(unsigned component, const Address &from, std::span<std::uint8_t> datagram)>
            relayed;
        std::function<void()> selected;                   // every component has its pair now, or another one
        std::function<void()> faltering;                  // the pair may be dead: time for a restart
        std::function<void(const Error &)> failed;        // no way to the peer, or consent is lost
        std::function<void(const std::string &)> trouble; // with a server; the call goes on
    };

    IceTransport(Loop &loop, Options options, Events events);
    ~IceTransport(); // gives allocations back
    IceTransport(const IceTransport &) = delete;
    IceTransport &operator=(const IceTransport &) = delete;

    struct Socket {
        unsigned component = 1;
        Address address;
    };
    // `sockets`: ours, of each address those of its components, the best address first. Servers are asked
    // from the first address of their family. `done` comes once: at once when there is nobody to ask.
    void gather(std::vector<Socket> sockets, const std::vector<IceServer> &servers,
                std::function<void()> done);
    [[nodiscard]] bool relay_only() const noexcept { return options_.relay_only; }
    [[nodiscard]] bool gathered() const noexcept { return gathered_; }
    [[nodiscard]] std::optional<IceDescription> description() const; // absent without ICE
    // For peers without ICE: how the outside sees the component's first socket, if we know, else the socket.
    [[nodiscard]] Address default_address(unsigned component) const;

    void restart();                                  // new credentials, for the next offer or answer
    void set_controlling(bool controlling) noexcept; // before gather(): the offerer does
    void set_remote(const IceDescription &remote, unsigned components);
    void add_remote(const IceCandidate &candidate); // of the description set last
    void give_up() noexcept { agent_.reset(); }     // the peer has no ICE

    // A STUN or ChannelData datagram from a socket of ours.
    void received(std::size_t socket, const Address &from, Bytes datagram);
    [[nodiscard]] bool is_server(const Address &from) const noexcept;
    void send(unsigned component, Bytes datagram); // over the selected pair, else dropped
    [[nodiscard]] bool active() const noexcept { return agent_ && remote_set_; }
    [[nodiscard]] bool connected(unsigned component) const noexcept {
        return agent_ && agent_->selected(component);
    }
    [[nodiscard]] bool validated(const Address &from) const noexcept {
        return agent_ && agent_->validated(from);
    }
    [[nodiscard]] std::string describe_pair() const; // "relay 192.0.2.1:4000 to 198.51.100.2:5000"

private:
    struct Query {
        std::size_t socket = 0;
        Address server;
        StunQuery stun;
    };
    struct Relay {
        std::size_t socket = 0;
        unsigned component = 1;
        IceServer server;
        TurnClient client;
        std::unique_ptr<TurnStream> stream;
        std::optional<std::size_t> base;
        bool settled = false; // allocated or failed
    };

    void start_query(std::size_t socket, const IceServer &server);
    void start_relay(std::size_t socket, const IceServer &server);
    void dispatch(Query &query, StunQuery::Step step);
    void dispatch(Relay &relay, TurnClient::Step step);
    void from_peer(Relay &relay, TurnClient::Data data);
    void dispatch(IceAgent::Step step);
    void bind_selected();
    void look_whether_gathered();
    void finish_gathering();
    void leave_out_the_silent();
    void make_agent();
    void offer(std::string foundation, const IceBase &base, IceCandidateType type, const Address &address,
               const Address &related);
    void offer_socket(std::size_t socket);
    void offer_relays(std::size_t socket);
    [[nodiscard]] std::optional<Address> mapped(std::size_t socket) const;
    [[nodiscard]] std::size_t first_socket(unsigned component) const noexcept;
    [[nodiscard]] bool first_of_family(std::size_t socket) const noexcept;
    [[nodiscard]] unsigned address_number(std::size_t socket) const noexcept; // from 0, best first
    void arm();
    void expired();
    Relay *relay_of(std::size_t base) noexcept;

    Loop &loop_;
    Options options_;
    Events events_;
    Timer timer_;
    std::vector<Socket> sockets_;
    std::function<void()> done_;
    TimePoint gather_until_{};
    bool gathered_ = false, controlling_ = true, remote_set_ = false;
    std::vector<std::unique_ptr<Query>> queries_;
    std::vector<std::unique_ptr<Relay>> relays_;
    std::vector<IceBase> bases_;
    std::vector<std::size_t> base_sockets_; // parallel: what a base sends from
    std::vector<IceCandidate> candidates_;
    std::optional<IceAgent> agent_;
};

} // namespace offhook::media
