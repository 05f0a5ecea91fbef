// One end of a call whose media is in the bridge: what its descriptions say about us, and where its sockets
// are. Of the loop; the sockets themselves go to the relay in its worker.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bridge/ice_gate.hpp"
#include "bridge/ice_port.hpp"
#include "bridge/interwork.hpp"
#include "bridge/own_addresses.hpp"
#include "bridge/relay.hpp"

namespace offhook::bridge {

class AnchorLeg {
public:
    struct Ground { // what the legs of a call share
        const Settings *settings;
        std::shared_ptr<const media::DtlsIdentity> identity;
        std::shared_ptr<MediaWorker> worker;
        std::shared_ptr<IcePorts> ports; // null: each browser has its own
        std::shared_ptr<IceGate> gate;
        std::shared_ptr<Relay> relay;
    };
    static constexpr std::size_t most_lines = 8;

    // `id`: as the relay counts ends. `remote`: where the signalling comes from, or unset.
    AnchorLeg(Ground ground, unsigned id, bool web, const Address &remote);
    ~AnchorLeg();
    AnchorLeg(const AnchorLeg &) = delete;
    AnchorLeg &operator=(const AnchorLeg &) = delete;

    OwnEnd own;
    const Address signalling;

private:
    // A socket of a browser's leg: the addresses that lead to it share it.
    struct Socket {
        Address bind;
        std::uint16_t port;
    };
    Result<OwnPlace> place(std::size_t line);
    Result<std::uint16_t> phone_port(std::size_t line);
    Result<> open_web();
    [[nodiscard]] const Socket *socket_on(const Address &bind) const; // null: not open
    Result<std::uint16_t> open_path(const OwnAddress &address);
    void offer_tcp();
    [[nodiscard]] std::vector<std::string> candidates() const;

    Ground ground_;
    const unsigned id_;
    std::vector<OwnAddress> addresses_; // of phones the first counts
    std::vector<std::uint16_t> ports_;  // of phones, by line; 0: not yet
    std::vector<Socket> sockets_;       // of browsers
    std::string ufrag_, password_;      // of browsers
    bool by_tcp_ = false;               // the gate knows it
};

} // namespace offhook::bridge
