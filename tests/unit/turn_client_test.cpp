#include <algorithm>

#include <doctest/doctest.h>

#include "media/turn_client.hpp"
#include "media/wire.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

using Packet = std::vector<std::uint8_t>;

Address at(const char *ip, std::uint16_t port) {
    return Address::parse(ip, port).value();
}
const Address relayed = at("203.0.113.1", 50000), mapped = at("198.51.100.7", 4000),
              peer = at("192.0.2.9", 5000);
const std::string realm = "example.org", password = "secret";

// A TURN server in the test's hand: answers what it is asked.
struct Server {
    std::string nonce = "nonce-1";
    std::string user = "alice";
    std::vector<StunMethod> asked;
    unsigned refuse_with = 0;

    [[nodiscard]] Packet answer(const Packet &bytes) {
        const auto request = StunMessage::parse(bytes);
        REQUIRE(request);
        if (request->message_class() == StunClass::indication) return {};
        asked.push_back(request->method());
        const auto key = stun_long_term_key(user, realm, password);
        const bool signed_right =
            request->authenticated(Bytes(key)) && request->text(StunAttribute::username) == user;
        if (!signed_right) return challenge(*request, 401);
        if (request->text(StunAttribute::nonce) != nonce) return challenge(*request, 438);
        if (refuse_with != 0) return StunWriter::error(*request, refuse_with, "No").finish_signed(Bytes(key));
        auto reply = StunWriter::reply(*request, StunClass::success);
        if (request->method() == StunMethod::allocate)
            reply.add_address(StunAttribute::xor_relayed_address, relayed)
                .add_address(StunAttribute::xor_mapped_address, mapped);
        if (request->method() == StunMethod::allocate || request->method() == StunMethod::refresh)
            reply.add_number(StunAttribute::lifetime, 600);
        return reply.finish_signed(Bytes(key));
    }

private:
    [[nodiscard]] Packet challenge(const StunMessage &request, unsigned code) const {
        return StunWriter::error(request, code, "Again")
            .add(StunAttribute::realm, realm)
            .add(StunAttribute::nonce, nonce)
            .finish();
    }
};

struct Client {
    explicit Client(std::string given = password, bool reliable = false)
        : turn({"alice", std::move(given), reliable}) {}

    // Passes what it sends to the server and back, until nothing is left.
    TurnClient::Step play(TurnClient::Step step) {
        TurnClient::Step whole;
        for (int turns = 0; turns < 20; ++turns) {
            whole.allocated |= step.allocated;
            if (step.failed) whole.failed = step.failed;
            if (step.data) whole.data = step.data;
            Packet reply;
            for (const auto &packet : step.send) {
                whole.send.push_back(packet);
                if (packet[0] <= 3) reply = server.answer(packet);
            }
            if (reply.empty()) break;
            step = turn.received(reply, now);
        }
        return whole;
    }
    void allocate() {
        const auto step = play(turn.start(now));
        REQUIRE(step.allocated);
    }

    Server server;
    TurnClient turn;
    TimePoint now{std::chrono::seconds(9000)};
};

} // namespace

TEST_SUITE("turn") {

    TEST_CASE("an allocation: asked, challenged, asked again, and given back") {
        Client client;
        client.allocate();
        CHECK(client.turn.relayed() == relayed);
        CHECK(client.turn.mapped() == mapped);
        CHECK(client.server.asked == std::vector{StunMethod::allocate, StunMethod::allocate});
        (void)client.play(client.turn.stop(client.now));
        CHECK(client.server.asked.back() == StunMethod::refresh);
        CHECK_FALSE(client.turn.next_tick());
    }

    TEST_CASE("a wrong password ends it after one try") {
        Client client("wrong");
        const auto step = client.play(client.turn.start(client.now));
        REQUIRE(step.failed);
        CHECK(step.failed->code == Errc::authentication);
        CHECK(client.server.asked.size() == 2);
        CHECK(step.failed->what.find("wrong") == std::string::npos);
    }

    TEST_CASE("an endless challenge is not answered for ever") {
        Client client;
        auto step = client.turn.start(client.now);
        int requests = 0;
        while (!step.send.empty() && requests < 50) {
            ++requests;
            client.server.nonce += "x"; // always stale
            step = client.turn.received(client.server.answer(step.send.front()), client.now);
        }
        CHECK(requests <= 5);
        CHECK(step.failed);
    }

    TEST_CASE("a server that refuses, or is silent") {
        Client refused;
        refused.server.refuse_with = 486;
        CHECK(refused.play(refused.turn.start(refused.now)).failed);
        for (const bool reliable : {false, true}) {
            Client silent(password, reliable);
            (void)silent.turn.start(silent.now);
            int sent = 1;
            for (int n = 0; n < 100 && silent.turn.next_tick(); ++n) {
                silent.now = *silent.turn.next_tick();
                const auto step = silent.turn.tick(silent.now);
                sent += static_cast<int>(step.send.size());
                if (!step.failed) continue;
                CHECK(step.failed->code == Errc::timeout);
                break;
            }
            CHECK(sent == (reliable ? 1 : 7));
            CHECK_FALSE(silent.turn.next_tick());
        }
    }

    TEST_CASE("data goes by indications until a channel is bound, then in four bytes of header") {
        Client client;
        CHECK(client.turn.send(peer, Packet{1, 2, 3}, client.now).send.empty()); // nothing to send by yet
        client.allocate();
        const auto first = client.play(client.turn.send(peer, Packet{1, 2, 3}, client.now));
        REQUIRE(first.send.size() == 2);
        CHECK(client.server.asked.back() == StunMethod::create_permission);
        const auto indication = StunMessage::parse(first.send[1]);
        REQUIRE(indication);
        CHECK(indication->is(StunClass::indication, StunMethod::send));
        CHECK(indication->address(StunAttribute::xor_peer_address) == peer);
        CHECK(client.turn.send(peer, Packet{4}, client.now).send.size() == 1);
        (void)client.play(client.turn.bind(peer, client.now));
        CHECK(client.server.asked.back() == StunMethod::channel_bind);
        const auto bound = client.turn.send(peer, Packet{5, 6}, client.now);
        REQUIRE(bound.send.size() == 1);
        CHECK(bound.send[0] == Packet{0x40, 0x00, 0, 2, 5, 6});
        const auto back = client.turn.received(Packet{0x40, 0x00, 0, 2, 7, 8, 0, 0}, client.now);
        REQUIRE(back.data);
        CHECK(back.data->peer == peer);
        CHECK(back.data->bytes == Packet{7, 8});
        const auto data =
            client.turn.received(StunWriter(StunClass::indication, StunMethod::data, random_transaction())
                                     .add_address(StunAttribute::xor_peer_address, peer)
                                     .add(StunAttribute::data, Bytes(Packet{9}))
                                     .finish(),
                                 client.now);
        REQUIRE(data.data);
        CHECK(data.data->bytes == Packet{9});
    }

    TEST_CASE("allocation, permissions and channels are renewed in time; a stale nonce is no trouble") {
        Client client;
        client.allocate();
        (void)client.play(client.turn.send(peer, Packet{1}, client.now));
        (void)client.play(client.turn.bind(peer, client.now));
        client.server.asked.clear();
        client.server.nonce = "nonce-2";
        const TimePoint until = client.now + Duration{3'600'000};
        while (client.turn.next_tick() && *client.turn.next_tick() <= until) {
            client.now = *client.turn.next_tick();
            REQUIRE_FALSE(client.play(client.turn.tick(client.now)).failed);
        }
        const auto count = [&](StunMethod method) { return std::ranges::count(client.server.asked, method); };
        CHECK(count(StunMethod::refresh) >= 11);
        CHECK(count(StunMethod::refresh) <= 14);
        CHECK(count(StunMethod::channel_bind) >= 13);
        CHECK(count(StunMethod::allocate) == 0);
    }

    TEST_CASE("strangers' messages change nothing") {
        Client client;
        const auto asked = client.turn.start(client.now);
        const auto challenge = client.turn.received(client.server.answer(asked.send[0]), client.now);
        REQUIRE(challenge.send.size() == 1);
        const auto request = StunMessage::parse(challenge.send[0]);
        const auto forged = StunWriter::reply(*request, StunClass::success)
                                .add_address(StunAttribute::xor_relayed_address, at("192.0.2.66", 1))
                                .finish_signed("guess");
        CHECK_FALSE(client.turn.received(forged, client.now).allocated);
        CHECK_FALSE(client.turn.relayed());
        const Packet real = client.server.answer(challenge.send[0]);
        for (std::size_t size = 0; size < real.size(); ++size)
            CHECK_FALSE(client.turn.received(Bytes(real).first(size), client.now).allocated);
        CHECK(client.turn.received(real, client.now).allocated);
        for (std::size_t size = 0; size < 12; ++size)
            CHECK_FALSE(client.turn.received(Packet(size, 0x40), client.now).data);
    }

    TEST_CASE("cutting a stream into messages") {
        CHECK(turn_message_size(Packet{0x01, 0x01, 0x00}).value() == 0);
        CHECK(turn_message_size(Packet{0x01, 0x01, 0x00, 0x08}).value() == 28);
        CHECK(turn_message_size(Packet{0x40, 0x00, 0x00, 0x05}).value() == 12); // padded on streams
        CHECK_FALSE(turn_message_size(Packet{0x16, 0x03, 0x01, 0x00}));
    }

    TEST_CASE("a STUN query: the mapped address, or silence") {
        TimePoint now{std::chrono::seconds(9000)};
        StunQuery query;
        const auto asked = query.start(now);
        const auto request = StunMessage::parse(asked.send);
        REQUIRE(request);
        CHECK_FALSE(query
                        .received(StunWriter(StunClass::success, StunMethod::binding, random_transaction())
                                      .add_address(StunAttribute::xor_mapped_address, peer)
                                      .finish())
                        .done);
        CHECK(query
                  .received(StunWriter::reply(*request, StunClass::success)
                                .add_address(StunAttribute::xor_mapped_address, mapped)
                                .finish())
                  .done);
        CHECK(query.mapped() == mapped);
        StunQuery silent;
        (void)silent.start(now);
        int sent = 1;
        while (silent.next_tick()) {
            now = *silent.next_tick();
            sent += silent.tick(now).send.empty() ? 0 : 1;
        }
        CHECK(sent == 7);
        CHECK_FALSE(silent.mapped());
    }

} // TEST_SUITE
