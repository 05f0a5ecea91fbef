// Calls that the peer places: many at once with paced RTP, or one that measures how long its echo takes.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include <sys/epoll.h>

#include "peer.hpp"

namespace peer {

namespace {

constexpr Microseconds frame = 20'000;
constexpr std::size_t frame_bytes = 160; // G.711, 20 ms
constexpr char silence = '\xff', loud = '\x00';

class OutgoingCall {
public:
    OutgoingCall(std::uint16_t port, unsigned number)
        : target_(loopback(port)), id_("bench-" + std::to_string(now()) + "-" + std::to_string(number)),
          ssrc_(number + 1) {}

    void invite() { request("INVITE", sdp_of(rtp_.port(), codec_named("pcmu"))); }
    void bye() {
        if (up_) request("BYE", {});
        up_ = false;
    }
    void on_sip() {
        while (const auto message = sip_.receive()) {
            if (!message->starts_with("SIP/2.0 200")) {
                if (message->starts_with("SIP/2.0 ") && message->substr(8, 1) >= "3") refused_ = true;
                if (message->starts_with("BYE "))
                    sip_.send(response(*message, "200 OK", sip_.port()), target_);
                continue;
            }
            if (header(*message, "CSeq").find("INVITE") == std::string_view::npos) continue;
            to_ = std::string(header(*message, "To"));
            remote_rtp_ = loopback(audio_port(body(*message)));
            up_ = true;
            request("ACK", {});
        }
    }
    // Counts what came; `arrived` is told every payload.
    template <class Arrived>
    void on_rtp(Arrived &&arrived) {
        while (const auto packet = rtp_.receive())
            if (packet->size() > 12 && ((*packet)[1] & 0x7f) < 64) {
                ++received_;
                arrived(packet->substr(12));
            }
    }
    void send_frame(std::string_view payload) {
        std::array<char, 12 + frame_bytes> packet{'\x80', '\0'};
        put16(packet.data() + 2, sequence_++);
        put32(packet.data() + 4, timestamp_);
        put32(packet.data() + 8, ssrc_);
        timestamp_ += frame_bytes;
        std::copy(payload.begin(), payload.end(), packet.begin() + 12);
        rtp_.send({packet.data(), packet.size()}, remote_rtp_);
        ++sent_;
    }
    [[nodiscard]] bool up() const { return up_; }
    [[nodiscard]] bool refused() const { return refused_; }
    [[nodiscard]] std::uint64_t received() const { return received_; }
    [[nodiscard]] std::uint64_t sent() const { return sent_; }
    [[nodiscard]] const Socket &sip() const { return sip_; }
    [[nodiscard]] const Socket &rtp() const { return rtp_; }

private:
    static void put16(char *at, std::uint16_t value) {
        value = htons(value);
        std::memcpy(at, &value, sizeof value);
    }
    static void put32(char *at, std::uint32_t value) {
        value = htonl(value);
        std::memcpy(at, &value, sizeof value);
    }
    void request(const std::string &method, const std::string &sdp) {
        const std::string uri = "sip:bench@127.0.0.1:" + std::to_string(ntohs(target_.sin_port));
        const std::string me = "127.0.0.1:" + std::to_string(sip_.port());
        if (method != "ACK") ++cseq_;
        const std::string number = std::to_string(cseq_);
        std::string text = method + " " + uri + " SIP/2.0\r\nVia: SIP/2.0/UDP " + me + ";branch=z9hG4bK" +
                           id_ + method + number + ";rport\r\nMax-Forwards: 70\r\nFrom: <sip:peer@" + me +
                           ">;tag=" + id_ + "\r\nTo: " + (to_.empty() ? "<" + uri + ">" : to_) +
                           "\r\nCall-ID: " + id_ + "\r\nCSeq: " + number + " " + method +
                           "\r\nContact: <sip:peer@" + me + ">\r\n";
        if (!sdp.empty()) text += "Content-Type: application/sdp\r\n";
        sip_.send(text + "Content-Length: " + std::to_string(sdp.size()) + "\r\n\r\n" + sdp, target_);
    }

    Socket sip_, rtp_;
    sockaddr_in target_, remote_rtp_{};
    std::string id_, to_;
    std::uint32_t ssrc_, timestamp_ = 0;
    std::uint16_t sequence_ = 0;
    unsigned cseq_ = 0;
    std::uint64_t received_ = 0, sent_ = 0;
    bool up_ = false, refused_ = false;
};

// Waits until the call is up; false when it is refused or nobody answers.
bool place(OutgoingCall &call) {
    call.invite();
    for (const auto until = now() + 10'000'000; now() < until && !call.up() && !call.refused();) {
        (void)call.sip().wait(50);
        call.on_sip();
    }
    return call.up();
}

} // namespace

// `count` calls at the same time, each with its own 20 ms of RTP; "up" is printed when all talk.
int calls(std::uint16_t port, unsigned count, double seconds) {
    std::vector<std::unique_ptr<OutgoingCall>> all;
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (unsigned i = 0; i < count; ++i) {
        auto call = std::make_unique<OutgoingCall>(port, i);
        if (!place(*call)) {
            (void)std::fprintf(stderr, "peer: call %u of %u was not answered\n", i + 1, count);
            return 1;
        }
        epoll_event event{.events = EPOLLIN, .data = {.ptr = call.get()}};
        (void)epoll_ctl(epoll, EPOLL_CTL_ADD, call->rtp().fd(), &event);
        all.push_back(std::move(call));
    }
    const std::string payload(frame_bytes, silence);
    const auto start = now();
    const auto end = start + static_cast<Microseconds>(seconds * 1e6);
    bool told = false;
    std::uint64_t tick = 0; // of all calls together: they are spread over the 20 ms
    while (now() < end) {
        const auto due = [&] { return start + static_cast<Microseconds>(tick) * frame / count; };
        for (; due() <= now(); ++tick)
            all[tick % count]->send_frame(payload);
        std::array<epoll_event, 256> events{};
        const auto left = due() - now();
        const int ready = epoll_wait(epoll, events.data(), events.size(), left > 1000 ? 1 : 0);
        for (int i = 0; i < ready; ++i)
            static_cast<OutgoingCall *>(events[static_cast<std::size_t>(i)].data.ptr)->on_rtp([](auto) {});
        const auto silent = [](const auto &call) { return call->received() == 0; };
        if (!told && std::none_of(all.begin(), all.end(), silent)) {
            told = true;
            std::puts("{\"event\":\"up\"}");
            (void)std::fflush(stdout);
        }
        if (ready == 0 && left > 0) usleep(static_cast<useconds_t>(std::min<Microseconds>(left, 500)));
    }
    std::uint64_t least = UINT64_MAX, sent = 0;
    for (const auto &call : all) {
        least = std::min(least, call->received());
        sent = std::max(sent, call->sent());
        call->bye();
    }
    std::printf("{\"calls\":%u,\"sent_each\":%llu,\"received_least\":%llu}\n", count,
                static_cast<unsigned long long>(sent), static_cast<unsigned long long>(least));
    return 0;
}

// One call to an echo: a loud frame each second in silence, and when its first loud sample comes back: as a
// listener would hear it, so a sample further into its packet counts as later.
int delay(std::uint16_t port, double seconds) {
    OutgoingCall call(port, 0);
    if (!place(call)) return 1;
    const std::string quiet(frame_bytes, silence), burst(frame_bytes, loud);
    const auto start = now();
    const auto end = start + static_cast<Microseconds>(seconds * 1e6);
    Microseconds burst_at = 0;
    std::vector<double> delays;
    std::uint64_t tick = 0;
    while (now() < end) {
        const auto due = start + static_cast<Microseconds>(tick) * frame;
        if (now() >= due) {
            const bool is_burst = tick % 50 == 49;
            call.send_frame(is_burst ? burst : quiet);
            if (is_burst) burst_at = now();
            ++tick;
        }
        const auto left = start + static_cast<Microseconds>(tick) * frame - now();
        if (!call.rtp().wait(static_cast<int>(std::max<Microseconds>(left, 0) / 1000))) continue;
        const auto arrived = now();
        call.on_rtp([&](std::string_view payload) {
            const auto is_loud = [](char c) { return (c & 0x7f) < 0x20; }; // above -12 dBFS or so
            const auto at = std::find_if(payload.begin(), payload.end(), is_loud) - payload.begin();
            if (burst_at == 0 || static_cast<std::size_t>(at) == payload.size()) return;
            delays.push_back(static_cast<double>(arrived - burst_at + at * 125) / 1e3);
            burst_at = 0;
        });
    }
    call.bye();
    std::sort(delays.begin(), delays.end());
    if (delays.empty()) return 1;
    std::printf("{\"echoes\":%zu,\"median_ms\":%.2f,\"min_ms\":%.2f,\"max_ms\":%.2f}\n", delays.size(),
                delays[delays.size() / 2], delays.front(), delays.back());
    return 0;
}

} // namespace peer
