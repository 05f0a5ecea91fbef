// A DNS server on the loopback with canned answers.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.hpp"
#include "sip/udp_socket.hpp"

namespace offhook::test {

class DnsServer final : private sip::UdpSocket::Listener {
public:
    explicit DnsServer(Loop &loop);

    [[nodiscard]] const Address &address() const { return socket_->address(); }
    void add_a(const std::string &name, const std::string &ip);
    void add_aaaa(const std::string &name, const std::string &ip);
    void add_srv(const std::string &name, int priority, int weight, int port, const std::string &target);
    void add_naptr(const std::string &name, int order, int preference, const std::string &flags,
                   const std::string &service, const std::string &replacement);
    void fall_silent() { silent_ = true; }
    [[nodiscard]] const std::vector<std::string> &asked() const {
        return asked_;
    } // "SRV _sip._udp.example.com"

private:
    void on_datagram(sip::UdpSocket &socket, std::string_view bytes, const Address &local,
                     const Address &remote) override;
    void on_unreachable(sip::UdpSocket &, const Address &, int) override {}
    void add(const std::string &name, int type, std::string data);

    std::unique_ptr<sip::UdpSocket> socket_;
    std::map<std::pair<std::string, int>, std::vector<std::string>> records_; // name, type → rdata
    std::vector<std::string> asked_;
    bool silent_ = false;
};

} // namespace offhook::test
