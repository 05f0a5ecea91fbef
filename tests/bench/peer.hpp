// What the far end of a measurement needs: time, sockets and just enough of SIP. It is not measured itself
// and trusts what it reads.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace peer {

using Microseconds = std::int64_t;

inline Microseconds now(clockid_t clock = CLOCK_MONOTONIC) {
    struct timespec t {};
    clock_gettime(clock, &t);
    return Microseconds{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}

[[noreturn]] inline void die(const char *what) {
    std::perror(what);
    std::exit(1);
}

inline sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

// One UDP socket on 127.0.0.1, any port.
class Socket {
public:
    Socket() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
        auto address = loopback(0);
        socklen_t size = sizeof address;
        const int room = 4 << 20;
        (void)setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        if (fd_ < 0 || bind(fd_, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 ||
            getsockname(fd_, reinterpret_cast<sockaddr *>(&address), &size) != 0)
            die("socket");
        port_ = ntohs(address.sin_port);
    }
    ~Socket() {
        if (fd_ >= 0) close(fd_);
    }
    Socket(Socket &&other) noexcept : fd_(std::exchange(other.fd_, -1)), port_(other.port_) {}
    Socket &operator=(Socket &&) = delete;

    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] std::uint16_t port() const { return port_; }
    void send(std::string_view bytes, const sockaddr_in &to) const {
        (void)sendto(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr *>(&to), sizeof to);
    }
    // What has arrived, without waiting; the sender in `from`.
    std::optional<std::string_view> receive(sockaddr_in *from = nullptr) {
        sockaddr_in source{};
        socklen_t size = sizeof source;
        const auto got =
            recvfrom(fd_, buffer().data(), buffer().size(), 0, reinterpret_cast<sockaddr *>(&source), &size);
        if (got < 0) return std::nullopt;
        if (from != nullptr) *from = source;
        return std::string_view(buffer().data(), static_cast<std::size_t>(got));
    }
    [[nodiscard]] bool wait(int milliseconds) const {
        pollfd one{fd_, POLLIN, 0};
        return poll(&one, 1, milliseconds) > 0;
    }

private:
    static std::vector<char> &buffer() {
        static std::vector<char> bytes(65536);
        return bytes;
    }
    int fd_;
    std::uint16_t port_ = 0;
};

// The value of the first header of that name, as it was written.
inline std::string_view header(std::string_view message, std::string_view name) {
    const auto key = "\r\n" + std::string(name) + ":";
    auto at = message.find(key);
    if (at == message.npos) return {};
    at = message.find_first_not_of(' ', at + key.size());
    return message.substr(at, message.find("\r\n", at) - at);
}

inline std::string_view body(std::string_view message) {
    const auto end = message.find("\r\n\r\n");
    return end == message.npos ? std::string_view{} : message.substr(end + 4);
}

inline std::string response(std::string_view request, std::string_view status, std::uint16_t port,
                            std::string_view sdp = {}) {
    std::string out = "SIP/2.0 " + std::string(status) + "\r\n";
    const auto head = request.substr(0, request.find("\r\n\r\n") + 2);
    for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
        const auto line = head.substr(at, head.find("\r\n", at) - at);
        at += line.size() + 2;
        const auto name = line.substr(0, line.find(':'));
        if (name == "Via" || name == "From" || name == "Call-ID" || name == "CSeq" || name == "Record-Route")
            out += std::string(line) + "\r\n";
        if (name == "To")
            out += std::string(line) + (line.find(";tag=") == line.npos ? ";tag=peer\r\n" : "\r\n");
    }
    out += "Contact: <sip:bench@127.0.0.1:" + std::to_string(port) + ">\r\n";
    if (!sdp.empty()) out += "Content-Type: application/sdp\r\n";
    return out + "Content-Length: " + std::to_string(sdp.size()) + "\r\n\r\n" + std::string(sdp);
}

// "pcmu" or "opus": the payload type and rtpmap lines for it.
struct Codec {
    std::string payload_type, lines;
};
inline Codec codec_named(std::string_view name) {
    if (name == "opus") return {"96", "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"};
    return {"0", "a=rtpmap:0 PCMU/8000\r\n"};
}

inline std::string sdp_of(std::uint16_t rtp_port, const Codec &codec) {
    return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio " +
           std::to_string(rtp_port) + " RTP/AVP " + codec.payload_type + "\r\n" + codec.lines +
           "a=ptime:20\r\n";
}

// The number that an offer gives to `encoding`, " opus/48000/2"; empty when it is not there.
inline std::string number_of(std::string_view offer, std::string_view encoding) {
    const auto at = offer.find(std::string(encoding) + "\r\n");
    if (at == offer.npos) return {};
    const auto colon = offer.rfind(':', at);
    return std::string(offer.substr(colon + 1, at - colon - 1));
}

// The offer's numbers for the codec and its telephone-events: the answer must use them. As every desk phone
// we take the events, or the phones would listen for tones in the sound, which is another thing to measure.
inline Codec matched(const Codec &codec, std::string_view offer) {
    const bool opus = codec.payload_type == "96";
    Codec out = codec;
    if (const auto number = number_of(offer, " opus/48000/2"); opus && !number.empty())
        out = {number, "a=rtpmap:" + number + " opus/48000/2\r\na=fmtp:" + number + " useinbandfec=1\r\n"};
    const std::string events = opus ? " telephone-event/48000" : " telephone-event/8000";
    if (const auto number = number_of(offer, events); !number.empty()) {
        out.payload_type += " " + number;
        out.lines += "a=rtpmap:" + number + events + "\r\n";
    }
    return out;
}

// The audio port in an SDP.
inline std::uint16_t audio_port(std::string_view sdp) {
    const auto at = sdp.find("m=audio ");
    return at == sdp.npos ? std::uint16_t{0}
                          : static_cast<std::uint16_t>(std::strtoul(sdp.data() + at + 8, nullptr, 10));
}

int first_invite(int argc, char **argv);
int answer(std::string_view codec);
int options(std::uint16_t port, unsigned rate, double seconds);
int calls(std::uint16_t port, unsigned count, double seconds);
int delay(std::uint16_t port, double seconds);

} // namespace peer
