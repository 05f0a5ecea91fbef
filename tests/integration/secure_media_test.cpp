// Two legs in one loop on 127.0.0.1: DTLS-SRTP and ICE over real sockets, and what strangers do to them.

#include <doctest/doctest.h>

#include "media/leg.hpp"
#include "media/media_transport.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

struct Party {
    Party(Loop &l, SrtpPolicy srtp, bool ice, IceAgent::Timing timing = {}) : loop(l), tick(l) {
        MediaLeg::Options options{.local_ip = Address::parse("127.0.0.1").value(),
                                  .public_ip = "",
                                  .codecs = parse_codec_list("pcmu").value()};
        options.srtp = srtp;
        options.ice.ice = ice;
        options.ice.timing = timing;
        MediaLeg::Events events;
        events.transport_failed = [this](const Error &error) { failed = error.what; };
        events.transport_trouble = [this](const std::string &what) { trouble = what; };
        events.look_up = [this](const std::string &host, auto found) {
            asked.push_back(host);
            found(host == "alice.local" ? std::vector<Address>{Address::parse("127.0.0.1").value()}
                                        : std::vector<Address>{});
        };
        leg = MediaLeg::open(loop, std::move(options), std::move(events)).value();
        beat();
    }

    void beat() { // 20 ms of sound each way, as CallAudio does
        std::vector<std::int16_t> frame(leg->frame_samples(), 1000);
        leg->send(frame);
        leg->receive(frame);
        tick.start(Duration{20}, [this] { beat(); });
    }
    [[nodiscard]] std::uint64_t received() const { return leg->stats().received.packets; }

    Loop &loop;
    Timer tick;
    std::unique_ptr<MediaLeg> leg;
    std::string failed, trouble;
    std::vector<std::string> asked;
};

struct Pair {
    explicit Pair(SrtpPolicy srtp, bool ice, IceAgent::Timing timing = {})
        : alice(loop, srtp, ice, timing), bob(std::make_unique<Party>(loop, srtp, ice, timing)) {
        alice.leg->gather(true, {}, [] {});
        bob->leg->gather(false, {}, [] {});
    }

    std::string exchange(const std::function<std::string(std::string)> &change = {}) {
        auto offer = alice.leg->offer();
        REQUIRE(offer);
        if (change) *offer = change(*offer);
        const auto answer = bob->leg->answer(*offer);
        REQUIRE_MESSAGE(answer, (answer ? "" : answer.error().what));
        bob->leg->connect();
        const auto answered = alice.leg->answered(*answer);
        REQUIRE_MESSAGE(answered, (answered ? "" : answered.error().what));
        return *offer;
    }
    void run(Duration time) {
        Timer end(loop);
        end.start(time, [this] { loop.stop(); });
        REQUIRE(loop.run());
    }
    template <class Done>
    bool run_until(Done done, Duration limit = Duration{10'000}) {
        const auto until = loop.now() + limit;
        while (!done() && loop.now() < until)
            run(Duration{20});
        return done();
    }
    bool flows() { // from here on, both ways
        const auto a = alice.received(), b = bob->received();
        return run_until([&] { return alice.received() > a + 10 && bob->received() > b + 10; });
    }

    Loop loop;
    Party alice;
    std::unique_ptr<Party> bob;
};

std::string ufrag(const std::string &sdp) {
    const std::string name = "ice-ufrag:";
    const auto at = sdp.find(name);
    if (at == std::string::npos) return "";
    return sdp.substr(at + name.size(), sdp.find('\r', at) - at - name.size());
}

// A socket of somebody else on this machine.
struct Stranger {
    explicit Stranger(const char *ip) : sockets(RtpSockets::open(Address::parse(ip).value(), 0, 0).value()) {}
    void send(const Address &to, Bytes bytes) const { sockets->send_rtp(to, bytes); }
    std::unique_ptr<RtpSockets> sockets;
};

} // namespace

TEST_SUITE("secure_media") {

    TEST_CASE("DTLS-SRTP without ICE, with one and with two associations") {
        for (const bool mux : {true, false}) {
            Pair pair(SrtpPolicy::dtls, false);
            pair.exchange([mux](const std::string &sdp) {
                const std::string row = "a=rtcp-mux\r\n";
                const auto at = sdp.find(row);
                return mux || at == std::string::npos ? sdp : std::string(sdp).erase(at, row.size());
            });
            CHECK(pair.alice.leg->srtp() == "dtls");
            CHECK(pair.flows());
            CHECK(pair.alice.leg->srtp() == "AEAD_AES_128_GCM");
            CHECK(pair.bob->leg->transport_ready());
            CHECK(pair.run_until(
                [&] { return pair.alice.leg->stats().round_trip_ms >= 0; })); // RTCP, encrypted
            CHECK(pair.alice.failed.empty());
        }
    }

    TEST_CASE("a re-negotiation keeps the association, an ICE restart too; audio goes on") {
        for (const SrtpPolicy policy : {SrtpPolicy::dtls, SrtpPolicy::required, SrtpPolicy::off}) {
            Pair pair(policy, true);
            const std::string first = pair.exchange();
            CHECK(pair.flows());
            CHECK_FALSE(pair.alice.leg->ice_pair().empty());
            const std::string again = pair.exchange();
            CHECK(ufrag(again) == ufrag(first));
            CHECK(pair.flows());
            const auto lost = pair.alice.leg->stats().received.lost;
            pair.alice.leg->restart_ice();
            const std::string restarted = pair.exchange();
            CHECK(ufrag(restarted) != ufrag(first));
            CHECK_FALSE(ufrag(restarted).empty());
            CHECK(pair.flows());
            CHECK(pair.flows());
            CHECK(pair.alice.leg->stats().received.lost == lost);
            CHECK(pair.alice.leg->srtp() == (policy == SrtpPolicy::off ? "" : "AEAD_AES_128_GCM"));
        }
    }

    TEST_CASE("candidates by mDNS name: looked up, or left out with a word; the call stands either way") {
        for (const std::string name : {"alice.local", "nobody.local"}) {
            Pair pair(SrtpPolicy::off, true);
            pair.exchange([&](const std::string &sdp) {
                std::string changed = sdp;
                for (auto at = changed.find(" 127.0.0.1 "); at != std::string::npos;
                     at = changed.find(" 127.0.0.1 ", at))
                    changed.replace(at, 11, " " + name + " ");
                return changed;
            });
            CHECK(pair.flows());
            CHECK(pair.bob->asked == std::vector<std::string>{name}); // once for RTP and RTCP
            CHECK((pair.bob->trouble.find("nobody.local") != std::string::npos) == (name == "nobody.local"));
            CHECK(pair.alice.asked.empty());
        }
    }

    TEST_CASE("consent that is lost ends it") {
        IceAgent::Timing timing;
        timing.consent = Duration{100};
        timing.consent_lasts = Duration{600};
        Pair pair(SrtpPolicy::off, true, timing);
        pair.exchange();
        CHECK(pair.flows());
        pair.run(Duration{800});
        CHECK(pair.alice.failed.empty());
        pair.bob.reset();
        CHECK(pair.run_until([&] { return !pair.alice.failed.empty(); }, Duration{2'000}));
        CHECK(pair.alice.failed.find("consent") != std::string::npos);
    }

    TEST_CASE("only through a relay, and the peer has no ICE: no media rather than another way") {
        Loop loop;
        MediaLeg::Options options{.local_ip = Address::parse("127.0.0.1").value(),
                                  .public_ip = "",
                                  .codecs = parse_codec_list("pcmu").value()};
        options.ice = {.ice = true, .relay_only = true};
        auto leg = MediaLeg::open(loop, std::move(options), {}).value();
        leg->gather(false, {}, [] {});
        const auto answer =
            leg->answer("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
                        "m=audio 5000 RTP/AVP 0\r\n");
        REQUIRE_FALSE(answer);
        CHECK(answer.error().sip == 488);
    }

    // The races of CVE-2023-49786: a stranger's ClientHello comes first, and often.
    TEST_CASE("a spray of ClientHellos and noise does not keep DTLS from being set up") {
        for (const bool ice : {false, true}) {
            Pair pair(SrtpPolicy::dtls, ice);
            const Stranger far("127.0.0.2");
            auto hello = DtlsSession::open(DtlsIdentity::create().value(), DtlsRole::client, {}).value();
            REQUIRE(hello->start());
            const auto flight = hello->take_output();
            Timer spray(pair.loop);
            std::function<void()> shoot = [&] {
                for (const Party *party : {&pair.alice, pair.bob.get()})
                    for (int n = 0; n < 10; ++n)
                        for (const auto &datagram : flight)
                            far.send(party->leg->local_rtp(), datagram);
                spray.start(Duration{10}, shoot);
            };
            shoot();
            pair.run(Duration{100});
            pair.exchange();
            CHECK(pair.flows());
            CHECK(pair.alice.failed.empty());
            CHECK(pair.bob->failed.empty());
        }
    }

    TEST_CASE("datagrams of every protocol and length, from near and far") {
        for (const SrtpPolicy policy : {SrtpPolicy::dtls, SrtpPolicy::off}) {
            Pair pair(policy, true);
            pair.exchange();
            CHECK(pair.flows());
            for (const Stranger &stranger : {Stranger("127.0.0.1"), Stranger("127.0.0.2")})
                for (const unsigned first :
                     {0U, 1U, 2U, 20U, 22U, 23U, 25U, 63U, 64U, 79U, 128U, 144U, 191U, 255U})
                    for (std::size_t size = 1; size < 120; ++size) {
                        std::vector<std::uint8_t> bytes(size, static_cast<std::uint8_t>(size * 7));
                        bytes[0] = static_cast<std::uint8_t>(first);
                        if (size > 1 && size % 2 == 0)
                            bytes[1] = static_cast<std::uint8_t>(200 + size % 8); // RTCP
                        stranger.send(pair.alice.leg->local_rtp(), bytes);
                        if (size % 40 == 0) pair.run(Duration{5});
                    }
            const auto lost = pair.alice.leg->stats().received.lost;
            CHECK(pair.flows());
            CHECK(pair.alice.leg->stats().received.lost == lost);
            CHECK(lost == 0);
            CHECK(pair.alice.failed.empty());
        }
    }

} // TEST_SUITE
