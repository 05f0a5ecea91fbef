// A leg against a peer made of bare sockets: where RTP may come from, what is malformed, RTCP with VoIP
// metrics.
#include <cmath>
#include <cstring>

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "media/detect.hpp"
#include "media/leg.hpp"
#include "media/pcm.hpp"
#include "media/sdp.hpp"
#include "media/wire.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

class Socket {
public:
    explicit Socket(const char *ip = "127.0.0.1") : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
        const Address any = Address::parse(ip).value();
        REQUIRE(::bind(fd_, any.sockaddr_ptr(), any.sockaddr_len()) == 0);
        sockaddr_storage bound{};
        socklen_t length = sizeof bound;
        ::getsockname(fd_, reinterpret_cast<sockaddr *>(&bound), &length);
        address = Address::from_sockaddr(reinterpret_cast<sockaddr *>(&bound));
    }
    ~Socket() { ::close(fd_); }
    Socket(const Socket &) = delete;
    Socket &operator=(const Socket &) = delete;

    void send(const Address &to, Bytes bytes) const {
        ::sendto(fd_, bytes.data(), bytes.size(), 0, to.sockaddr_ptr(), to.sockaddr_len());
    }
    [[nodiscard]] std::vector<std::vector<std::uint8_t>> received() const {
        std::vector<std::vector<std::uint8_t>> all;
        for (std::vector<std::uint8_t> buffer(2048);;) {
            const auto got = ::recv(fd_, buffer.data(), buffer.size(), 0);
            if (got < 0) return all;
            all.emplace_back(buffer.begin(), buffer.begin() + got);
        }
    }
    Address address;

private:
    int fd_;
};

std::vector<std::uint8_t> packet(std::uint16_t sequence, std::uint8_t type = 0, std::uint32_t ssrc = 9) {
    std::vector<std::uint8_t> bytes(rtp_header_size + 160);
    write_rtp_header({.payload_type = type, .sequence = sequence, .timestamp = sequence * 160U, .ssrc = ssrc},
                     std::span(bytes).first<rtp_header_size>());
    for (std::size_t i = 0; i < 160; ++i)
        bytes[rtp_header_size + i] = linear_to_ulaw(
            to_sample(0.3 * std::sin(2 * 3.14159265358979 * 400 * static_cast<double>(i) / 8000)));
    return bytes;
}

struct Bench {
    // `sdp_ip`: what the peer's SDP says; its RTCP port is that of `reports`.
    explicit Bench(const std::string &sdp_ip = "127.0.0.1", const std::string &more = "")
        : leg(MediaLeg::open(loop,
                             {.local_ip = Address::parse("127.0.0.1").value(),
                              .public_ip = "",
                              .codecs = parse_codec_list("pcmu").value()},
                             {})
                  .value()) {
        REQUIRE(leg->offer());
        const auto answered =
            leg->answered("v=0\r\no=- 1 1 IN IP4 " + sdp_ip + "\r\ns=-\r\nc=IN IP4 " + sdp_ip +
                          "\r\nt=0 0\r\nm=audio " + std::to_string(peer.address.port()) +
                          " RTP/AVP 0\r\na=rtcp:" + std::to_string(reports.address.port()) + "\r\n" + more);
        REQUIRE_MESSAGE(answered.has_value(), (answered ? std::string{} : answered.error().what));
    }
    [[nodiscard]] Address rtp() const { return leg->local_rtp(); }
    [[nodiscard]] Address rtcp() const {
        return rtp().with_port(static_cast<std::uint16_t>(rtp().port() + 1));
    }
    [[nodiscard]] std::uint64_t taken() const { return leg->stats().received.packets; }
    void run(Duration time) {
        Timer end(loop);
        end.start(time, [this] { loop.stop(); });
        REQUIRE(loop.run());
    }
    // Everything that was sent so far has been looked at.
    void settle() { run(Duration{10}); }
    // `count` packets at their pace, while the leg sends and plays; what was heard at last.
    double talk(const Socket &from, int count) {
        std::vector<std::int16_t> frame(160);
        for (int n = 0; n < count; ++n) {
            from.send(rtp(), packet(sequence++));
            run(Duration{20});
            leg->receive(frame);
            leg->send(frame);
        }
        return level_dbfs(frame);
    }

    Loop loop;
    Socket peer, reports;
    std::unique_ptr<MediaLeg> leg;
    std::uint16_t sequence = 100;
};

} // namespace

TEST_SUITE("leg") {

    TEST_CASE("strangers and payload types never negotiated are not heard, and do not lock the stream") {
        Bench bench;
        const Socket stranger("127.0.0.2"), other;
        stranger.send(bench.rtp(), packet(1));
        other.send(bench.rtp(), packet(1, 18)); // from the right host, but of no payload type of ours
        bench.settle();
        CHECK(bench.taken() == 0);
        bench.peer.send(bench.rtp(), packet(2));
        bench.settle();
        CHECK(bench.taken() == 1);
        other.send(bench.rtp(), packet(3)); // locked now
        stranger.send(bench.rtp(), packet(3));
        bench.settle();
        CHECK(bench.taken() == 1);
        std::vector<std::int16_t> frame(160);
        bench.leg->send(frame);
        bench.settle();
        CHECK(bench.peer.received().size() == 1);
        CHECK(other.received().empty());
    }

    TEST_CASE("a peer behind NAT is heard from where its SIP comes, and answered there") {
        Bench bench("192.0.2.77"); // an address that leads nowhere from here
        bench.peer.send(bench.rtp(), packet(1));
        bench.settle();
        CHECK(bench.taken() == 0);
        bench.leg->set_sip_peer(Address::parse("127.0.0.1", 5060).value());
        const Socket stranger("127.0.0.2");
        stranger.send(bench.rtp(), packet(1));
        bench.settle();
        CHECK(bench.taken() == 0);
        CHECK(bench.talk(bench.peer, 10) > -20);
        CHECK(bench.peer.received().size() >= 9);
    }

    TEST_CASE("another SSRC from the same address is another stream, heard at once") {
        Bench bench;
        CHECK(bench.talk(bench.peer, 10) > -20);
        std::vector<std::int16_t> frame(160);
        for (std::uint16_t n = 0; n < 10; ++n) {
            bench.peer.send(bench.rtp(), packet(static_cast<std::uint16_t>(5000 + n), 0, 77));
            bench.run(Duration{20});
            bench.leg->receive(frame);
        }
        CHECK(level_dbfs(frame) > -20);
    }

    TEST_CASE("what is malformed, at every length, changes nothing") {
        Bench bench;
        CHECK(bench.talk(bench.peer, 5) > -40);
        const auto before = bench.taken();
        const auto good = packet(900);
        for (std::size_t size = 0; size < rtp_header_size; ++size)
            bench.peer.send(bench.rtp(), Bytes(good).first(size));
        bench.settle();
        std::vector<std::uint8_t> report =
            build_rtcp({.sender_ssrc = 9, .blocks = {{.ssrc = 1}}}, "x@y", true);
        append_voip_metrics(report, 9, {});
        for (std::size_t size = 0; size < report.size(); ++size) {
            bench.reports.send(bench.rtcp(), Bytes(report).first(size));
            if (size % 20 == 0) bench.settle();
        }
        std::vector<std::uint8_t> huge(60'000, 0x80);
        bench.peer.send(bench.rtp(), huge);
        bench.reports.send(bench.rtcp(), huge);
        bench.settle();
        CHECK(bench.taken() == before);
        CHECK(bench.talk(bench.peer, 10) > -20);
    }

    TEST_CASE("VoIP metrics: ours are sent to who asked for them, the peer's are read") {
        Bench bench("127.0.0.1", "a=rtcp-xr:rcvr-rtt=all voip-metrics\r\n");
        const Sdp offer = Sdp::parse(bench.leg->offer().value()).value();
        bench.leg->roll_back();
        REQUIRE(offer.media[0].attribute("rtcp-xr") != nullptr);
        CHECK(*offer.media[0].attribute("rtcp-xr") == "voip-metrics");
        for (int n = 0; n < 60; ++n) {
            if (n % 12 == 11) bench.sequence += 1; // one of 12 is lost
            bench.talk(bench.peer, 1);
        }
        std::optional<VoipMetrics> told;
        std::uint32_t ssrc = 0;
        for (const auto &bytes : bench.reports.received()) {
            const auto report = parse_rtcp(bytes);
            REQUIRE(report);
            ssrc = report->sender_ssrc;
            for (const auto &metrics : voip_metrics_of(bytes))
                told = metrics;
        }
        REQUIRE(told);
        CHECK(told->ssrc == 9);
        CHECK(told->loss_rate + told->discard_rate == doctest::Approx(1.0 / 13).epsilon(0.4));
        CHECK(told->mos_lq.value_or(0) > 3);
        CHECK(told->mos_lq.value_or(0) < 4.3);
        CHECK(told->r_factor.value_or(0) > 60);
        const auto stats = bench.leg->stats();
        CHECK(stats.received.missing_percent == doctest::Approx(100.0 / 13).epsilon(0.4));
        CHECK(stats.received.mos < 4.3);
        CHECK(bench.leg->take_interval().missing >= 3);
        CHECK(bench.leg->take_interval().packets == 0);
        CHECK_FALSE(stats.far_end);

        auto report = build_rtcp({.sender_ssrc = 9}, "x@y", false);
        append_voip_metrics(report, 9, {.ssrc = ssrc, .loss_rate = 0.25, .mos_cq = 2.5});
        bench.reports.send(bench.rtcp(), report);
        bench.settle();
        REQUIRE(bench.leg->stats().far_end);
        CHECK(bench.leg->stats().far_end->loss_rate == 0.25);
        CHECK(bench.leg->stats().sent.mos == 2.5);
    }

    TEST_CASE("who did not ask for VoIP metrics gets none; BYE ends the last report") {
        Bench bench;
        bench.talk(bench.peer, 5);
        bench.leg.reset();
        const auto all = bench.reports.received();
        REQUIRE(!all.empty());
        CHECK(voip_metrics_of(all.back()).empty());
        CHECK(parse_rtcp(all.back())->byes.size() == 1);
    }

} // TEST_SUITE
