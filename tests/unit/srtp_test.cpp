#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "media/secure_channel.hpp"
#include "media/wire.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

using Way = SrtpStream::Way;
using Packet = std::vector<std::uint8_t>;

Packet rtp(std::uint16_t sequence, std::uint32_t ssrc = 7, std::size_t payload = 160) {
    Packet packet(rtp_header_size + payload, 0x55);
    write_rtp_header({.payload_type = 0, .sequence = sequence, .timestamp = sequence * 160U, .ssrc = ssrc},
                     std::span(packet).first<rtp_header_size>());
    return packet;
}

Packet sealed(SrtpStream &stream, Packet packet) {
    const std::size_t size = packet.size();
    packet.resize(size + srtp_room);
    const auto out = stream.protect_rtp(packet, size);
    REQUIRE(out);
    packet.resize(out->size());
    return packet;
}

bool opens(SrtpStream &stream, Packet packet) {
    return stream.unprotect_rtp(packet).has_value();
}

struct Pair {
    explicit Pair(SrtpSuite suite = SrtpSuite::aes128_cm_sha1_80)
        : key(SrtpKey::random(suite)), out(SrtpStream::open(key, Way::outbound).value()),
          in(SrtpStream::open(key, Way::inbound).value()) {}
    SrtpKey key;
    SrtpStream out, in;
};

} // namespace

TEST_SUITE("srtp") {

    TEST_CASE("every suite protects RTP and RTCP, and only its key opens them") {
        for (const SrtpSuiteInfo &suite : srtp_suites()) {
            CAPTURE(suite.sdes_name);
            Pair pair(suite.suite), other(suite.suite);
            for (std::uint16_t n = 0; n < 50; ++n) {
                const Packet clear = rtp(n), wire = sealed(pair.out, clear);
                CHECK(wire.size() > clear.size());
                CHECK_FALSE(
                    std::equal(clear.begin() + rtp_header_size, clear.end(), wire.begin() + rtp_header_size));
                CHECK_FALSE(opens(other.in, wire));
                Packet copy = wire;
                const auto opened = pair.in.unprotect_rtp(copy);
                REQUIRE(opened);
                CHECK(std::equal(opened->begin(), opened->end(), clear.begin(), clear.end()));
                CHECK_FALSE(opens(pair.in, wire)); // a replay
            }
            Packet report = build_rtcp({.sender_ssrc = 7}, "a@b", false);
            const Packet clear = report;
            report.resize(clear.size() + srtp_room);
            const auto wire = pair.out.protect_rtcp(report, clear.size());
            REQUIRE(wire);
            Packet received(wire->begin(), wire->end());
            Packet replay = received;
            const auto opened = pair.in.unprotect_rtcp(received);
            REQUIRE(opened);
            CHECK(std::equal(opened->begin(), opened->end(), clear.begin(), clear.end()));
            CHECK_FALSE(pair.in.unprotect_rtcp(replay));
        }
    }

    TEST_CASE("sequence numbers wrap") {
        Pair pair;
        for (std::uint32_t n = 65000; n < 65536 + 500; ++n)
            REQUIRE(opens(pair.in, sealed(pair.out, rtp(static_cast<std::uint16_t>(n)))));
    }

    TEST_CASE("reordering is borne within the window, across the wrap too") {
        Pair pair;
        std::vector<Packet> wire;
        for (std::uint32_t n = 65500; n < 65536 + 40; ++n)
            wire.push_back(sealed(pair.out, rtp(static_cast<std::uint16_t>(n))));
        REQUIRE(opens(pair.in, wire[0]));
        for (std::size_t n = 1; n + 1 < wire.size(); n += 2) {
            CHECK(opens(pair.in, wire[n + 1]));
            CHECK(opens(pair.in, wire[n]));
        }
    }

    // Whatever SSRC and sequence number a forger writes, the stream is unharmed.
    TEST_CASE("forged packets change nothing") {
        for (const SrtpSuite suite : {SrtpSuite::aes128_cm_sha1_80, SrtpSuite::aead_aes128_gcm}) {
            Pair pair(suite);
            std::uint16_t sequence = 100;
            REQUIRE(opens(pair.in, sealed(pair.out, rtp(sequence++))));
            for (std::uint32_t forged = 0; forged < 0x10000; forged += 97) {
                for (const std::uint32_t ssrc : {7U, forged}) {
                    CHECK_FALSE(opens(pair.in, rtp(static_cast<std::uint16_t>(forged), ssrc)));
                    Packet tampered = rtp(static_cast<std::uint16_t>(forged), ssrc, 170);
                    CHECK_FALSE(opens(pair.in, tampered));
                }
                if (forged % 970 == 0) CHECK(opens(pair.in, sealed(pair.out, rtp(sequence++))));
            }
            const Packet good = sealed(pair.out, rtp(sequence));
            for (std::size_t at = 0; at < good.size(); ++at) {
                Packet bad = good;
                bad[at] ^= 0x40;
                if (at == 0) bad[0] = 0x90; // the X bit, into the payload
                CHECK_FALSE(opens(pair.in, bad));
            }
            CHECK(opens(pair.in, good));
        }
    }

    TEST_CASE("truncated packets of every length") {
        Pair pair;
        const Packet good = sealed(pair.out, rtp(1));
        for (std::size_t size = 0; size < good.size(); ++size) {
            Packet cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
            CHECK_FALSE(pair.in.unprotect_rtp(cut));
            Packet again = cut;
            CHECK_FALSE(pair.in.unprotect_rtcp(again));
        }
        CHECK(opens(pair.in, good));
    }

    TEST_CASE("a number used before is not sent again") {
        Pair pair;
        (void)sealed(pair.out, rtp(5));
        Packet again = rtp(5);
        again.resize(again.size() + srtp_room);
        CHECK_FALSE(pair.out.protect_rtp(again, again.size() - srtp_room));
    }

    TEST_CASE("a channel: in the clear, then never again") {
        const SrtpKey ours = SrtpKey::random(SrtpSuite::aead_aes128_gcm),
                      theirs = SrtpKey::random(SrtpSuite::aead_aes128_gcm);
        SecureChannel here, there;
        Packet packet = rtp(1);
        CHECK(here.open_rtp(packet));
        CHECK_FALSE(here.secure());
        REQUIRE(here.use({ours, theirs}));
        REQUIRE(there.use({theirs, ours}));
        CHECK(here.suite() == SrtpSuite::aead_aes128_gcm);
        Packet clear = rtp(2);
        CHECK_FALSE(here.open_rtp(clear));
        CHECK(here.rejected() == 1);

        const auto cross = [&](SecureChannel &from, SecureChannel &to, std::uint16_t n) {
            Packet buffer = rtp(n);
            const std::size_t size = buffer.size();
            buffer.resize(size + srtp_room);
            const auto wire = from.seal_rtp(buffer, size);
            if (!wire) return false;
            Packet arrived(wire->begin(), wire->end());
            return to.open_rtp(arrived).has_value();
        };
        CHECK(cross(here, there, 10));
        Packet buffer = rtp(11);
        buffer.resize(buffer.size() + srtp_room);
        const auto wire = here.seal_rtp(buffer, buffer.size() - srtp_room);
        REQUIRE(wire);
        Packet first(wire->begin(), wire->end()), replay = first;
        CHECK(there.open_rtp(first));

        SUBCASE("the same keys again: replays stay replays") {
            REQUIRE(there.use({theirs, ours}));
            CHECK_FALSE(there.open_rtp(replay));
            CHECK(cross(here, there, 12));
        }
        SUBCASE("new keys, then the old ones: still") {
            REQUIRE(there.use(
                {SrtpKey::random(SrtpSuite::aead_aes128_gcm), SrtpKey::random(SrtpSuite::aead_aes128_gcm)}));
            CHECK_FALSE(cross(here, there, 12));
            REQUIRE(there.use({theirs, ours}));
            CHECK_FALSE(there.open_rtp(replay));
            CHECK(cross(here, there, 13));
        }
        SUBCASE("waiting for keys, nothing passes") {
            SecureChannel waiting;
            waiting.close_until_keyed();
            Packet any = rtp(3);
            CHECK_FALSE(waiting.open_rtp(any));
            any.resize(any.size() + srtp_room);
            CHECK_FALSE(waiting.seal_rtp(any, any.size() - srtp_room));
            CHECK_FALSE(waiting.seal_rtcp(any, any.size() - srtp_room));
        }
        SUBCASE("forty changes of the key") {
            for (int n = 0; n < 40; ++n)
                REQUIRE(there.use({theirs, SrtpKey::random(SrtpSuite::aes128_cm_sha1_80)}));
            REQUIRE(there.use({theirs, ours}));
            CHECK(cross(there, here, 20));
        }
    }

} // TEST_SUITE
