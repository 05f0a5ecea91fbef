#include <algorithm>

#include <doctest/doctest.h>

#include "media/tcp_framing.hpp"

using namespace offhook;
using namespace offhook::media;

namespace {

using Packet = std::vector<std::uint8_t>;

Packet packet(std::size_t size, std::uint8_t fill) {
    return Packet(size, fill);
}

Packet wire(const std::vector<Packet> &packets) {
    Packet out;
    for (const auto &one : packets) {
        out.push_back(static_cast<std::uint8_t>(one.size() >> 8U));
        out.push_back(static_cast<std::uint8_t>(one.size() & 0xFFU));
        out.insert(out.end(), one.begin(), one.end());
    }
    return out;
}

std::vector<Packet> feed(TcpDeframer &deframer, Bytes bytes) {
    std::vector<Packet> out;
    while (const auto next = deframer.next(bytes)) {
        out.emplace_back(next->begin(), next->end());
        std::ranges::fill(*next, std::uint8_t{0xEE}); // as whoever decrypts in place
    }
    CHECK(bytes.empty());
    return out;
}

} // namespace

TEST_SUITE("media tcp framing") {
    TEST_CASE("packets come out as they went in, wherever the stream is cut") {
        const std::vector<Packet> sent{
            packet(1, 1), packet(255, 2), packet(256, 3), packet(172, 4), packet(TcpDeframer::largest, 5),
            packet(20, 6)};
        const Packet bytes = wire(sent);
        for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
            TcpDeframer deframer;
            auto got = feed(deframer, Bytes(bytes).first(cut));
            const auto rest = feed(deframer, Bytes(bytes).subspan(cut));
            got.insert(got.end(), rest.begin(), rest.end());
            REQUIRE(got == sent);
        }
        TcpDeframer deframer;
        std::vector<Packet> got;
        for (const std::uint8_t byte : bytes)
            for (auto &one : feed(deframer, Bytes(&byte, 1)))
                got.push_back(std::move(one));
        CHECK(got == sent);
        CHECK(deframer.skipped() == 0);
    }

    TEST_CASE("too large packets are skipped, empty ones mean nothing, and the next ones are right") {
        const Packet bytes = wire(
            {packet(3, 1), packet(TcpDeframer::largest + 1, 2), {}, packet(65'535, 3), {}, packet(4, 4)});
        for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1'000}, bytes.size()}) {
            TcpDeframer deframer;
            std::vector<Packet> got;
            for (std::size_t from = 0; from < bytes.size(); from += piece)
                for (auto &one :
                     feed(deframer, Bytes(bytes).subspan(from, std::min(piece, bytes.size() - from))))
                    got.push_back(std::move(one));
            CHECK(got == std::vector<Packet>{packet(3, 1), packet(4, 4)});
            CHECK(deframer.skipped() == 2);
        }
    }

    TEST_CASE("a packet has room behind it") {
        TcpDeframer deframer;
        const Packet bytes = wire({packet(TcpDeframer::largest, 1)});
        Bytes rest(bytes);
        const auto got = deframer.next(rest);
        REQUIRE(got);
        std::ranges::fill(std::span(got->data(), got->size() + TcpDeframer::tail_room), std::uint8_t{7});
    }

    TEST_CASE("a peer that does not read loses whole packets, and memory stays what it was") {
        TcpSendQueue queue(1'000);
        int taken = 0;
        while (queue.push(packet(98, static_cast<std::uint8_t>(taken))))
            ++taken;
        CHECK(taken == 10);
        CHECK(queue.waiting().size() == 1'000);
        queue.sent(150); // one and a half
        CHECK(queue.push(packet(98, 10)));
        CHECK_FALSE(queue.push(packet(98, 11)));
        CHECK_FALSE(queue.push(packet(70'000, 1)));
        TcpDeframer deframer;
        TcpSendQueue whole(100'000);
        CHECK_FALSE(whole.push(packet(65'536, 1)));
        CHECK(whole.push(packet(65'535, 1)));
        // What is left is still a row of packets behind the half one.
        const auto rest = feed(deframer, queue.waiting().subspan(50));
        REQUIRE(rest.size() == 9);
        CHECK(rest.front() == packet(98, 2));
        CHECK(rest.back() == packet(98, 10));
        for (int i = 0; i < 1'000; ++i) {
            queue.sent(37);
            (void)queue.push(packet(35, 1));
            REQUIRE(queue.waiting().size() <= 1'000);
        }
        queue.sent(queue.waiting().size());
        CHECK(queue.waiting().empty());
    }
}
