#include "bridge/ice_port.hpp"

#include <algorithm>

#include <sys/socket.h>

#include "base/log.hpp"
#include "bridge/media_worker.hpp"
#include "media/media_ports.hpp"

namespace offhook::bridge {

namespace {

constexpr int little_buffer = 1024 * 1024;

} // namespace

class IcePort::Leg final : public WebPath {
public:
    Leg(std::shared_ptr<IcePort> port, std::string ufrag)
        : port_(std::move(port)), ufrag_(std::move(ufrag)) {}
    ~Leg() override {
        port_->demux_.remove(agent_);
        port_->legs_.erase(agent_);
    }
    Leg(const Leg &) = delete;
    Leg &operator=(const Leg &) = delete;

    void open(MediaWorker::Sink &sink, unsigned port) override {
        agent_ = port_->next_++;
        if (port_->demux_.add(agent_, ufrag_)) port_->legs_[agent_] = {&sink, port};
    }
    void send(const Address &to, std::span<const std::uint8_t> datagram) override {
        port_->worker_.send_together(port_->socket_.get(), to, datagram);
    }
    void nominated(const Address &from, TimePoint now) override {
        (void)port_->demux_.claim(agent_, from, now);
    }

private:
    std::shared_ptr<IcePort> port_;
    std::string ufrag_;
    media::IceDemux::Agent agent_ = 0;
};

IcePort::IcePort(MediaWorker &worker, Fd socket, const Address &address, Counter strangers)
    : worker_(worker), socket_(std::move(socket)), address_(address), strangers_(std::move(strangers)) {}

IcePort::~IcePort() {
    worker_.forget(socket_.get());
}

Result<std::shared_ptr<IcePort>> IcePort::open(MediaWorker &worker, const Address &bind, Counter strangers) {
    auto socket = media::open_shared_port(bind);
    if (!socket) return tl::unexpected(socket.error());
    std::shared_ptr<IcePort> port(new IcePort(worker, std::move(*socket), bind, std::move(strangers)));
    worker.post([port] { port->worker_.watch(port->socket_.get(), *port, 0, MediaWorker::Traffic::heavy); });
    return port;
}

std::unique_ptr<WebPath> IcePort::path(std::string ufrag) {
    return std::make_unique<Leg>(shared_from_this(), std::move(ufrag));
}

int IcePort::receive_buffer() const noexcept {
    int bytes = 0;
    socklen_t length = sizeof bytes;
    return getsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &bytes, &length) == 0 ? bytes : 0;
}

IcePorts::~IcePorts() {
    for (auto &port : ports_)
        worker_.post([port = std::move(port)] {}); // it ends where it lives
}

Result<std::shared_ptr<IcePort>> IcePorts::on(const Address &ip) {
    const Address address = ip.with_port(port_);
    const auto known = std::ranges::find(ports_, address, [](const auto &port) { return port->address(); });
    if (known != ports_.end()) return *known;
    auto opened = IcePort::open(worker_, address, strangers_);
    if (!opened) return opened;
    if ((*opened)->receive_buffer() < little_buffer)
        log_warning("UDP port " + std::to_string(port_) + " has a receive buffer of " +
                    std::to_string((*opened)->receive_buffer() / 1024) +
                    " KiB for the media of all browsers: net.core.rmem_max is small");
    ports_.push_back(*opened);
    return opened;
}

void IcePort::received(unsigned, std::span<std::uint8_t> packet, const Address &from, TimePoint now) {
    if (const auto agent = demux_.find(packet, from, now))
        if (const auto leg = legs_.find(*agent); leg != legs_.end())
            return leg->second.sink->received(leg->second.port, packet, from, now);
    strangers_->note(from);
}

} // namespace offhook::bridge
