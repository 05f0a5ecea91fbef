#include "bridge/tcp_path.hpp"

#include <array>
#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "bridge/media_worker.hpp"
#include "media/tcp_framing.hpp"

namespace offhook::bridge {

namespace {

// Media that waits is of no use: a second of sound, a picture.
constexpr std::size_t most_waiting = std::size_t{48} * 1024;
constexpr int most_unsent = 16 * 1024; // in the kernel
constexpr std::size_t read_size = 16'384;
constexpr int reads_at_once = 4; // then other calls have their turn

static_assert(media::TcpDeframer::tail_room >= MediaWorker::tail_room);

class TcpPath final : public WebPath, private MediaWorker::Stream {
public:
    TcpPath(MediaWorker &worker, Fd socket, const Address &remote, std::vector<std::uint8_t> early,
            std::function<void()> closed)
        : worker_(worker), socket_(std::move(socket)), remote_(remote), early_(std::move(early)),
          closed_(std::move(closed)) {
        (void)setsockopt(socket_.get(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &most_unsent, sizeof most_unsent);
    }
    ~TcpPath() override { worker_.forget(socket_.get()); }
    TcpPath(const TcpPath &) = delete;
    TcpPath &operator=(const TcpPath &) = delete;

    void open(MediaWorker::Sink &sink, unsigned port) override {
        sink_ = &sink;
        port_ = port;
        worker_.watch_stream(socket_.get(), *this);
        take(std::exchange(early_, {}), std::chrono::steady_clock::now());
    }
    void send(const Address &, std::span<const std::uint8_t> datagram) override {
        if (over_ || !out_.push(datagram)) return;
        flush();
    }
    [[nodiscard]] bool over() const override { return over_; }

private:
    void ready(TimePoint now) override;
    void take(media::Bytes bytes, TimePoint now);
    void flush();
    void close();

    MediaWorker &worker_;
    Fd socket_;
    Address remote_;
    std::vector<std::uint8_t> early_;
    std::function<void()> closed_;
    MediaWorker::Sink *sink_ = nullptr;
    unsigned port_ = 0;
    media::TcpDeframer in_;
    media::TcpSendQueue out_{most_waiting};
    bool over_ = false, wants_room_ = false;
};

void TcpPath::ready(TimePoint now) {
    if (over_) return;
    if (wants_room_) flush();
    std::array<std::uint8_t, read_size> buffer; // NOLINT(*-member-init): filled by recv()
    for (int i = 0; i < reads_at_once && !over_; ++i) {
        const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (size <= 0) return close();
        take({buffer.data(), static_cast<std::size_t>(size)}, now);
        if (static_cast<std::size_t>(size) < buffer.size()) return;
    }
}

void TcpPath::take(media::Bytes bytes, TimePoint now) {
    while (const auto packet = in_.next(bytes))
        sink_->received(port_, *packet, remote_, now);
}

void TcpPath::flush() {
    while (!over_ && !out_.waiting().empty()) {
        const auto bytes = out_.waiting();
        const ssize_t size = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno != EAGAIN) return close();
        if (size < 0) break;
        out_.sent(static_cast<std::size_t>(size));
    }
    if (const bool waits = !out_.waiting().empty(); waits != wants_room_) {
        wants_room_ = waits;
        worker_.want_room(socket_.get(), waits);
    }
}

void TcpPath::close() {
    over_ = true;
    worker_.forget(socket_.get());
    closed_();
}

} // namespace

std::unique_ptr<WebPath> tcp_path(MediaWorker &worker, Fd socket, const Address &remote,
                                  std::vector<std::uint8_t> early, std::function<void()> closed) {
    return std::make_unique<TcpPath>(worker, std::move(socket), remote, std::move(early), std::move(closed));
}

} // namespace offhook::bridge
