// A WebSocket server that echoes what it gets, on offhook's own RFC 6455 layer, so that a conformance suite
// can be pointed at it:
//     make build/default/ws-echo && build/default/ws-echo 127.0.0.1:9001
//     wstest -m fuzzingclient -s spec.json        (Autobahn; "url": "ws://127.0.0.1:9001")
// No subprotocol, no extensions, messages of up to 64 MiB.
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <unordered_map>

#include "base/loop.hpp"
#include "sip/stream_listener.hpp"
#include "sip/stream_socket.hpp"
#include "sip/websocket.hpp"
#include "sip/websocket_handshake.hpp"

using namespace offhook;
using namespace offhook::sip;

namespace {

constexpr WebSocket::Limits limits{std::size_t{64} * 1024 * 1024, std::size_t{1024} * 1024};

class Connection {
public:
    explicit Connection(std::unique_ptr<StreamSocket> link) : link_(std::move(link)) {}
    [[nodiscard]] Result<> watch(std::function<void()> ended) {
        ended_ = std::move(ended);
        return rewatch();
    }
    ~Connection() { link_->close(); }
    Connection(const Connection &) = delete;
    Connection &operator=(const Connection &) = delete;

private:
    Result<> rewatch() {
        return link_->watch(!out_.empty(), [this](int) { ready(); });
    }

    void ready() {
        if (out_.size() < limits.message && !read()) return ended_();
        while (!out_.empty()) {
            const ssize_t size = link_->send(out_);
            if (size < 0 && errno != EAGAIN && errno != EINTR) return ended_();
            if (size < 0) break;
            out_.erase(0, static_cast<std::size_t>(size));
        }
        if (closing_ && out_.empty()) return ended_();
        if (!rewatch()) ended_();
    }

    bool read() {
        char buffer[65'536];
        const ssize_t size = link_->receive(buffer);
        if (size < 0) return errno == EAGAIN || errno == EINTR;
        if (size == 0) return false;
        if (closing_) return true; // not read any more, but taken
        std::span<char> bytes(buffer, static_cast<std::size_t>(size));
        if (!open_ && !handshake(bytes)) return true;
        while (const auto event = socket_.next(bytes))
            echo(*event);
        return true;
    }

    bool handshake(std::span<char> &bytes) {
        std::string_view rest(bytes.data(), bytes.size());
        const auto head = reader_.push(rest);
        bytes = bytes.last(rest.size());
        if (head && !*head) return false;
        auto request =
            head ? HttpHead::parse_request(**head) : Result<HttpHead>(tl::unexpected(head.error()));
        if (request)
            if (const auto right = check_upgrade_request(*request, ""); !right)
                request = tl::unexpected(right.error());
        open_ = request.has_value();
        closing_ = !open_;
        out_ +=
            open_ ? upgrade_response(*request, "") : HttpResponse::text(request.error().sip, "no").encode();
        return open_;
    }

    void echo(const WebSocket::Event &event) {
        using Kind = WebSocket::Event::Kind;
        switch (event.kind) {
        case Kind::text:
            return socket_.append(out_, WebSocket::Opcode::text, event.data);
        case Kind::binary:
            return socket_.append(out_, WebSocket::Opcode::binary, event.data);
        case Kind::ping:
            return socket_.append(out_, WebSocket::Opcode::pong, event.data);
        case Kind::pong:
            return;
        case Kind::close:
        case Kind::failed:
            closing_ = true;
            return socket_.append_close(out_, event.code, event.kind == Kind::failed ? event.data : "");
        }
    }

    std::unique_ptr<StreamSocket> link_;
    HttpHeadReader reader_;
    WebSocket socket_{WebSocket::Role::server, limits};
    bool open_ = false, closing_ = false;
    std::string out_;
    std::function<void()> ended_;
};

} // namespace

int main(int argc, char **argv) {
    const std::string_view where = argc > 1 ? argv[1] : "127.0.0.1:9001";
    const auto colon = where.rfind(':');
    const auto port = parse_number(where.substr(colon + 1));
    const auto address = Address::parse(where.substr(0, colon), static_cast<std::uint16_t>(port.value_or(0)));
    if (colon == std::string_view::npos || !port || !address) {
        std::fputs("usage: ws-echo [ADDRESS:PORT]\n", stderr);
        return 2;
    }
    Loop loop;
    std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections;
    std::uint64_t count = 0;
    const auto accepted = [&](StreamListener &, std::unique_ptr<StreamSocket> link, const Address &,
                              std::string_view) {
        const std::uint64_t key = ++count;
        auto connection = std::make_unique<Connection>(std::move(link));
        auto gone = [&connections, &loop, key] {
            loop.post([gone = std::shared_ptr<Connection>(std::move(connections[key]))] {});
            connections.erase(key);
        };
        if (connection->watch(std::move(gone))) connections[key] = std::move(connection);
    };
    const auto listener = StreamListener::open(loop, TransportKind::ws, *address, accepted);
    if (!listener) {
        std::fprintf(stderr, "%s\n", listener.error().what.c_str());
        return 1;
    }
    std::printf("ws://%s\n", (*listener)->address().to_string().c_str());
    std::fflush(stdout);
    const SignalWatch signals({SIGINT, SIGTERM}, [&loop](int) { loop.stop(); });
    return loop.run() ? 0 : 1;
}
