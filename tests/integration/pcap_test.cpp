// A capture file must be one to tools that know the format, so tshark judges it where it is installed.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <doctest/doctest.h>
#include <unistd.h>

#include "sip/trace.hpp"
#include "tests/support/certificate.hpp"

using namespace offhook;
using namespace offhook::sip;

namespace {

const std::string options =
    "OPTIONS sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/TLS 192.0.2.1;branch=z9hG4bK1\r\n"
    "From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

Address ip(const char *text, std::uint16_t port) {
    return Address::parse(text, port).value();
}

void write_all_kinds(const std::string &path) {
    auto writer = PcapWriter::open(path).value();
    const std::chrono::system_clock::time_point when(std::chrono::seconds(1'700'000'000));
    writer->write_sip({TransportKind::udp, ip("192.0.2.1", 5060), ip("192.0.2.2", 5070), 0}, true, options,
                      when);
    writer->write_sip({TransportKind::tls, ip("2001:db8::1", 40000), ip("2001:db8::2", 50001), 7}, false,
                      options, when);
    const std::string rtp =
        std::string("\x80\x00\x00\x01\x00\x00\x00\xa0\x00\x00\x00\x07", 12) + std::string(160, '\x55');
    writer->write_datagram(ip("192.0.2.1", 40000), ip("192.0.2.2", 40002), rtp, when);
    writer->write_sip({TransportKind::tcp, ip("192.0.2.1", 40000), ip("192.0.2.2", 5060), 7}, true,
                      options + std::string(70000, 'x'), when);
    CHECK_FALSE(writer->failed());
}

std::string output_of(const std::string &command) {
    std::string output;
    std::FILE *pipe = popen(command.c_str(), "r"); // NOLINT(cert-env33-c): a fixed command of the test's own
    REQUIRE(pipe != nullptr);
    char buffer[4096];
    for (std::size_t size = 0; (size = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
        output.append(buffer, size);
    pclose(pipe);
    return output;
}

} // namespace

TEST_SUITE("trace") {

    TEST_CASE("a capture file holds whole packets behind a libpcap header") {
        const test::TemporaryFile file("");
        write_all_kinds(file.path());
        std::ifstream in(file.path(), std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(in), {}};
        REQUIRE(bytes.size() > 24);
        const auto u32 = [&](std::size_t at) {
            std::uint32_t value = 0;
            std::copy_n(bytes.data() + at, sizeof value, reinterpret_cast<char *>(&value));
            return value;
        };
        CHECK(u32(0) == 0xa1b2c3d4);
        CHECK(u32(20) == 101);
        std::size_t at = 24, packets = 0;
        for (; at + 16 <= bytes.size(); ++packets) {
            CHECK(u32(at) == 1'700'000'000);
            CHECK(u32(at + 8) <= 65535);
            CHECK(u32(at + 12) >= u32(at + 8));
            at += 16 + u32(at + 8);
        }
        CHECK(at == bytes.size());
        CHECK(packets == 4);
    }

    TEST_CASE("tshark reads SIP and RTP from a capture file") {
        if (access("/usr/bin/tshark", X_OK) != 0) return;
        const test::TemporaryFile file("");
        write_all_kinds(file.path());
        const std::string rows =
            output_of("tshark -n -r " + file.path() +
                      " -d udp.port==40002,rtp -o udp.check_checksum:TRUE -o ip.check_checksum:TRUE"
                      " -T fields -e _ws.col.Protocol -e udp.checksum.status -e sip.Method"
                      " -e rtp.ssrc -E separator=, 2>/dev/null");
        INFO(rows);
        CHECK(rows.starts_with("SIP,1,OPTIONS,\nSIP,1,OPTIONS,\nRTP,1,,0x00000007\nSIP,"));
    }

} // TEST_SUITE
