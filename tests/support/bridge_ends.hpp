// The two ends of a call at the bridge's media plane, as a test plays them: a browser with ICE, DTLS and
// SRTP, and a phone with plain RTP. They block; the bridge's media workers are threads of their own.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "bridge/media_plane.hpp"
#include "media/dtls.hpp"
#include "media/ice.hpp"
#include "media/secure_channel.hpp"

namespace offhook::test {

using Datagram = std::vector<std::uint8_t>;

constexpr Duration quiet{150}; // for what is not to come
inline const std::string event_8k = "a=rtpmap:101 telephone-event/8000\r\n";

struct Packet {
    media::RtpHeader header;
    Datagram payload;
};

// A UDP socket of an end.
class EndSocket {
public:
    explicit EndSocket(const std::string &ip);
    void send(const Address &to, std::span<const std::uint8_t> datagram) const;
    // Errors: nothing came in `patience`.
    [[nodiscard]] std::optional<Datagram> receive(Duration patience) const;
    [[nodiscard]] const Address &address() const noexcept { return address_; }

private:
    Fd fd_;
    Address address_;
};

// Where the bridge takes the media of `line`, by its own description.
Address bridge_address(const std::string &sdp, std::size_t line = 0);

// The next packets of a stream of sound, 20 ms each.
class Voice {
public:
    explicit Voice(std::uint8_t number, std::uint16_t first = 1) : number_(number), sequence_(first) {}
    Packet next();

private:
    std::uint8_t number_;
    std::uint16_t sequence_;
    std::uint32_t time_ = 0;
};

class PhoneEnd {
public:
    explicit PhoneEnd(const std::string &ip = "127.0.0.1") : ip_(ip), rtp_(ip), video_(ip) {}
    // "0 101" and the rtpmap lines; `more`: video, by video_port().
    [[nodiscard]] std::string sdp(const std::string &formats, const std::string &lines = {},
                                  const std::string &more = {}) const;
    void send(const std::string &bridge_sdp, const Packet &packet, std::size_t line = 0) const;
    [[nodiscard]] std::optional<Packet> receive(Duration patience = Duration{5'000},
                                                std::size_t line = 0) const;
    [[nodiscard]] std::uint16_t video_port() const { return video_.address().port(); }
    [[nodiscard]] const EndSocket &socket(std::size_t line = 0) const { return line == 0 ? rtp_ : video_; }

private:
    std::string ip_;
    EndSocket rtp_, video_;
};

class BrowserEnd {
public:
    explicit BrowserEnd(const std::string &ip = "127.0.0.1");
    // As Chromium's, for audio; `lines`: rtpmap and whatever. An offer has setup actpass, an answer active.
    [[nodiscard]] std::string sdp(const std::string &formats, const std::string &lines,
                                  const std::string &setup) const;
    void pretend(const std::string &fingerprint) { shown_ = fingerprint; } // in sdp(), instead of its own
    // A connectivity check that nominates. False: no answer. `password`: instead of the bridge's.
    bool check(const std::string &bridge_sdp, const std::string &password = {});
    // The check and the handshake. False: no keys came of it.
    bool connect(const std::string &bridge_sdp);
    void send(const Packet &packet);
    void send_raw(std::span<const std::uint8_t> datagram) const { socket_.send(bridge_, datagram); }
    void send_rtcp(const Datagram &compound);
    // What is no RTP of the bridge's key is left out.
    std::optional<Packet> receive(Duration patience = Duration{5'000});
    std::optional<Datagram> receive_raw(Duration patience) const { return socket_.receive(patience); }

private:
    bool handshake();

    EndSocket socket_;
    Address bridge_;
    std::shared_ptr<const media::DtlsIdentity> identity_;
    std::unique_ptr<media::DtlsSession> dtls_;
    media::IceCredentials ice_ = media::IceCredentials::random();
    media::SecureChannel channel_;
    std::string shown_;
};

// One call at a media plane; what the plane tells is kept.
struct MediaCall final : bridge::MediaPlane::Listener {
    MediaCall(bridge::MediaPlane &plane, bool caller_web, bool callee_web,
              const std::string &caller_ip = "127.0.0.1", const std::string &callee_ip = "127.0.0.1");
    Result<std::string> offer(bridge::End from, const std::string &sdp, unsigned branch = 0) const;
    Result<std::string> answer(bridge::End from, const std::string &sdp, unsigned branch = 0) const;

    void on_media_up(Duration) override { ++up; }
    void on_media_lost(bridge::End end, const std::string &) override { lost.push_back(end); }
    void on_key_frame_wanted(bridge::End) override { ++key_frames; }

    int up = 0, key_frames = 0;
    std::vector<bridge::End> lost;
    std::unique_ptr<bridge::MediaSession> session;
};

} // namespace offhook::test
