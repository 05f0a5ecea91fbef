// MediaTransport: what carries a leg's RTP and RTCP. Owns the sockets, ICE, DTLS and the keys: the leg above
// gives and gets packets in the clear. What does not authenticate, or does not come from the peer that ICE
// found, never reaches it.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "media/dtls_link.hpp"
#include "media/ice_transport.hpp"
#include "media/rtp_sockets.hpp"
#include "media/secure_channel.hpp"
#include "media/transport_negotiation.hpp"

namespace offhook::media {

class MediaTransport {
public:
    // `from`: the packet's source; with SRTP it is that of an authenticated packet.
    using Received = RtpSockets::Received;
    // The addresses of a host that the peer names by mDNS ("….local"); `found` comes once, with none when
    // there are none, never after the end of the transport.
    using LookUp = std::function<void(const std::string &host,
                                      std::function<void(const std::vector<Address> &addresses)> found)>;
    struct Events {
        Received rtp, rtcp;
        std::function<void()> changed;   // ready() or srtp() is another than before
        std::function<void()> faltering; // the way ICE found may be dead: time for restart_ice() and an offer
        std::function<void(const Error &)> failed;        // ICE, consent or DTLS: for good
        LookUp look_up;                                   // optional: without it such candidates are left out
        std::function<void(const std::string &)> trouble; // worth a line in the log; the call goes on
    };

    // With ICE the host's other addresses get sockets too, most_addresses in all. Errors: Errc::network (no
    // port free on `ip`).
    static constexpr std::size_t most_addresses = 6;
    static Result<std::unique_ptr<MediaTransport>> open(Loop &loop, const Address &ip, std::uint16_t port_min,
                                                        std::uint16_t port_max, IceTransport::Options ice);
    ~MediaTransport();
    MediaTransport(const MediaTransport &) = delete;
    MediaTransport &operator=(const MediaTransport &) = delete;
    Result<> start(Events events);

    // Finds out our candidates; `done` comes once, at once when no server has to be asked. `offerer`: we are.
    void gather(bool offerer, const std::vector<IceServer> &servers, std::function<void()> done);
    struct Local { // for the session description
        Address rtp;
        std::optional<IceDescription> ice;
        std::optional<Address> rtcp; // where it is not rtp's port + 1
    };
    [[nodiscard]] Local local() const;
    // The peer's offer, before ours answers it: its ICE restart is ours too.
    void offered(const AgreedTransport &offer);
    void restart_ice() {
        if (ice_) ice_->restart();
    }
    [[nodiscard]] bool ice() const noexcept { return ice_ && ice_->active(); }

    // An exchange of SDP is complete: keys from the SDP are used from now on, and those that stay the same go
    // on counting. Errors: Errc::not_supported, Errc::internal.
    Result<> configure(const AgreedTransport &agreed, const Address &rtp, const Address &rtcp);
    // The peer knows our description, or will in a moment: ICE and DTLS begin.
    void connect();
    [[nodiscard]] bool ready() const noexcept; // media can flow

    // The first `size` bytes of `buffer`, which has srtp_room more; it is written to. Dropped while there is
    // nothing to protect it with, or no way. `to` counts without ICE only.
    void send_rtp(const Address &to, std::span<std::uint8_t> buffer, std::size_t size);
    void send_rtcp(const Address &to, std::span<std::uint8_t> buffer, std::size_t size);

    void set_paced(bool paced); // see RtpSockets
    void poll();
    [[nodiscard]] TimePoint arrival() const noexcept { return sockets_[delivering_]->arrival(); }
    [[nodiscard]] const Address &rtp() const noexcept { return sockets_[0]->rtp(); }
    [[nodiscard]] Address rtcp() const { return sockets_[0]->rtcp(); }
    [[nodiscard]] std::string
    srtp() const; // the suite; "dtls" while its handshake lasts; empty: in the clear
    [[nodiscard]] bool keys_in_sdp() const noexcept { return agreed_.sdes.has_value(); } // RFC 4568
    [[nodiscard]] std::string pair() const { return ice_ ? ice_->describe_pair() : std::string{}; }
    [[nodiscard]] std::uint64_t rejected() const noexcept; // packets that failed authentication

private:
    struct Early { // DTLS that came before we knew from whom to expect it
        unsigned component;
        Address from;
        std::vector<std::uint8_t> bytes;
    };

    // An IceTransport socket: an address and a component of it.
    static std::size_t socket_of(std::size_t address, unsigned component) noexcept {
        return 2 * address + component - 1;
    }
    MediaTransport(Loop &loop, std::unique_ptr<RtpSockets> sockets) : loop_(loop) {
        sockets_.push_back(std::move(sockets));
    }
    void open_others(std::uint16_t port_min, std::uint16_t port_max);
    void send_from(std::size_t socket, const Address &to, Bytes datagram) const;
    void arrived(std::size_t address, unsigned component, const Address &from,
                 std::span<std::uint8_t> datagram);
    void from_peer(unsigned component, const Address &from, std::span<std::uint8_t> datagram);
    void take_dtls(unsigned component, const Address &from, std::span<std::uint8_t> datagram);
    Result<> open_dtls(const AgreedDtls &dtls);
    void look_up_named(const IceDescription &ice);
    void start_dtls();
    [[nodiscard]] bool may_speak(unsigned component, const Address &from) const;
    void send_raw(unsigned component, const Address &to, Bytes datagram);
    [[nodiscard]] unsigned rtcp_component() const noexcept { return agreed_.rtcp_mux ? 1 : 2; }
    SecureChannel &channel(unsigned component) noexcept {
        return channels_[agreed_.dtls && component == rtcp_component() ? component - 1 : 0];
    }

    Loop &loop_;
    std::vector<std::unique_ptr<RtpSockets>> sockets_; // one an address; the first is what m= and c= name
    std::size_t delivering_ = 0;                       // which of them brought the datagram at hand
    Events events_;
    std::unique_ptr<IceTransport> ice_;
    std::array<SecureChannel, 2> channels_; // the second for RTCP of its own DTLS association
    std::array<std::unique_ptr<DtlsLink>, 2> dtls_;
    std::array<Address, 2> peer_; // as signalled; of DTLS: where it really comes from
    AgreedTransport agreed_;
    bool configured_ = false, connected_ = false, failed_ = false;
    std::vector<Early> early_;
    std::string looked_up_; // the ufrag of the description whose names have been asked for
};

} // namespace offhook::media
