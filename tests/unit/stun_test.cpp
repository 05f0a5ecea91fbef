#include <doctest/doctest.h>

#include "media/ice_lite.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

using Packet = std::vector<std::uint8_t>;

Packet hex(std::string_view text) {
    Packet bytes;
    unsigned value = 0, digits = 0;
    for (const char c : text) {
        if (c == ' ') continue;
        value = value * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
        if (++digits % 2 == 0) bytes.push_back(static_cast<std::uint8_t>(std::exchange(value, 0U)));
    }
    return bytes;
}

// RFC 5769 §2.1 to §2.3
const Packet sample_request =
    hex("000100582112a442b7e7a701bc34d686fa87dfae 802200105354554e207465737420636c69656e74 002400046e0001ff"
        "80290008932ff9b151263b36 000600096576746a3a68367659202020 "
        "00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004e57a3bcf");
const Packet sample_ipv4 =
    hex("0101003c2112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220 002000080001a147e112a643"
        "00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004c07d4c96");
const Packet sample_ipv6 =
    hex("010100482112a442b7e7a701bc34d686fa87dfae 8022000b7465737420766563746f7220"
        "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9 00080014 a382954e4be67bf11784c97c8292c275bfe3ed41"
        "80280004c8fb0b4c");
constexpr std::string_view sample_password = "VOkJxbRl1RmTxUk/WvJxBt";

Address at(const char *ip, std::uint16_t port) {
    return Address::parse(ip, port).value();
}

struct Check {
    std::string user = "local:remote", password;
    std::optional<bool> controlling = true;
    bool use_candidate = false;
    std::optional<std::uint16_t> strange = {};

    [[nodiscard]] Packet packet() const {
        StunWriter writer(StunClass::request, StunMethod::binding, random_transaction());
        if (!user.empty()) writer.add(StunAttribute::username, user);
        writer.add_number(StunAttribute::priority, 1853824767);
        if (controlling)
            writer.add_long(*controlling ? StunAttribute::ice_controlling : StunAttribute::ice_controlled,
                            77);
        if (use_candidate) writer.add_flag(StunAttribute::use_candidate);
        if (strange) writer.add_number(static_cast<StunAttribute>(*strange), 1);
        return password.empty() ? writer.finish() : writer.finish_signed(password);
    }
};

const TimePoint start{std::chrono::seconds(1000)};

} // namespace

TEST_SUITE("stun") {

    TEST_CASE("the vectors of RFC 5769") {
        const auto request = StunMessage::parse(sample_request);
        REQUIRE(request);
        CHECK(request->is(StunClass::request, StunMethod::binding));
        CHECK(request->text(StunAttribute::username) == "evtj:h6vY");
        CHECK(request->number(StunAttribute::priority) == 0x6e0001ff);
        CHECK(request->long_number(StunAttribute::ice_controlled) == 0x932ff9b151263b36);
        CHECK(request->authenticated(sample_password));
        CHECK_FALSE(request->authenticated("another"));
        CHECK(request->has_fingerprint());
        for (const auto &[packet, address] :
             {std::pair(sample_ipv4, at("192.0.2.1", 32853)),
              {sample_ipv6, at("2001:db8:1234:5678:11:2233:4455:6677", 32853)}}) {
            const auto response = StunMessage::parse(packet);
            REQUIRE(response);
            CHECK(response->is(StunClass::success, StunMethod::binding));
            CHECK(response->address(StunAttribute::xor_mapped_address) == address);
            CHECK(response->authenticated(sample_password));
        }
    }

    TEST_CASE("what is written is read") {
        for (const auto method :
             {StunMethod::binding, StunMethod::allocate, StunMethod::data, StunMethod::channel_bind})
            for (const auto kind :
                 {StunClass::request, StunClass::indication, StunClass::success, StunClass::error}) {
                const auto transaction = random_transaction();
                const Packet packet =
                    StunWriter(kind, method, transaction)
                        .add(StunAttribute::realm, "r")
                        .add_long(StunAttribute::ice_controlling, 0x0123456789ABCDEF)
                        .add_address(StunAttribute::xor_peer_address, at("2001:db8::9", 9))
                        .add_address(StunAttribute::xor_mapped_address, at("203.0.113.255", 65535))
                        .finish_signed("secret");
                const auto message = StunMessage::parse(packet);
                REQUIRE(message);
                CHECK(message->is(kind, method));
                CHECK(message->transaction() == transaction);
                CHECK(message->text(StunAttribute::realm) == "r");
                CHECK(message->long_number(StunAttribute::ice_controlling) == 0x0123456789ABCDEF);
                CHECK(message->address(StunAttribute::xor_peer_address) == at("2001:db8::9", 9));
                CHECK(message->address(StunAttribute::xor_mapped_address) == at("203.0.113.255", 65535));
                CHECK(message->authenticated("secret"));
            }
        const auto request = StunMessage::parse(sample_request);
        const Packet refusal = StunWriter::error(*request, 487, "Role Conflict").finish();
        CHECK(StunMessage::parse(refusal)->error_code() == 487);
        CHECK(StunMessage::parse(refusal)->transaction() == request->transaction());
    }

    TEST_CASE("every truncation, extension and flipped bit is refused") {
        for (std::size_t size = 0; size < sample_request.size(); ++size)
            CHECK_FALSE(StunMessage::parse(Bytes(sample_request).first(size)));
        Packet longer = sample_request;
        longer.insert(longer.end(), 4, 0);
        CHECK_FALSE(StunMessage::parse(longer));
        int read = 0;
        for (std::size_t bit = 0; bit < sample_request.size() * 8; ++bit) {
            Packet flipped = sample_request;
            flipped[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
            // Where another type or length makes the FINGERPRINT something else, the message has none.
            const auto message = StunMessage::parse(flipped);
            if (message) CHECK_FALSE(message->has_fingerprint());
            read += message ? 1 : 0;
        }
        CHECK(read <= 17);
    }

    TEST_CASE("lengths that point past the end, and short values") {
        for (const std::uint16_t size : {5, 9, 0x7FFF, 0xFFFF}) {
            Packet packet = StunWriter(StunClass::request, StunMethod::binding, random_transaction())
                                .add(StunAttribute::username, "abcd")
                                .finish(false);
            packet[22] = static_cast<std::uint8_t>(size >> 8);
            packet[23] = static_cast<std::uint8_t>(size);
            CHECK_FALSE(StunMessage::parse(packet));
        }
        for (const auto type :
             {StunAttribute::error_code, StunAttribute::xor_mapped_address, StunAttribute::mapped_address,
              StunAttribute::priority, StunAttribute::ice_controlled})
            for (std::size_t size = 0; size < 24; ++size) {
                const Packet packet = StunWriter(StunClass::error, StunMethod::binding, random_transaction())
                                          .add(type, Bytes(Packet(size, 1)))
                                          .finish();
                const auto message = StunMessage::parse(packet);
                REQUIRE(message);
                CHECK((message->error_code() == 0 || size >= 4));
                CHECK(message->address(StunAttribute::xor_mapped_address).has_value() ==
                      (type == StunAttribute::xor_mapped_address && size == 8));
                CHECK((message->number(StunAttribute::priority).has_value() ==
                       (type == StunAttribute::priority && size == 4)));
            }
        StunWriter many(StunClass::request, StunMethod::binding, random_transaction());
        for (int n = 0; n < 100; ++n)
            many.add_flag(StunAttribute::use_candidate);
        CHECK_FALSE(StunMessage::parse(many.finish()));
    }

    TEST_CASE("what follows MESSAGE-INTEGRITY is not read") {
        StunWriter writer(StunClass::request, StunMethod::binding, random_transaction());
        const Packet packet = writer.add(StunAttribute::username, "a:b").finish_signed("secret", false);
        Packet extended = packet;
        const Packet addition = hex("0025 0000");
        extended.insert(extended.end(), addition.begin(), addition.end());
        extended[3] = static_cast<std::uint8_t>(extended.size() - stun_header_size);
        const auto message = StunMessage::parse(extended);
        REQUIRE(message);
        CHECK(message->authenticated("secret"));
        CHECK_FALSE(message->has(StunAttribute::use_candidate));
    }

} // TEST_SUITE

TEST_SUITE("ice") {

    TEST_CASE("candidates are read and written") {
        for (const char *text : {
                 "1 1 UDP 2130706431 192.0.2.1 4000 typ host",
                 "abc+/ 2 UDP 1694498815 203.0.113.5 5000 typ srflx raddr 192.0.2.1 rport 4000",
                 "3 1 UDP 16777215 2001:db8::5 5000 typ relay raddr 203.0.113.5 rport 5000",
             }) {
            const auto candidate = parse_candidate(text);
            REQUIRE(candidate);
            const std::string again = encode(*candidate);
            CHECK(std::string_view(text).starts_with(again));
        }
        CHECK(parse_candidate("1 1 udp 1 192.0.2.1 4000 TYP Host generation 0 network-id 1 network-cost 50"));
        for (const char *text : {
                 "",
                 "1 1 UDP 1 192.0.2.1 4000",
                 "1 1 UDP 1 192.0.2.1 4000 typ",
                 "1 1 UDP 1 192.0.2.1 4000 typ other",
                 "1 1 TCP 1 192.0.2.1 9 typ host tcptype active",
                 "1 1 UDP 1 6f1c5c8e-5f0c-4a55-8a6a-2f7a5a0c5e6f.local 4000 typ host",
                 "1 0 UDP 1 192.0.2.1 4000 typ host",
                 "1 3 UDP 1 192.0.2.1 4000 typ host",
                 "1 1 UDP 99999999999 192.0.2.1 4000 typ host",
                 "1 1 UDP 1 192.0.2.1 65536 typ host",
                 "1 1 UDP 1 192.0.2.1 0 typ host",
                 "1 1 UDP 1 0.0.0.0 4000 typ host",
                 "1 1 UDP 1 224.0.0.1 4000 typ host",
                 "1 1 UDP 1 255.255.255.255 4000 typ host",
                 "1 1 UDP 1 ff02::1 4000 typ host",
                 "1\r\n 1 UDP 1 192.0.2.1 4000 typ host",
             }) {
            CAPTURE(text);
            CHECK_FALSE(parse_candidate(text));
        }
        const auto named =
            parse_named_candidate("1 1 UDP 7 6f1c5c8e-5f0c-4a55-8a6a-2f7a5a0c5e6f.LOCAL 4000 typ host");
        REQUIRE(named);
        CHECK(named->host == "6f1c5c8e-5f0c-4a55-8a6a-2f7a5a0c5e6f.LOCAL");
        CHECK(named->port == 4000);
        CHECK(named->candidate.priority == 7);
        for (const char *host :
             {"192.0.2.1", "pbx.example.com", ".local", "-x.local", "x.local.", "a b.local", "x_y.local"})
            CHECK_FALSE(parse_named_candidate("1 1 UDP 7 " + std::string(host) + " 4000 typ host"));
        CHECK_FALSE(parse_named_candidate("1 1 UDP 7 x.local 0 typ host"));
        CHECK_FALSE(parse_named_candidate("1 1 UDP 7 " + std::string(200, 'x') + ".local 4000 typ host"));
        CHECK(ice_priority(IceCandidateType::host, 65535, 1) == 2130706431);
        CHECK(ice_priority(IceCandidateType::relayed, 65535, 2) == 16777214);
    }

    TEST_CASE("descriptions") {
        const std::string head = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n";
        const std::string keys = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n";
        const std::string line = "m=audio 5000 RTP/AVP 0\r\n";
        const auto read = [&](const std::string &text) {
            const Sdp sdp = Sdp::parse(text).value();
            return ice_description(sdp.media.at(0), sdp);
        };
        CHECK(read(head + keys + line)->credentials.ufrag == "abcd");
        CHECK(read(head + "a=ice-lite\r\n" + line + keys)->lite);
        CHECK_FALSE(read(head + line));
        CHECK_FALSE(read(head + line + "a=ice-ufrag:abc\r\na=ice-pwd:0123456789012345678901\r\n"));
        CHECK_FALSE(read(head + line + "a=ice-ufrag:abcd\r\na=ice-pwd:012345678901234567890\r\n"));
        CHECK_FALSE(read(head + line + "a=ice-ufrag:ab cd\r\na=ice-pwd:0123456789012345678901\r\n"));
        std::string many;
        for (int n = 0; n < 200; ++n)
            many += "a=candidate:1 1 UDP 1 192.0.2.1 4000 typ host\r\n";
        CHECK(read(head + line + keys + many)->candidates.size() == 64);
        const IceDescription own{IceCredentials::random(),
                                 {*parse_candidate("1 1 UDP 1 192.0.2.1 4000 typ host")}};
        SdpMedia media;
        add_attributes(media, own);
        const auto again = ice_description(media, Sdp{});
        REQUIRE(again);
        CHECK(again->credentials == own.credentials);
        CHECK(again->candidates.size() == 1);
    }

    TEST_CASE("ice-lite: what a check is answered") {
        const IceCredentials local{"local", "password-password-pass"};
        struct Row {
            Check check;
            unsigned code; // 0: success
            bool accepted;
        };
        constexpr unsigned silence = 1;
        for (const Row &row : {
                 Row{{"local:remote", local.password}, 0, true},
                 Row{{"local:other", local.password}, 401, false},
                 Row{{"locax:remote", local.password}, 401, false},
                 Row{{"local", local.password}, 401, false}, Row{{"local:remote", "wrong"}, 401, false},
                 Row{{"", local.password}, silence, false}, Row{{"local:remote", ""}, silence, false},
                 Row{{"local:remote", local.password, false}, 487, true},
                 Row{{"local:remote", local.password, true, true, 0x7777}, 420, false},
                 Row{{"local:remote", local.password, true, false, 0xC057},
                     0,
                     true}, // Chrome's goog-network-info
             }) {
            CAPTURE(row.check.user);
            IceLite agent(local);
            agent.set_remote("remote");
            const auto outcome = agent.received(at("192.0.2.5", 6000), row.check.packet(), start);
            CHECK(outcome.accepted == row.accepted);
            CHECK(outcome.reply.empty() == (row.code == silence));
            if (row.code == silence) continue;
            const auto reply = StunMessage::parse(outcome.reply);
            REQUIRE(reply);
            CHECK(reply->error_code() == row.code);
            CHECK_FALSE(agent.selected());
            if (row.code != 0) continue;
            CHECK(reply->address(StunAttribute::xor_mapped_address) == at("192.0.2.5", 6000));
            CHECK(reply->authenticated(local.password));
        }
    }

    TEST_CASE("ice-lite: nomination, moving, consent") {
        const IceCredentials local = IceCredentials::random();
        IceLite agent(local);
        agent.set_remote("remote");
        const auto home = at("192.0.2.5", 6000), lte = at("203.0.113.9", 7000);
        Check check{local.ufrag + ":remote", local.password};
        CHECK(agent.received(home, check.packet(), start).accepted);
        CHECK_FALSE(agent.selected());
        CHECK_FALSE(agent.consent_lost(start + Duration{60'000})); // nothing to lose yet
        check.use_candidate = true;
        CHECK(agent.received(home, check.packet(), start).moved);
        CHECK(agent.selected() == home);
        CHECK_FALSE(agent.received(home, check.packet(), start).moved);
        check.use_candidate = false;
        CHECK_FALSE(agent.received(lte, check.packet(), start).moved);
        check.use_candidate = true;
        CHECK(agent.received(lte, check.packet(), start + Duration{5'000}).moved);
        CHECK(agent.selected() == lte);
        CHECK_FALSE(agent.consent_lost(start + Duration{34'999}));
        CHECK(agent.consent_lost(start + Duration{35'000}));
        check.password = "wrong";
        (void)agent.received(lte, check.packet(), start + Duration{20'000});
        CHECK(agent.consent_lost(start + Duration{35'000}));

        SUBCASE("a restart keeps the pair until the new credentials nominate one") {
            const IceCredentials next = IceCredentials::random();
            agent.restart(next);
            Check old{local.ufrag + ":remote", local.password};
            CHECK(agent.received(lte, old.packet(), start + Duration{30'000}).accepted);
            CHECK(agent.selected() == lte);
            old.use_candidate = true;
            CHECK_FALSE(agent.received(home, old.packet(), start + Duration{30'000}).moved);
            const Check fresh{next.ufrag + ":again", next.password, true, true};
            CHECK(agent.received(home, fresh.packet(), start + Duration{31'000}).moved);
            CHECK(agent.selected() == home);
            CHECK_FALSE(agent.received(lte, old.packet(), start + Duration{32'000}).accepted);
        }
        SUBCASE("other datagrams are no checks") {
            for (const Packet &packet :
                 {Packet{}, Packet(20, 0), sample_ipv4,
                  StunWriter(StunClass::indication, StunMethod::binding, random_transaction()).finish(),
                  StunWriter(StunClass::request, StunMethod::allocate, random_transaction()).finish()}) {
                const auto outcome = agent.received(home, packet, start);
                CHECK(outcome.reply.empty());
                CHECK_FALSE(outcome.accepted);
            }
        }
    }

} // TEST_SUITE
