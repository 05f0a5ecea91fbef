// Our SRTP against libsrtp2, packet by packet and both ways: every suite, header extensions and CSRCs, lost
// packets, the sequence number's wrap.
#include <algorithm>
#include <random>
#include <string>

#include <doctest/doctest.h>
#include <srtp2/srtp.h>

#include "media/secure_channel.hpp"
#include "media/srtp.hpp"
#include "media/srtp_window.hpp"

using namespace offhook::media;

namespace {

using Packet = std::vector<std::uint8_t>;

// The reference implementation with one key, one way.
class Reference {
public:
    Reference(const SrtpKey &key, bool outbound, Packet mki = {}) : mki_(std::move(mki)) {
        static const bool ready = srtp_init() == srtp_err_status_ok;
        REQUIRE(ready);
        srtp_policy_t policy{};
        set(key.suite(), policy.rtp, true);
        set(key.suite(), policy.rtcp, false);
        policy.ssrc.type = outbound ? ssrc_any_outbound : ssrc_any_inbound;
        master_.assign(key.bytes().begin(), key.bytes().end());
        srtp_master_key_t marked{master_.data(), mki_.data(), static_cast<unsigned>(mki_.size())};
        srtp_master_key_t *list = &marked;
        if (mki_.empty()) {
            policy.key = master_.data();
        } else {
            policy.keys = &list;
            policy.num_master_keys = 1;
        }
        policy.window_size = 1024;
        REQUIRE(srtp_create(&context_, &policy) == srtp_err_status_ok);
    }
    ~Reference() { srtp_dealloc(context_); }
    Reference(const Reference &) = delete;
    Reference &operator=(const Reference &) = delete;

    using Transform = srtp_err_status_t (*)(srtp_t, void *, int *);
    Packet run(Transform transform, Packet packet) {
        int size = static_cast<int>(packet.size());
        packet.resize(packet.size() + 64);
        if (transform(context_, packet.data(), &size) != srtp_err_status_ok) return {};
        packet.resize(static_cast<std::size_t>(size));
        return packet;
    }

private:
    static void set(SrtpSuite suite, srtp_crypto_policy_t &policy, bool rtp) {
        switch (suite) {
        case SrtpSuite::aes128_cm_sha1_80:
            return srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy);
        case SrtpSuite::aes128_cm_sha1_32:
            if (rtp) return srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy);
            return srtp_crypto_policy_set_aes_cm_128_hmac_sha1_80(&policy);
        case SrtpSuite::aes256_cm_sha1_80:
            return srtp_crypto_policy_set_aes_cm_256_hmac_sha1_80(&policy);
        case SrtpSuite::aead_aes128_gcm:
            return srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy);
        case SrtpSuite::aead_aes256_gcm:
            return srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy);
        }
    }
    srtp_t context_ = nullptr;
    Packet master_, mki_;
};

Packet rtp(std::mt19937 &random, std::uint16_t sequence) {
    const unsigned sources = random() % 3, words = random() % 3;
    const bool extended = random() % 2 == 0;
    Packet packet{static_cast<std::uint8_t>(0x80 | (extended ? 0x10 : 0) | sources),
                  96,
                  static_cast<std::uint8_t>(sequence >> 8),
                  static_cast<std::uint8_t>(sequence),
                  1,
                  2,
                  3,
                  4,
                  0xca,
                  0xfe,
                  0xba,
                  static_cast<std::uint8_t>(random() % 2)};
    packet.resize(packet.size() + std::size_t{4} * sources, 7);
    if (extended) {
        for (const unsigned byte : {0xbeU, 0xdeU, 0U, words})
            packet.push_back(static_cast<std::uint8_t>(byte));
        packet.resize(packet.size() + std::size_t{4} * words, 9);
    }
    for (unsigned i = random() % 200; i > 0; --i)
        packet.push_back(static_cast<std::uint8_t>(random()));
    return packet;
}

Packet rtcp(std::mt19937 &random) {
    Packet packet{0x80, 200, 0, 6, 0xca, 0xfe, 0xba, static_cast<std::uint8_t>(random() % 2)};
    for (unsigned i = 0; i < 20; ++i)
        packet.push_back(static_cast<std::uint8_t>(random()));
    return packet;
}

using Ours = std::optional<std::span<std::uint8_t>> (SrtpStream::*)(std::span<std::uint8_t>,
                                                                    std::size_t) noexcept;

Packet protect(SrtpStream &stream, Ours way, Packet packet) {
    const std::size_t size = packet.size();
    packet.resize(size + srtp_room);
    const auto done = (stream.*way)(packet, size);
    return done ? Packet(done->begin(), done->end()) : Packet{};
}

template <class Way>
Packet unprotect(SrtpStream &stream, Way way, Packet packet) {
    const auto done = (stream.*way)(packet);
    return done ? Packet(done->begin(), done->end()) : Packet{};
}

Packet from_hex(const std::string &text) {
    Packet bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
    return bytes;
}

} // namespace

TEST_SUITE("srtp reference") {
    TEST_CASE("an MKI (RFC 3711 §3.1) as libsrtp2 writes it is taken out, another one or none refused") {
        std::mt19937 random{4568}; // NOLINT(cert-msc51-cpp): the same each time
        const Reference::Transform marked_rtp = [](srtp_t context, void *packet, int *size) {
            return srtp_protect_mki(context, packet, size, 1, 0);
        };
        const Reference::Transform marked_rtcp = [](srtp_t context, void *packet, int *size) {
            return srtp_protect_rtcp_mki(context, packet, size, 1, 0);
        };
        for (const auto &suite : srtp_suites())
            for (const Packet &mki : {Packet{1}, Packet{0, 0, 0, 1}, Packet(16, 0xab)}) {
                CAPTURE(suite.sdes_name);
                CAPTURE(mki.size());
                const auto key = SrtpKey::random(suite.suite), back = SrtpKey::random(suite.suite);
                Reference theirs(key, true, mki);
                SecureChannel ours, deaf;
                REQUIRE(ours.use({back, key, mki}));
                REQUIRE(deaf.use({back, key, Packet(mki.size(), 0x55)}));
                for (std::uint16_t sequence = 1; sequence < 20; ++sequence) {
                    for (const bool control : {false, true}) {
                        const Packet plain = control ? rtcp(random) : rtp(random, sequence);
                        Packet sealed = theirs.run(control ? marked_rtcp : marked_rtp, plain), copy = sealed;
                        REQUIRE_FALSE(sealed.empty());
                        CHECK_FALSE((control ? deaf.open_rtcp(copy) : deaf.open_rtp(copy)).has_value());
                        const auto opened = control ? ours.open_rtcp(sealed) : ours.open_rtp(sealed);
                        REQUIRE(opened.has_value());
                        CHECK(std::ranges::equal(*opened, plain));
                    }
                }
            }
    }

    TEST_CASE("libsrtp2 reads what we write and we read what it writes, byte for byte") {
        std::mt19937 random{3711}; // NOLINT(cert-msc51-cpp): the same each time
        for (const auto &suite : srtp_suites()) {
            CAPTURE(suite.sdes_name);
            const auto key = SrtpKey::random(suite.suite);
            auto ours_out = SrtpStream::open(key, SrtpStream::Way::outbound);
            auto ours_in = SrtpStream::open(key, SrtpStream::Way::inbound);
            REQUIRE((ours_out && ours_in));
            Reference theirs_out(key, true), theirs_in(key, false);
            unsigned sequence = 65'300;
            for (int i = 0; i < 700; ++i) {
                sequence += 1 + (random() % 10 == 0 ? random() % 50 : 0);
                const Packet clear = rtp(random, static_cast<std::uint16_t>(sequence));
                const Packet sealed = protect(*ours_out, &SrtpStream::protect_rtp, clear);
                REQUIRE(sealed == theirs_out.run(srtp_protect, clear));
                REQUIRE(theirs_in.run(srtp_unprotect, sealed) == clear);
                REQUIRE(unprotect(*ours_in, &SrtpStream::unprotect_rtp, sealed) == clear);
                REQUIRE(unprotect(*ours_in, &SrtpStream::unprotect_rtp, sealed).empty()); // a replay
                if (i % 5 != 0) continue;
                const Packet report = rtcp(random);
                const Packet hidden = protect(*ours_out, &SrtpStream::protect_rtcp, report);
                REQUIRE(hidden == theirs_out.run(srtp_protect_rtcp, report));
                REQUIRE(theirs_in.run(srtp_unprotect_rtcp, hidden) == report);
                REQUIRE(unprotect(*ours_in, &SrtpStream::unprotect_rtcp, hidden) == report);
                REQUIRE(unprotect(*ours_in, &SrtpStream::unprotect_rtcp, hidden).empty());
            }
        }
    }

    TEST_CASE("a packet that is known from the literature") { // the reference vector of libsrtp
        const auto bytes = from_hex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6");
        const SrtpKey key(SrtpSuite::aes128_cm_sha1_80, bytes);
        auto stream = SrtpStream::open(key, SrtpStream::Way::outbound);
        REQUIRE(stream);
        const auto clear = from_hex("800f1234decafbadcafebabeabababababababababababababababab");
        CHECK(protect(*stream, &SrtpStream::protect_rtp, clear) ==
              from_hex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb"));
    }

    TEST_CASE("the index of a sequence number, and the window") {
        SrtpWindow window;
        CHECK(window.guess(65'535) == 65'535);
        window.add(65'535);
        CHECK(window.guess(0) == 0x10000);
        CHECK(window.guess(65'534) == 65'534);
        CHECK(!window.fresh(65'535));
        window.add(0x10000);
        CHECK(window.guess(65'500) == 65'500);
        CHECK(window.fresh(65'500));
        window.add(65'500);
        CHECK(!window.fresh(65'500));
        window.add(0x10000 + 1023);
        CHECK(window.fresh(0x10000 + 500));
        CHECK(!window.fresh(0x10000)); // still remembered
        CHECK(!window.fresh(65'534));  // too old to tell
        window.add(0x10000 + 5000);
        CHECK(window.fresh(0x10000 + 4500));
        CHECK(!window.fresh(0x10000 + 3000));
        SrtpWindow early;
        early.add(5);
        CHECK(!early.guess(65'000)); // before the first packet
    }
}
