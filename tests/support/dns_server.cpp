#include "tests/support/dns_server.hpp"

namespace offhook::test {

namespace {

constexpr int type_a = 1, type_aaaa = 28, type_srv = 33, type_naptr = 35;
constexpr std::size_t header_size = 12;

std::string u16(int value) {
    return {static_cast<char>((value >> 8) & 0xff), static_cast<char>(value & 0xff)};
}

std::string counted(const std::string &text) {
    return static_cast<char>(text.size()) + text;
}

std::string wire_name(const std::string &name) {
    std::string wire;
    for (std::size_t at = 0; at < name.size();) {
        const std::size_t dot = std::min(name.find('.', at), name.size());
        wire += counted(name.substr(at, dot - at));
        at = dot + 1;
    }
    return wire + '\0';
}

std::string address_bytes(const std::string &ip) {
    const Address address = Address::parse(ip).value();
    const struct sa &raw = address.raw();
    if (address.family() == AF_INET6) return {reinterpret_cast<const char *>(&raw.u.in6.sin6_addr), 16};
    return {reinterpret_cast<const char *>(&raw.u.in.sin_addr), 4};
}

std::string type_name(int type) {
    switch (type) {
    case type_a:
        return "A";
    case type_aaaa:
        return "AAAA";
    case type_srv:
        return "SRV";
    case type_naptr:
        return "NAPTR";
    default:
        return std::to_string(type);
    }
}

} // namespace

DnsServer::DnsServer(Loop &loop)
    : socket_(sip::UdpSocket::open(loop, Address::parse("127.0.0.1").value(), *this).value()) {}

void DnsServer::add(const std::string &name, int type, std::string data) {
    records_[{name, type}].push_back(std::move(data));
}

void DnsServer::add_a(const std::string &name, const std::string &ip) {
    add(name, type_a, address_bytes(ip));
}

void DnsServer::add_aaaa(const std::string &name, const std::string &ip) {
    add(name, type_aaaa, address_bytes(ip));
}

void DnsServer::add_srv(const std::string &name, int priority, int weight, int port,
                        const std::string &target) {
    add(name, type_srv, u16(priority) + u16(weight) + u16(port) + wire_name(target));
}

void DnsServer::add_naptr(const std::string &name, int order, int preference, const std::string &flags,
                          const std::string &service, const std::string &replacement) {
    add(name, type_naptr,
        u16(order) + u16(preference) + counted(flags) + counted(service) + counted("") +
            wire_name(replacement));
}

void DnsServer::on_datagram(sip::UdpSocket &socket, std::string_view bytes, const Address &local,
                            const Address &remote) {
    std::string name;
    std::size_t at = header_size;
    while (at < bytes.size() && bytes[at] != 0) {
        const auto length = static_cast<std::size_t>(bytes[at]);
        name += (name.empty() ? "" : ".") + std::string(bytes.substr(at + 1, length));
        at += length + 1;
    }
    if (at + 5 > bytes.size()) return;
    const int type =
        static_cast<unsigned char>(bytes[at + 1]) << 8 | static_cast<unsigned char>(bytes[at + 2]);
    asked_.push_back(type_name(type) + " " + name);
    if (silent_) return;
    const auto found = records_.find({name, type});
    const int count = found == records_.end() ? 0 : static_cast<int>(found->second.size());
    std::string answer = std::string(bytes.substr(0, 2)) + u16(count > 0 ? 0x8180 : 0x8183) + u16(1) +
                         u16(count) + u16(0) + u16(0) +
                         std::string(bytes.substr(header_size, at + 5 - header_size));
    for (int i = 0; i < count; ++i) {
        const std::string &data = found->second[static_cast<std::size_t>(i)];
        answer +=
            u16(0xc00c) + u16(type) + u16(1) + u16(0) + u16(60) + u16(static_cast<int>(data.size())) + data;
    }
    (void)socket.send(local, remote, answer);
}

} // namespace offhook::test
