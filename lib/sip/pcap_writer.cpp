// The packets of a capture file: libpcap's format of 1998, link type RAW (101): IP headers come first.
#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include "sip/trace.hpp"

namespace offhook::sip {

namespace {

constexpr std::uint32_t magic = 0xa1b2c3d4; // microseconds
constexpr std::uint32_t snapshot_length = 262144;
constexpr std::uint32_t link_raw = 101;
constexpr std::size_t udp_header = 8, ipv4_header = 20, ipv6_header = 40;
constexpr std::size_t ip_at_most = 65535;
constexpr std::uint16_t sip_port = 5060;

class Packet { // big-endian
public:
    void u8(unsigned value) { bytes_ += static_cast<char>(value); }
    void u16(std::size_t value) {
        u8(static_cast<unsigned>(value >> 8U) & 0xffU);
        u8(static_cast<unsigned>(value) & 0xffU);
    }
    void u32(std::uint32_t value) {
        u16(value >> 16U);
        u16(value & 0xffffU);
    }
    void append(std::string_view bytes) { bytes_ += bytes; }
    void set16(std::size_t at, std::uint16_t value) {
        bytes_[at] = static_cast<char>(value >> 8U);
        bytes_[at + 1] = static_cast<char>(value & 0xffU);
    }
    [[nodiscard]] const std::string &bytes() const { return bytes_; }

private:
    std::string bytes_;
};

std::uint32_t sum_words(std::string_view bytes, std::uint32_t sum = 0) {
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
        const auto high = static_cast<unsigned char>(bytes[i]);
        const auto low = i + 1 < bytes.size() ? static_cast<unsigned char>(bytes[i + 1]) : 0U;
        sum += static_cast<std::uint32_t>(high << 8U | low);
        sum = (sum & 0xffffU) + (sum >> 16U);
    }
    return sum;
}

std::string_view address_bytes(const Address &address) {
    const struct sa &raw = address.raw();
    if (address.family() == AF_INET6)
        return {reinterpret_cast<const char *>(&raw.u.in6.sin6_addr), sizeof raw.u.in6.sin6_addr};
    return {reinterpret_cast<const char *>(&raw.u.in.sin_addr), sizeof raw.u.in.sin_addr};
}

// `length` of UDP header and payload. Checksum per RFC 768, mandatory over IPv6.
std::string udp_packet(const Address &from, const Address &to, std::string_view payload) {
    const std::size_t length = udp_header + payload.size();
    Packet udp;
    udp.u16(from.port());
    udp.u16(to.port());
    udp.u16(length);
    udp.u16(0);
    udp.append(payload);
    std::uint32_t sum = sum_words(address_bytes(from));
    sum = sum_words(address_bytes(to), sum);
    sum = sum_words(udp.bytes(), sum + IPPROTO_UDP + static_cast<std::uint32_t>(length));
    sum = (sum & 0xffffU) + (sum >> 16U);
    const auto checksum = static_cast<std::uint16_t>(~sum & 0xffffU);
    udp.set16(6, checksum == 0 ? 0xffff : checksum);
    return udp.bytes();
}

std::string ipv4_packet(const Address &from, const Address &to, const std::string &udp) {
    Packet ip;
    ip.u16(0x4500);
    ip.u16(ipv4_header + udp.size());
    ip.u32(0x00004000); // id 0, do not fragment
    ip.u16(0x4011);     // TTL 64, UDP
    ip.u16(0);
    ip.append(address_bytes(from));
    ip.append(address_bytes(to));
    ip.set16(10, static_cast<std::uint16_t>(~sum_words(ip.bytes()) & 0xffffU));
    ip.append(udp);
    return ip.bytes();
}

std::string ipv6_packet(const Address &from, const Address &to, const std::string &udp) {
    Packet ip;
    ip.u32(0x60000000);
    ip.u16(udp.size());
    ip.u16(0x1140); // UDP, hop limit 64
    ip.append(address_bytes(from));
    ip.append(address_bytes(to));
    ip.append(udp);
    return ip.bytes();
}

template <class... Values>
std::string native(Values... values) { // the reader learns our byte order from the magic number
    std::string bytes;
    (bytes.append(reinterpret_cast<const char *>(&values), sizeof values), ...);
    return bytes;
}

} // namespace

Result<std::unique_ptr<PcapWriter>> PcapWriter::open(const std::string &path) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
    std::FILE *file = fd < 0 ? nullptr : fdopen(fd, "wb");
    if (file == nullptr) return fail_errno(Errc::config, errno, "write the capture file " + path);
    std::unique_ptr<PcapWriter> writer(new PcapWriter(file));
    writer->put(native(magic, std::uint16_t{2}, std::uint16_t{4}, std::int32_t{0}, std::uint32_t{0},
                       snapshot_length, link_raw));
    return writer;
}

void PcapWriter::put(std::string_view bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) failed_ = true;
}

void PcapWriter::flush() {
    if (std::fflush(file_.get()) != 0) failed_ = true;
}

void PcapWriter::write_sip(const Flow &flow, bool sent, std::string_view bytes, Time when) {
    const Address local = flow.kind == TransportKind::udp ? flow.local : flow.local.with_port(sip_port);
    write_datagram(sent ? local : flow.remote, sent ? flow.remote : local, bytes, when);
    flush(); // signalling is rare, and the file should be whole when the program is killed
}

void PcapWriter::write_datagram(const Address &from, const Address &to, std::string_view bytes, Time when) {
    const bool v6 = from.family() == AF_INET6;
    if (from.family() != to.family() || (!v6 && from.family() != AF_INET)) return;
    const std::size_t headers = (v6 ? ipv6_header : ipv4_header) + udp_header;
    const std::string_view shown = bytes.substr(0, ip_at_most - ipv4_header - udp_header);
    const std::string udp = udp_packet(from, to, shown);
    const std::string packet = v6 ? ipv6_packet(from, to, udp) : ipv4_packet(from, to, udp);
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(when.time_since_epoch()).count();
    put(native(static_cast<std::uint32_t>(us / 1'000'000), static_cast<std::uint32_t>(us % 1'000'000),
               static_cast<std::uint32_t>(packet.size()),
               static_cast<std::uint32_t>(headers + bytes.size())));
    put(packet);
}

} // namespace offhook::sip
