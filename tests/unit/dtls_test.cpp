#include <algorithm>

#include <doctest/doctest.h>

#include "media/dtls.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

using Datagrams = std::vector<DtlsSession::Datagram>;

std::shared_ptr<const DtlsIdentity> identity() {
    static const auto one = DtlsIdentity::create().value();
    return one;
}
std::shared_ptr<const DtlsIdentity> other_identity() {
    static const auto one = DtlsIdentity::create().value();
    return one;
}

struct Ends {
    Ends()
        : client(open(identity(), DtlsRole::client, {other_identity()->fingerprint()})),
          server(open(other_identity(), DtlsRole::server, {identity()->fingerprint()})) {}

    static std::unique_ptr<DtlsSession> open(std::shared_ptr<const DtlsIdentity> own, DtlsRole role,
                                             std::vector<DtlsFingerprint> expected) {
        auto session = DtlsSession::open(std::move(own), role, std::move(expected));
        REQUIRE(session);
        return std::move(*session);
    }

    // Passes datagrams back and forth until silence; the first error ends it.
    Result<> talk() {
        if (auto begun = client->start(); !begun) return begun;
        for (int turn = 0; turn < 40; ++turn) {
            auto there = client->take_output(), back = server->take_output();
            if (there.empty() && back.empty()) return {};
            for (const auto &[to, list] : {std::pair(server.get(), &there), {client.get(), &back}})
                for (const auto &datagram : *list) {
                    longest = std::max(longest, datagram.size());
                    ++passed;
                    if (auto taken = to->receive(datagram); !taken) return taken;
                }
        }
        return fail(Errc::timeout, "they talk for ever");
    }

    std::unique_ptr<DtlsSession> client, server;
    std::size_t longest = 0, passed = 0;
};

// One handshake message in one record, as fragments in records of their own (RFC 6347 §4.2.3), the last
// first.
Datagrams in_pieces(const DtlsSession::Datagram &whole, std::size_t count) {
    constexpr std::size_t record = 13, head = record + 12;
    const std::size_t body = whole.size() - head, each = (body + count - 1) / count;
    Datagrams pieces;
    for (std::size_t at = 0; at < body; at += each) {
        const std::size_t size = std::min(each, body - at);
        DtlsSession::Datagram piece(whole.begin(), whole.begin() + head);
        const auto put = [&piece](std::size_t where, std::size_t bytes, std::size_t value) {
            for (std::size_t i = 0; i < bytes; ++i)
                piece[where + i] = static_cast<std::uint8_t>(value >> 8 * (bytes - 1 - i));
        };
        put(10, 1, pieces.size() + 5); // the record's number
        put(11, 2, size + 12);
        put(record + 6, 3, at);
        put(record + 9, 3, size);
        const auto from = whole.begin() + static_cast<std::ptrdiff_t>(head + at);
        piece.insert(piece.end(), from, from + static_cast<std::ptrdiff_t>(size));
        pieces.insert(pieces.begin(), piece);
    }
    return pieces;
}

} // namespace

TEST_SUITE("dtls") {

    TEST_CASE("fingerprints") {
        const auto own = identity()->fingerprint();
        CHECK(own.digest.size() == 32);
        CHECK(DtlsFingerprint::parse(own.encode()) == own);
        std::string lower = own.encode();
        std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
        CHECK(DtlsFingerprint::parse(lower) == own);
        CHECK_FALSE(own == other_identity()->fingerprint());
        CHECK_FALSE(DtlsFingerprint{} == DtlsFingerprint{}); // nothing matches nothing
        const std::string text = own.encode();
        for (const std::string &bad :
             {std::string(), std::string("sha-256"), std::string("sha-256 "), text + ":00",
              text.substr(0, 90), "sha-1 " + text.substr(8, 59), "md5 " + text.substr(8, 47),
              "sha-256 G" + text.substr(9), text.substr(0, 10) + "-" + text.substr(11)}) {
            CAPTURE(bad);
            CHECK_FALSE(DtlsFingerprint::parse(bad));
        }
    }

    TEST_CASE("a handshake gives both ends the same keys, crossed") {
        Ends ends;
        const auto talked = ends.talk();
        REQUIRE_MESSAGE(talked, (talked ? "" : talked.error().what));
        REQUIRE(ends.client->keys());
        REQUIRE(ends.server->keys());
        CHECK(ends.client->keys()->send == ends.server->keys()->receive);
        CHECK(ends.client->keys()->receive == ends.server->keys()->send);
        CHECK_FALSE(ends.client->keys()->send == ends.client->keys()->receive);
        CHECK(ends.client->keys()->send.suite() == SrtpSuite::aead_aes128_gcm);
        CHECK(ends.longest <= DtlsSession::usual_mtu);
        CHECK_FALSE(ends.client->timer());
        ends.client->close();
        for (const auto &datagram : ends.client->take_output())
            CHECK(ends.server->receive(datagram));
        CHECK(ends.server->closed_by_peer());
    }

    TEST_CASE("a ClientHello in pieces") { // as browsers send it since it carries a post-quantum key share
        Ends ends;
        REQUIRE(ends.client->start());
        const Datagrams hello = ends.client->take_output();
        REQUIRE(hello.size() == 1);
        for (const auto &piece : in_pieces(hello[0], 3)) {
            CHECK(ends.server->take_output().empty());
            CHECK(ends.server->receive(piece));
        }
        const auto talked = ends.talk();
        REQUIRE_MESSAGE(talked, (talked ? "" : talked.error().what));
        CHECK(ends.server->keys());
    }

    TEST_CASE("another certificate than announced is refused by either end") {
        const auto stranger = DtlsIdentity::create().value()->fingerprint();
        for (const bool client_lied_to : {true, false}) {
            Ends ends;
            if (client_lied_to)
                ends.client = Ends::open(identity(), DtlsRole::client, {stranger});
            else
                ends.server = Ends::open(other_identity(), DtlsRole::server, {stranger});
            const auto talked = ends.talk();
            REQUIRE_FALSE(talked);
            CHECK(talked.error().code == Errc::tls);
            CHECK(talked.error().what.find("certificate") != std::string::npos);
            CHECK_FALSE((client_lied_to ? ends.client : ends.server)->keys());
        }
        Ends none;
        none.client = Ends::open(identity(), DtlsRole::client, {});
        CHECK_FALSE(none.talk());
        Ends one_of_two;
        one_of_two.client =
            Ends::open(identity(), DtlsRole::client, {stranger, other_identity()->fingerprint()});
        CHECK(one_of_two.talk());
    }

    TEST_CASE("lost datagrams are sent again when the timer says so") {
        Ends ends;
        REQUIRE(ends.client->start());
        CHECK_FALSE(ends.client->take_output().empty()); // lost
        CHECK(ends.client->take_output().empty());
        const auto left = ends.client->timer();
        REQUIRE(left);
        CHECK(left->count() > 0);
        CHECK(left->count() <= 250);
        CHECK_FALSE(ends.server->timer());
    }

    TEST_CASE("garbage and truncation change nothing") {
        Ends ends;
        REQUIRE(ends.client->start());
        const Datagrams hello = ends.client->take_output();
        REQUIRE(hello.size() == 1);
        for (std::size_t size = 0; size < hello[0].size(); ++size)
            CHECK(ends.server->receive(Bytes(hello[0]).first(size)));
        for (int n = 0; n < 256; ++n)
            CHECK(ends.server->receive(std::vector<std::uint8_t>(60, static_cast<std::uint8_t>(n))));
        CHECK(ends.server->take_output().empty());
        for (const auto &datagram : hello)
            CHECK(ends.server->receive(datagram));
        CHECK(ends.talk());
        CHECK(ends.server->keys());
        const SrtpKeys before = *ends.server->keys();
        CHECK(ends.server->receive(hello[0])); // a replayed ClientHello
        for (int n = 20; n < 64; ++n)
            CHECK(ends.server->receive(std::vector<std::uint8_t>(60, static_cast<std::uint8_t>(n))));
        CHECK(ends.server->keys() == before);
        CHECK_FALSE(ends.server->closed_by_peer());
    }

} // TEST_SUITE
