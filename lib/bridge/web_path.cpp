#include "bridge/web_path.hpp"

namespace offhook::bridge {

namespace {

class OwnPath final : public WebPath {
public:
    OwnPath(MediaWorker &worker, Fd socket) : worker_(worker), socket_(std::move(socket)) {}
    ~OwnPath() override { worker_.forget(socket_.get()); }
    OwnPath(const OwnPath &) = delete;
    OwnPath &operator=(const OwnPath &) = delete;

    void open(MediaWorker::Sink &sink, unsigned port) override { worker_.watch(socket_.get(), sink, port); }
    void send(const Address &to, std::span<const std::uint8_t> datagram) override {
        worker_.send(socket_.get(), to, datagram);
    }
    void expect(const Touched &touched) override { worker_.expect(socket_.get(), touched); }

private:
    MediaWorker &worker_;
    Fd socket_;
};

} // namespace

std::unique_ptr<WebPath> own_path(MediaWorker &worker, Fd socket) {
    return std::make_unique<OwnPath>(worker, std::move(socket));
}

} // namespace offhook::bridge
