#include <cstring>

#include <doctest/doctest.h>

#include "sip/capture.hpp"
#include "sip/capture_file.hpp"
#include "sip/ip_packet.hpp"
#include "sip/ladder_formats.hpp"
#include "sip/tcp_stream.hpp"
#include "sip/trace.hpp"

using namespace offhook;
using namespace offhook::sip;

namespace {

std::string big_endian(std::size_t bytes, std::uint64_t value) {
    std::string out;
    for (std::size_t i = bytes; i > 0; --i)
        out += static_cast<char>(value >> (i - 1) * 8U & 0xffU);
    return out;
}

std::string little_endian(std::size_t bytes, std::uint64_t value) {
    auto out = big_endian(bytes, value);
    return {out.rbegin(), out.rend()};
}

std::string number(bool big, std::size_t bytes, std::uint64_t value) {
    return big ? big_endian(bytes, value) : little_endian(bytes, value);
}

const std::string options =
    "OPTIONS sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
    "From: <sip:a@192.0.2.1>;tag=1\r\nTo: <sip:b@192.0.2.2>\r\nCall-ID: c1\r\n"
    "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

std::string udp(std::string_view payload) {
    return big_endian(2, 5070) + big_endian(2, 5060) + big_endian(2, 8 + payload.size()) + big_endian(2, 0) +
           std::string(payload);
}

std::string tcp(std::string_view payload, std::uint32_t sequence, unsigned flags = 0x10) {
    return big_endian(2, 5070) + big_endian(2, 5060) + big_endian(4, sequence) + big_endian(4, 0) +
           big_endian(1, 0x50) + big_endian(1, flags) + big_endian(6, 0) + std::string(payload);
}

std::string ipv4(std::string_view payload, unsigned protocol = 17, unsigned id = 7, unsigned fragment = 0) {
    return big_endian(2, 0x4500) + big_endian(2, 20 + payload.size()) + big_endian(2, id) +
           big_endian(2, fragment) + big_endian(1, 64) + big_endian(1, protocol) + big_endian(2, 0) +
           big_endian(4, 0xc0000201) + big_endian(4, 0xc0000202) + std::string(payload);
}

std::string ipv6(std::string_view payload, unsigned next = 17) {
    const std::string from = big_endian(4, 0x20010db8) + big_endian(8, 0) + big_endian(4, 1),
                      to = big_endian(4, 0x20010db8) + big_endian(8, 0) + big_endian(4, 2);
    return big_endian(4, 0x60000000) + big_endian(2, payload.size()) + big_endian(1, next) +
           big_endian(1, 64) + from + to + std::string(payload);
}

std::string ethernet(const std::string &ip, unsigned type = 0x0800) {
    return std::string(12, '\1') + big_endian(2, type) + ip;
}

std::string pcap(const std::vector<std::string> &frames, unsigned link, bool big = false, bool nano = false) {
    std::string file = number(big, 4, nano ? 0xa1b23c4d : 0xa1b2c3d4) + number(big, 2, 2) +
                       number(big, 2, 4) + number(big, 8, 0) + number(big, 4, 65535) + number(big, 4, link);
    for (const auto &frame : frames)
        file += number(big, 4, 1'700'000'000) + number(big, 4, nano ? 250'000'000 : 250'000) +
                number(big, 4, frame.size()) + number(big, 4, frame.size()) + frame;
    return file;
}

std::string block(bool big, std::uint32_t type, std::string body) {
    body.resize((body.size() + 3) / 4 * 4);
    return number(big, 4, type) + number(big, 4, body.size() + 12) + body + number(big, 4, body.size() + 12);
}

std::string pcapng(const std::vector<std::string> &frames, unsigned link, bool big = false) {
    std::string file =
        block(big, 0x0a0d0d0a,
              number(big, 4, 0x1a2b3c4d) + number(big, 2, 1) + number(big, 2, 0) + std::string(8, '\xff'));
    // if_tsresol 9: nanoseconds
    file += block(big, 1,
                  number(big, 2, link) + number(big, 2, 0) + number(big, 4, 0) + number(big, 2, 9) +
                      number(big, 2, 1) + std::string("\x09\0\0\0", 4) + number(big, 4, 0));
    const std::uint64_t ticks = 1'700'000'000'250'000'000;
    for (const auto &frame : frames)
        file += block(big, 6,
                      number(big, 4, 0) + number(big, 4, ticks >> 32U) + number(big, 4, ticks & 0xffffffffU) +
                          number(big, 4, frame.size()) + number(big, 4, frame.size()) + frame);
    return file;
}

std::vector<CapturedMessage> messages_of(const std::string &file, CaptureReport *told = nullptr) {
    std::vector<CapturedMessage> out;
    CaptureSink sink;
    sink.message = [&out](CapturedMessage message) { out.push_back(std::move(message)); };
    const auto report = read_capture(file, sink);
    if (told != nullptr && report) *told = *report;
    return out;
}

std::vector<std::string> through_tcp(const std::vector<std::pair<std::uint32_t, std::string>> &segments) {
    std::vector<std::string> out;
    TcpStream stream;
    const auto message = [&out](std::string bytes) { out.push_back(std::move(bytes)); };
    for (const auto &[sequence, payload] : segments) {
        TcpSegment segment;
        segment.sequence = sequence;
        segment.payload = payload;
        stream.add(segment, message);
    }
    stream.flush(message);
    return out;
}

} // namespace

TEST_SUITE("capture") {
    TEST_CASE("every form of file and link gives the same message") {
        const auto v4 = ipv4(udp(options)), v6 = ipv6(udp(options));
        struct Row {
            const char *what;
            std::string file;
        };
        const std::string cooked = std::string(14, '\0') + big_endian(2, 0x0800) + v4;
        const std::string cooked2 = big_endian(2, 0x86dd) + std::string(18, '\0') + v6;
        const std::string vlan = ethernet(big_endian(2, 42) + big_endian(2, 0x0800) + v4, 0x8100);
        const std::string pppoe =
            ethernet(big_endian(2, 0x1100) + big_endian(4, 1) + big_endian(2, 0x0021) + v4, 0x8864);
        const Row rows[] = {
            {"raw", pcap({v4}, 101)},
            {"big endian", pcap({v4}, 101, true)},
            {"nanoseconds", pcap({v4}, 101, true, true)},
            {"raw IPv6", pcap({v6}, 101)},
            {"Ethernet", pcap({ethernet(v4)}, 1)},
            {"Ethernet IPv6", pcap({ethernet(v6, 0x86dd)}, 1)},
            {"VLAN", pcap({vlan}, 1)},
            {"PPPoE", pcap({pppoe}, 1)},
            {"loopback", pcap({little_endian(4, 2) + v4}, 0)},
            {"OpenBSD loopback", pcap({big_endian(4, 24) + v6}, 108)},
            {"cooked", pcap({cooked}, 113)},
            {"cooked 2", pcap({cooked2}, 276)},
            {"pcapng", pcapng({ethernet(v4)}, 1)},
            {"pcapng big endian", pcapng({ethernet(v4)}, 1, true)},
            {"destination options",
             pcap({ipv6(big_endian(1, 17) + big_endian(1, 0) + std::string(6, '\0') + udp(options), 60)},
                  101)},
            {"total length 0", pcap({ipv4(udp(options)).replace(2, 2, 2, '\0')}, 101)},
        };
        for (const auto &row : rows) {
            CAPTURE(row.what);
            CaptureReport report;
            const auto messages = messages_of(row.file, &report);
            REQUIRE(messages.size() == 1);
            CHECK(messages[0].bytes == options);
            CHECK(messages[0].from.port() == 5070);
            CHECK(messages[0].to.port() == 5060);
            CHECK(format_utc(messages[0].time) == "2023-11-14T22:13:20.250Z");
            CHECK(report.packets == 1);
            CHECK(report.warnings.empty());
        }
    }

    TEST_CASE("a file cut at any length, or with any byte changed, ends and is told of") {
        const std::vector<std::string> frames{ethernet(ipv4(udp(options))),
                                              ethernet(ipv6(udp(options), 17), 0x86dd),
                                              ethernet(ipv4(tcp(options, 9), 6))};
        for (const auto &file : {pcap(frames, 1), pcapng(frames, 1), pcapng(frames, 1, true)}) {
            REQUIRE(messages_of(file).size() == 3);
            for (std::size_t size = 0; size < file.size(); ++size) {
                CaptureReport report;
                CHECK(messages_of(file.substr(0, size), &report).size() < 3);
            }
            for (std::size_t at = 0; at < file.size(); ++at)
                for (const unsigned change : {0x01U, 0x80U, 0xffU}) {
                    std::string broken = file;
                    broken[at] = static_cast<char>(static_cast<unsigned char>(broken[at]) ^ change);
                    CHECK(messages_of(broken).size() <= 3);
                }
        }
        CaptureReport report;
        (void)messages_of(pcap(frames, 1).substr(0, 60), &report);
        REQUIRE(report.warnings.size() == 1);
        CHECK(report.warnings[0] == "the file is cut off at byte 24");
    }

    TEST_CASE("what is no capture is refused in one line") {
        CHECK(read_capture("", {}).error().what.find("expected pcap, pcapng, or what --trace wrote") !=
              std::string::npos);
        CHECK(read_capture("\xd4\xc3\xb2\xa1 too short", {}).error().what ==
              "the capture file ends within its header");
        CaptureReport report;
        CHECK(messages_of(pcap({"x"}, 105), &report).empty());
        REQUIRE(report.warnings.size() == 1);
        CHECK(report.warnings[0].find("link type 105") != std::string::npos);
    }

    TEST_CASE("fragments in any order become one datagram") {
        const std::string whole = udp(options + std::string(5000, 'x'));
        std::vector<std::string> parts;
        for (std::size_t at = 0; at < whole.size(); at += 1480) {
            const bool more = at + 1480 < whole.size();
            parts.push_back(
                ipv4(whole.substr(at, 1480), 17, 99, static_cast<unsigned>(at / 8) | (more ? 0x2000U : 0U)));
        }
        REQUIRE(parts.size() == 4);
        for (const auto &order : {std::vector<int>{0, 1, 2, 3}, {3, 2, 1, 0}, {2, 0, 0, 3, 1}}) {
            std::vector<std::string> frames;
            for (const int index : order)
                frames.push_back(parts[static_cast<std::size_t>(index)]);
            const auto messages = messages_of(pcap(frames, 101));
            REQUIRE(messages.size() == 1);
            CHECK(messages[0].bytes.size() == options.size() + 5000);
        }
        CHECK(messages_of(pcap({parts[0], parts[1], parts[3]}, 101)).empty());
        // Offsets beyond any packet, and a flood of beginnings.
        std::vector<std::string> flood{ipv4(std::string(1480, 'x'), 17, 1, 0x1fff)};
        for (unsigned id = 0; id < 2000; ++id)
            flood.push_back(ipv4(std::string(64, 'x'), 17, id, 0x2000));
        CHECK(messages_of(pcap(flood, 101)).empty());
    }

    TEST_CASE("TCP segments: pieces, repetitions, any order, gaps, wrapping numbers") {
        const std::string two = options + options;
        CHECK(through_tcp({{100, two}}) == std::vector<std::string>{options, options});
        for (std::size_t cut = 1; cut < options.size(); ++cut) {
            CAPTURE(cut);
            const auto first = options.substr(0, cut), second = options.substr(cut);
            const auto next = static_cast<std::uint32_t>(100 + cut);
            CHECK(through_tcp({{100, first}, {next, second}}).size() == 1);
            CHECK(through_tcp({{100, first}, {100, options}, {next, second}}).size() == 1);
            CHECK(through_tcp(
                      {{100, "\r\n\r\n"}, {104 + static_cast<std::uint32_t>(cut), second}, {104, first}})
                      .size() == 1);
        }
        const std::uint32_t late = 0xfffffff0U;
        CHECK(through_tcp({{late, options.substr(0, 40)}, {late + 40, options.substr(40)}}).size() == 1);
        // The middle was not captured: what follows is found again.
        const auto size = static_cast<std::uint32_t>(options.size());
        CHECK(through_tcp({{100, options.substr(0, 50)}, {100 + 5 * size, options}}).size() == 1);
        CHECK(through_tcp({{100, "\x16\x03\x01 not ours"}, {113, "junk"}}).empty());
        std::vector<std::pair<std::uint32_t, std::string>> early;
        for (std::uint32_t i = 0; i < 3000; ++i)
            early.emplace_back(1'000'000 + i * 1000, std::string(900, 'x'));
        CHECK(through_tcp(early).empty());
    }

    TEST_CASE(
        "TCP in a file: both ways of a connection, a second connection by the same ports, TLS told of") {
        const std::string ok = "SIP/2.0 200 OK\r\nCall-ID: c1\r\nContent-Length: 0\r\n\r\n";
        const auto messages = messages_of(pcap({ipv4(tcp("", 99, 0x02), 6), ipv4(tcp(options, 100), 6),
                                                ipv4(tcp("", 5000, 0x02), 6), ipv4(tcp(ok, 5001), 6)},
                                               101));
        REQUIRE(messages.size() == 2);
        CHECK(messages[0].kind == TransportKind::tcp);
        CHECK(messages[1].bytes == ok);
        CaptureReport report;
        CHECK(messages_of(pcap({ipv4(tcp("\x16\x03\x01\x02", 1), 6)}, 101), &report).empty());
        REQUIRE(report.warnings.size() == 1);
        CHECK(report.warnings[0].find("TLS") != std::string::npos);
    }

    TEST_CASE("a trace file gives back what was traced, and a title within a body is none") {
        Flow flow;
        flow.kind = TransportKind::tls;
        flow.local = *Address::parse("192.0.2.1", 5061);
        flow.remote = *Address::parse("2001:db8::7", 40000);
        const auto when = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'123));
        const std::string body =
            "--- 2026-11-22T05:13:00.123Z sent udp:1.1.1.1:1 -> 2.2.2.2:2, 9 bytes\r\nbye\x1b[31m";
        const std::string message =
            "MESSAGE sip:b@x SIP/2.0\r\nCall-ID: c9\r\nContent-Length: " + std::to_string(body.size()) +
            "\r\n\r\n" + body;
        const std::string file = "ringing…\n" + format_trace(flow, true, message, when) +
                                 "answered after 1 s\n" +
                                 format_trace(flow, false, options, when + std::chrono::milliseconds(7));
        const auto messages = messages_of(file);
        REQUIRE(messages.size() == 2);
        CHECK(messages[0].kind == TransportKind::tls);
        CHECK(messages[0].from == flow.local);
        CHECK(messages[0].to == flow.remote);
        CHECK(messages[0].time == when);
        CHECK(messages[0].bytes.starts_with("MESSAGE sip:b@x SIP/2.0\r\nCall-ID: c9\r\n"));
        CHECK(messages[1].from == flow.remote);
        CHECK(messages[1].bytes == options);
        for (std::size_t size = 0; size < file.size(); ++size)
            CHECK(messages_of(file.substr(0, size)).size() <= 2);
    }

    TEST_CASE("what looks like SIP") {
        for (const char *good : {"SIP/2.0 200 OK\r\n", "\r\n\r\nINVITE sip:b@x SIP/2.0\r\n",
                                 "OPTIONS sip:x SIP/7.0\r\n", "NEW'METHOD  sip:x SIP/2.0 \r\n"})
            CHECK_MESSAGE(looks_like_sip(good), good);
        for (const char *bad :
             {"", "\r\n\r\n", "GET / HTTP/1.1\r\n", "SIP/2.0", "INVITE", " INVITE sip:x SIP/2.0"})
            CHECK_FALSE_MESSAGE(looks_like_sip(bad), bad);
    }

    TEST_CASE("flows for documents hold no markup of the messages") {
        const std::chrono::system_clock::time_point start{};
        const std::vector<LadderEntry> entries{
            {start, "192.0.2.1:5060", "a|b<i>", "INVITE sip:*b*@x;y=1"},
            {start + std::chrono::milliseconds(1500), "a|b<i>", "192.0.2.1:5060", "200 OK\x1b\n; end"}};
        CHECK(format_markdown(entries) ==
              "| Time (s) | From | To | Message |\n|---:|---|---|---|\n"
              "| 0.000 | 192.0.2.1:5060 | a\\|b&lt;i\\> | INVITE sip:\\*b\\*@x;y=1 |\n"
              "| 1.500 | a\\|b&lt;i\\> | 192.0.2.1:5060 | 200 OK??; end |\n");
        CHECK(format_mermaid(entries) == "sequenceDiagram\n"
                                         "    participant P1 as 192.0.2.1:5060\n"
                                         "    participant P2 as a#124;b#60;i#62;\n"
                                         "    P1->>P2: INVITE sip:*b*@x#59;y=1\n"
                                         "    P2->>P1: 200 OK??#59; end\n");
        CHECK(format_markdown({}).empty());
        CHECK(format_mermaid({}).empty());
    }
}
