// How long a browser's media takes to come up at the bridge's relay: a connectivity check that nominates, a
// DTLS handshake as client with a certificate of its own, keys on both sides. Prints the milliseconds of
// each.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>

#include <poll.h>
#include <sys/socket.h>

#include "bridge/relay.hpp"
#include "media/dtls.hpp"
#include "media/ice.hpp"
#include "media/media_ports.hpp"
#include "media/stun.hpp"

using namespace offhook;
using namespace offhook::bridge;
using Datagram = std::vector<std::uint8_t>;

namespace {

[[noreturn]] void die(const std::string &what) {
    (void)std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(1);
}

template <class T>
T need(Result<T> result) {
    if (!result) die(result.error().what);
    return std::move(*result);
}

// The browser's socket: it waits for each answer.
class Browser {
public:
    Browser(media::MediaPort port, const Address &relay) : port_(std::move(port)), relay_(relay) {}

    void check(const media::IceCredentials &theirs) const {
        using media::StunAttribute;
        media::StunWriter check(media::StunClass::request, media::StunMethod::binding,
                                media::random_transaction());
        check.add(StunAttribute::username, theirs.ufrag + ":bench")
            .add_number(StunAttribute::priority, 1)
            .add_long(StunAttribute::ice_controlling, 1)
            .add_flag(StunAttribute::use_candidate);
        send(check.finish_signed(theirs.password));
        if (!media::looks_like_stun(receive())) die("the check was not answered");
    }
    void handshake(media::DtlsSession &dtls) const {
        auto step = dtls.start();
        while (step && !dtls.keys()) {
            for (const auto &datagram : dtls.take_output())
                send(datagram);
            step = dtls.receive(receive());
        }
        if (!step) die(step.error().what);
        for (const auto &datagram : dtls.take_output())
            send(datagram);
    }

private:
    void send(const Datagram &datagram) const {
        if (sendto(port_.rtp.get(), datagram.data(), datagram.size(), 0, relay_.sockaddr_ptr(),
                   relay_.sockaddr_len()) < 0)
            die("sendto failed");
    }
    [[nodiscard]] Datagram receive() const {
        pollfd one{port_.rtp.get(), POLLIN, 0};
        Datagram datagram(2048);
        if (poll(&one, 1, 10'000) <= 0) die("nothing came for 10 s");
        const ssize_t size = recv(port_.rtp.get(), datagram.data(), datagram.size(), 0);
        datagram.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
        return datagram;
    }

    media::MediaPort port_;
    Address relay_;
};

double milliseconds_to_come_up(MediaWorker &worker) {
    const Address loopback = need(Address::parse("127.0.0.1"));
    const auto ours = need(media::DtlsIdentity::create()), theirs = need(media::DtlsIdentity::create());
    const auto secrets = media::IceCredentials::random();
    auto up = std::make_shared<std::promise<void>>();
    auto relay = std::make_shared<Relay>(
        worker, std::make_shared<RelayCounters>(),
        Relay::Events{[up] { up->set_value(); }, [](End, auto &why) { die(why); }, {}}, nullptr);
    auto port = std::make_shared<media::MediaPort>(need(media::open_media_port(loopback, 0, 0, false)));
    const Address at = loopback.with_port(port->port);
    worker.post([=, &worker] {
        relay->start();
        relay->add_web(0, own_path(worker, std::move(port->rtp)), at, {secrets.ufrag, secrets.password, ours},
                       {1});
        relay->set_fingerprint(0, theirs->fingerprint().encode());
    });
    const Browser browser(need(media::open_media_port(loopback, 0, 0, false)), at);
    const auto started = std::chrono::steady_clock::now();
    browser.check(secrets);
    const auto dtls = need(media::DtlsSession::open(theirs, media::DtlsRole::client, {ours->fingerprint()}));
    browser.handshake(*dtls);
    if (up->get_future().wait_for(std::chrono::seconds(10)) != std::future_status::ready)
        die("the relay has no keys");
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - started;
    worker.post([relay] { relay->close(); });
    return took.count();
}

} // namespace

int main(int argc, char **argv) {
    const auto worker = need(MediaWorker::start());
    for (int i = argc > 1 ? std::atoi(argv[1]) : 1; i > 0; --i)
        std::printf("{\"ms\":%.3f}\n", milliseconds_to_come_up(*worker));
}
