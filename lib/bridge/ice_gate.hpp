// How a browser's TCP connection for media (RFC 6544) finds its leg: on the port of the web sockets, by a
// first connectivity check that knows the leg's password. Of the loop.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "media/ice.hpp"
#include "sip/port_guest.hpp"

namespace offhook::bridge {

class IceGate final : public sip::PortGuest {
public:
    // Gets a connection and what was read of it: the check, and perhaps more.
    using Take = std::function<void(Fd socket, const Address &remote, std::vector<std::uint8_t> bytes)>;

    void add(const media::IceCredentials &leg, Take take);
    void remove(const std::string &ufrag);

    // Where browsers connect.
    void set_listeners(std::vector<Address> listeners) { listeners_ = std::move(listeners); }
    // The port for browsers that are told `shown`, an address that leads to `bound`; 0: there is none.
    [[nodiscard]] std::uint16_t port_for(const Address &bound) const;

    [[nodiscard]] bool begins_with(std::uint8_t first) const override { return first <= longest_check >> 8U; }
    [[nodiscard]] Verdict judge(std::string_view bytes) override;
    void take(Fd socket, const Address &remote, std::string_view bytes) override;

    void refused(const Address &remote) override;

    [[nodiscard]] std::uint64_t taken() const noexcept { return taken_; }
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
    [[nodiscard]] const Address &stranger() const noexcept { return stranger_; } // the last that was refused

private:
    static constexpr std::size_t longest_check = 511; // those of browsers have about 120 bytes

    struct Leg {
        std::string password;
        Take take;
    };
    [[nodiscard]] const Leg *find(std::string_view bytes) const;

    std::unordered_map<std::string, Leg> legs_;
    std::vector<Address> listeners_;
    std::uint64_t taken_ = 0, refused_ = 0;
    Address stranger_;
};

} // namespace offhook::bridge
