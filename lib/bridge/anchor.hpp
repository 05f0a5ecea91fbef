// The media plane in process: descriptions by Interwork, packets by a Relay in a media worker.
#pragma once

#include <memory>
#include <vector>

#include "base/loop.hpp"
#include "bridge/ice_gate.hpp"
#include "bridge/ice_port.hpp"
#include "bridge/media_plane.hpp"
#include "bridge/media_worker.hpp"
#include "bridge/packet_log.hpp"
#include "bridge/settings.hpp"
#include "media/dtls.hpp"
#include "sip/web_server.hpp"

namespace offhook::bridge {

// How many calls may be transcoded at once: it is the one thing here that costs much CPU.
class TranscodeLimit {
public:
    explicit TranscodeLimit(unsigned most) : most_(most) {}
    [[nodiscard]] bool room() const noexcept { return used_ < most_; }
    [[nodiscard]] unsigned most() const noexcept { return most_; }
    void take() noexcept { ++used_; }
    void give_back() noexcept { --used_; }

private:
    unsigned most_, used_ = 0;
};

class AnchorPlane final : public MediaPlane {
public:
    // Starts the workers. `log` sees the packets of all calls. Errors: Errc::internal, Errc::tls.
    static Result<std::unique_ptr<AnchorPlane>> open(const Settings &settings,
                                                     std::shared_ptr<PacketLog> log = {});
    AnchorPlane(const AnchorPlane &) = delete;
    AnchorPlane &operator=(const AnchorPlane &) = delete;
    ~AnchorPlane() override;

    // Takes the browsers' TCP connections for media at `server`, where these transports listen, and offers
    // that from now on. They must go before this.
    void accept_tcp(const sip::Transports &transports, sip::WebServer &server);

    Result<std::unique_ptr<MediaSession>> open(const std::string &call_id, bool caller_web,
                                               const Address &caller, Listener &listener) override;
    [[nodiscard]] Traffic traffic() const override {
        return {strangers_->count(), gate_->taken(), gate_->refused(), strangers_->last(), gate_->stranger()};
    }

private:
    AnchorPlane(const Settings &settings, std::shared_ptr<const media::DtlsIdentity> identity,
                std::shared_ptr<PacketLog> log);

    const Settings &settings_;
    std::shared_ptr<const media::DtlsIdentity> identity_;
    std::shared_ptr<PacketLog> log_;
    std::shared_ptr<LoopMailbox> mailbox_;
    IcePort::Counter strangers_ = std::make_shared<Strangers>();
    std::shared_ptr<IceGate> gate_ = std::make_shared<IceGate>();
    std::vector<std::shared_ptr<MediaWorker>> workers_;
    std::vector<std::shared_ptr<IcePorts>> ports_; // of the workers; none: each leg has its own
    TranscodeLimit transcoding_;
    std::size_t next_worker_ = 0;
};

} // namespace offhook::bridge
