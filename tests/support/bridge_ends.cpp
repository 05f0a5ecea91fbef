#include "tests/support/bridge_ends.hpp"

#include <algorithm>
#include <array>

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>

#include "media/sdp.hpp"
#include "media/stun.hpp"

namespace offhook::test {

namespace {

constexpr Duration handshake_patience{5'000};

Datagram bytes_of(const Packet &packet) {
    Datagram out(media::rtp_header_size + packet.payload.size());
    media::write_rtp_header(packet.header, std::span(out).first<media::rtp_header_size>());
    std::ranges::copy(packet.payload, out.begin() + media::rtp_header_size);
    return out;
}

std::optional<Packet> packet_of(std::span<const std::uint8_t> bytes) {
    const auto parsed = media::parse_rtp(bytes);
    if (!parsed || media::looks_like_rtcp(bytes)) return {};
    return Packet{parsed->header, {parsed->payload.begin(), parsed->payload.end()}};
}

std::string value_of(const std::string &sdp, const std::string &name) {
    const auto at = sdp.find("a=" + name + ":");
    REQUIRE_MESSAGE(at != std::string::npos, name << " is not in " << sdp);
    const auto start = at + name.size() + 3;
    return sdp.substr(start, sdp.find("\r\n", start) - start);
}

std::string head(const std::string &ip, const char *name) {
    const std::string net = ip.find(':') == std::string::npos ? "IN IP4 " : "IN IP6 ";
    return std::string("v=0\r\no=") + name + " 1 1 " + net + ip + "\r\ns=-\r\nc=" + net + ip +
           "\r\nt=0 0\r\n";
}

} // namespace

EndSocket::EndSocket(const std::string &ip) {
    const auto any = Address::parse(ip, 0).value();
    fd_ = Fd(socket(any.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(bind(fd_.get(), any.sockaddr_ptr(), any.sockaddr_len()) == 0);
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    REQUIRE(getsockname(fd_.get(), reinterpret_cast<sockaddr *>(&bound), &length) == 0);
    address_ = Address::from_sockaddr(reinterpret_cast<sockaddr *>(&bound));
}

void EndSocket::send(const Address &to, std::span<const std::uint8_t> datagram) const {
    REQUIRE(sendto(fd_.get(), datagram.data(), datagram.size(), 0, to.sockaddr_ptr(), to.sockaddr_len()) ==
            static_cast<ssize_t>(datagram.size()));
}

std::optional<Datagram> EndSocket::receive(Duration patience) const {
    pollfd one{fd_.get(), POLLIN, 0};
    if (poll(&one, 1, static_cast<int>(patience.count())) <= 0) return {};
    Datagram out(2048);
    const ssize_t size = recv(fd_.get(), out.data(), out.size(), 0);
    if (size < 0) return {};
    out.resize(static_cast<std::size_t>(size));
    return out;
}

Address bridge_address(const std::string &sdp, std::size_t line) {
    const auto parsed = media::Sdp::parse(sdp).value();
    const auto &media = parsed.media.at(line);
    return Address::parse(media.connection.address, media.port).value();
}

Packet Voice::next() {
    Packet out{{false, number_, sequence_++, time_, 7}, Datagram(160, 0x55)};
    time_ += 160;
    return out;
}

std::string PhoneEnd::sdp(const std::string &formats, const std::string &lines,
                          const std::string &more) const {
    return head(ip_, "phone") + "m=audio " + std::to_string(rtp_.address().port()) + " RTP/AVP " + formats +
           "\r\n" + lines + more;
}

void PhoneEnd::send(const std::string &bridge_sdp, const Packet &packet, std::size_t line) const {
    socket(line).send(bridge_address(bridge_sdp, line), bytes_of(packet));
}

std::optional<Packet> PhoneEnd::receive(Duration patience, std::size_t line) const {
    while (const auto bytes = socket(line).receive(patience))
        if (auto packet = packet_of(*bytes)) return packet;
    return {};
}

BrowserEnd::BrowserEnd(const std::string &ip)
    : socket_(ip), identity_(media::DtlsIdentity::create().value()),
      shown_(identity_->fingerprint().encode()) {}

std::string BrowserEnd::sdp(const std::string &formats, const std::string &lines,
                            const std::string &setup) const {
    return head("127.0.0.1", "-") + "a=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF " + formats +
           "\r\na=mid:0\r\na=ice-ufrag:" + ice_.ufrag + "\r\na=ice-pwd:" + ice_.password +
           "\r\na=fingerprint:" + shown_ + "\r\n" + (setup.empty() ? "" : "a=setup:" + setup + "\r\n") +
           "a=rtcp-mux\r\n" + lines;
}

bool BrowserEnd::check(const std::string &bridge_sdp, const std::string &password) {
    using media::StunAttribute;
    bridge_ = bridge_address(bridge_sdp);
    media::StunWriter check(media::StunClass::request, media::StunMethod::binding,
                            media::random_transaction());
    check.add(StunAttribute::username, value_of(bridge_sdp, "ice-ufrag") + ":" + ice_.ufrag)
        .add_number(StunAttribute::priority, 1)
        .add_long(StunAttribute::ice_controlling, 1)
        .add_flag(StunAttribute::use_candidate);
    socket_.send(bridge_, check.finish_signed(password.empty() ? value_of(bridge_sdp, "ice-pwd") : password));
    const auto answer = socket_.receive(password.empty() ? handshake_patience : Duration{300});
    return answer && media::looks_like_stun(*answer) && (*answer)[0] == 1 && (*answer)[1] == 1; // success
}

bool BrowserEnd::connect(const std::string &bridge_sdp) {
    if (!check(bridge_sdp)) return false;
    const auto print = media::DtlsFingerprint::parse(value_of(bridge_sdp, "fingerprint")).value();
    dtls_ = media::DtlsSession::open(identity_, media::DtlsRole::client, {print}).value();
    return handshake();
}

bool BrowserEnd::handshake() {
    auto step = dtls_->start();
    while (step && !dtls_->keys()) {
        for (const auto &datagram : dtls_->take_output())
            socket_.send(bridge_, datagram);
        const auto next = socket_.receive(handshake_patience);
        if (!next) return false;
        step = dtls_->receive(*next);
    }
    for (const auto &datagram : dtls_->take_output())
        socket_.send(bridge_, datagram);
    return step && channel_.use(*dtls_->keys());
}

void BrowserEnd::send(const Packet &packet) {
    Datagram buffer = bytes_of(packet);
    const std::size_t size = buffer.size();
    buffer.resize(size + media::srtp_room);
    const auto sealed = channel_.seal_rtp(buffer, size);
    REQUIRE(sealed);
    socket_.send(bridge_, *sealed);
}

void BrowserEnd::send_rtcp(const Datagram &compound) {
    Datagram buffer = compound;
    buffer.resize(compound.size() + media::srtp_room);
    const auto sealed = channel_.seal_rtcp(buffer, compound.size());
    REQUIRE(sealed);
    socket_.send(bridge_, *sealed);
}

std::optional<Packet> BrowserEnd::receive(Duration patience) {
    while (auto bytes = socket_.receive(patience)) {
        if (bytes->empty() || (*bytes)[0] < 128 || media::looks_like_rtcp(*bytes)) continue;
        if (const auto opened = channel_.open_rtp(*bytes)) return packet_of(*opened);
    }
    return {};
}

MediaCall::MediaCall(bridge::MediaPlane &plane, bool caller_web, bool callee_web,
                     const std::string &caller_ip, const std::string &callee_ip)
    : session(plane.open("call", caller_web, Address::parse(caller_ip, 5060).value(), *this).value()) {
    session->add_branch(0, callee_web, Address::parse(callee_ip, 5060).value());
}

Result<std::string> MediaCall::offer(bridge::End from, const std::string &sdp, unsigned branch) const {
    Result<std::string> out = fail(Errc::internal, "no answer at once");
    session->offer(from, branch, sdp, [&](Result<std::string> text) { out = std::move(text); });
    return out;
}

Result<std::string> MediaCall::answer(bridge::End from, const std::string &sdp, unsigned branch) const {
    Result<std::string> out = fail(Errc::internal, "no answer at once");
    session->answer(from, branch, sdp, [&](Result<std::string> text) { out = std::move(text); });
    return out;
}

} // namespace offhook::test
