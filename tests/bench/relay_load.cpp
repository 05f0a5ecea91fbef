// Voice through a relay: one-way G.711 flows of 50 packets a second from sockets A to sockets B, evenly
// paced. Also the floor: a loop that receives and sends and does nothing else. load: prints the ports of A
// and B of each flow, reads where each A is to send, sends, counts what B gets and how late. floor: reads
// where each flow ends, prints where it begins, forwards until killed.
#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <iostream>
#include <memory>

#include <sys/epoll.h>
#include <sys/resource.h>

#include "peer.hpp"

namespace peer {

namespace {

constexpr Microseconds frame = 20'000;
using Packet = std::array<char, 172>;

Packet packet_of(std::uint32_t flow, std::uint16_t sequence) {
    Packet packet{'\x80', '\0'};
    const std::uint16_t number = htons(sequence);
    const std::uint32_t fields[2] = {htonl(std::uint32_t{sequence} * 160), htonl(flow + 1)};
    std::memcpy(packet.data() + 2, &number, sizeof number);
    std::memcpy(packet.data() + 4, fields, sizeof fields);
    return packet;
}

class Epoll {
public:
    void add(int fd, std::size_t index) const {
        epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
        (void)epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event);
    }
    template <class Ready>
    int wait(int milliseconds, Ready &&ready) {
        std::array<epoll_event, 64> events{};
        const int count = epoll_wait(fd_, events.data(), events.size(), milliseconds);
        for (int i = 0; i < count; ++i)
            ready(events[static_cast<std::size_t>(i)].data.u64);
        return count;
    }

private:
    int fd_ = epoll_create1(EPOLL_CLOEXEC);
};

} // namespace

int relay_load(std::size_t flows, double seconds) {
    std::vector<std::unique_ptr<Socket>> from, to;
    Epoll arrivals;
    for (std::size_t i = 0; i < flows; ++i) {
        from.push_back(std::make_unique<Socket>());
        to.push_back(std::make_unique<Socket>());
        arrivals.add(to.back()->fd(), i);
        std::cout << from.back()->port() << ' ' << to.back()->port() << '\n';
    }
    std::cout.flush();
    std::vector<sockaddr_in> relay;
    for (std::uint16_t port = 0; relay.size() < flows && std::cin >> port;)
        relay.push_back(loopback(port));
    if (relay.size() < flows) return 1;
    std::uint64_t sent = 0, received = 0;
    std::vector<std::deque<Microseconds>> under_way(flows);
    std::vector<Microseconds> delays;
    const auto start = now();
    const auto end = start + static_cast<Microseconds>(seconds * 1e6);
    for (; now() < end + 200'000;) {
        const auto due = [&] {
            return start + static_cast<Microseconds>(sent) * frame / static_cast<Microseconds>(flows);
        };
        for (; due() <= now() && now() < end; ++sent) {
            const std::size_t flow = sent % flows;
            const auto packet =
                packet_of(static_cast<std::uint32_t>(flow), static_cast<std::uint16_t>(sent / flows));
            under_way[flow].push_back(now());
            from[flow]->send({packet.data(), packet.size()}, relay[flow]);
        }
        const int ready = arrivals.wait(now() < end ? 0 : 1, [&](std::size_t flow) {
            while (to[flow]->receive()) {
                ++received;
                if (under_way[flow].empty()) continue;
                delays.push_back(now() - under_way[flow].front());
                under_way[flow].pop_front();
            }
        });
        if (ready == 0) usleep(100);
    }
    std::sort(delays.begin(), delays.end());
    const auto percentile = [&](std::size_t percent) {
        return static_cast<double>(delays.empty() ? 0 : delays[(delays.size() - 1) * percent / 100]) / 1e3;
    };
    std::printf("{\"sent\":%llu,\"received\":%llu,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
                static_cast<unsigned long long>(sent), static_cast<unsigned long long>(received),
                percentile(50), percentile(99));
    return 0;
}

int relay_floor(std::size_t flows) {
    std::vector<std::unique_ptr<Socket>> in, out;
    std::vector<sockaddr_in> ends;
    Epoll arrivals;
    for (std::uint16_t port = 0; ends.size() < flows && std::cin >> port;)
        ends.push_back(loopback(port));
    for (std::size_t i = 0; i < ends.size(); ++i) {
        in.push_back(std::make_unique<Socket>());
        out.push_back(std::make_unique<Socket>());
        arrivals.add(in.back()->fd(), i);
        std::cout << in.back()->port() << '\n';
    }
    std::cout.flush();
    while (true)
        arrivals.wait(-1, [&](std::size_t flow) {
            if (const auto packet = in[flow]->receive()) out[flow]->send(*packet, ends[flow]);
        });
}

} // namespace peer

int main(int argc, char **argv) {
    const rlimit files{16'384, 16'384};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    const std::string_view mode = argc > 2 ? argv[1] : "";
    const auto flows = static_cast<std::size_t>(argc > 2 ? std::atoi(argv[2]) : 0);
    if (mode == "load" && argc == 4) return peer::relay_load(flows, std::atof(argv[3]));
    if (mode == "floor" && argc == 3) return peer::relay_floor(flows);
    (void)std::fputs("usage: relay_load load FLOWS SECONDS | floor FLOWS\n", stderr);
    return 2;
}
