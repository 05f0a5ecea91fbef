#include "sip/user_sctp.hpp"

#ifdef HAVE_USRSCTP

#include <array>
#include <cerrno>
#include <map>

#include "base/random.hpp"

namespace offhook::sip {

namespace {

constexpr int backlog = 64, attempts = 32;
constexpr std::uint16_t first_free_port = 49152;

struct socket *new_socket(const Usrsctp &library) noexcept {
    struct socket *socket = library.socket(AF_CONN, SOCK_STREAM, IPPROTO_SCTP, nullptr, nullptr, 0, nullptr);
    if (socket != nullptr) (void)library.set_non_blocking(socket, 1);
    return socket;
}

// Binds to `port`, or to a free one that it gives back; 0: none, see errno.
std::uint16_t bind_to(const Usrsctp &library, struct socket *socket, SctpPeer peer, std::uint16_t port) {
    for (int i = 0; i < (port != 0 ? 1 : attempts); ++i) {
        const auto candidate =
            port != 0
                ? port
                : static_cast<std::uint16_t>(first_free_port + random_u32() % (65536U - first_free_port));
        auto address = sctp_address(peer, candidate);
        if (library.bind(socket, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0)
            return candidate;
    }
    return 0;
}

} // namespace

// One association ----------------------------------------------------------------------------------------

Result<std::unique_ptr<StreamSocket>> UserSctpSocket::open(Loop &loop, const Usrsctp &library,
                                                           std::shared_ptr<SctpTunnel> tunnel, SctpPeer peer,
                                                           const Address &local) {
    struct socket *socket = new_socket(library);
    if (socket == nullptr) return fail_errno(Errc::network, errno, "an sctp socket");
    const std::uint16_t port = bind_to(library, socket, peer, 0);
    if (port == 0) {
        library.close(socket);
        return fail(Errc::network, "no free SCTP port");
    }
    return std::make_unique<UserSctpSocket>(loop, library, std::move(tunnel), peer, socket,
                                            local.with_port(port));
}

UserSctpSocket::UserSctpSocket(Loop &loop, const Usrsctp &library, std::shared_ptr<SctpTunnel> tunnel,
                               SctpPeer peer, struct socket *socket, const Address &local)
    : library_(library), tunnel_(std::move(tunnel)), peer_(peer), socket_(socket), local_(local),
      news_(loop) {
    const std::uint32_t yes = 1;
    (void)library_.setsockopt(socket_, IPPROTO_SCTP, SCTP_NODELAY, &yes, sizeof yes);
    (void)library_.set_non_blocking(socket_, 1);
    const auto upcall = [](struct socket *, void *self, int) noexcept {
        static_cast<UserSctpSocket *>(self)->happened();
    };
    (void)library_.set_upcall(socket_, upcall, this);
    tunnel_->add_user(peer_, *this);
}

void UserSctpSocket::shut() {
    if (socket_ == nullptr) return;
    (void)library_.set_upcall(socket_, nullptr, nullptr);
    library_.close(std::exchange(socket_, nullptr)); // says good-bye by itself
    tunnel_->remove_user(peer_, *this);
    news_.cancel();
    ready_.reset();
}

int UserSctpSocket::connect(const Address &remote) {
    auto address = sctp_address(peer_, remote.port());
    return library_.connect(socket_, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0 ? 0 : errno;
}

int UserSctpSocket::connected() {
    if (error_ != 0) return error_;
    int err = 0;
    socklen_t length = sizeof err;
    if (library_.getsockopt(socket_, SOL_SOCKET, SO_ERROR, &err, &length) != 0) err = errno;
    if (err != 0) return err;
    return (library_.get_events(socket_) & SCTP_EVENT_WRITE) != 0 ? 0 : EINPROGRESS;
}

ssize_t UserSctpSocket::receive(std::span<char> into) {
    while (received_.empty()) {
        int flags = 0;
        socklen_t from = 0;
        socklen_t info = 0;
        unsigned info_type = SCTP_RECVV_NOINFO;
        const ssize_t size = library_.recvv(socket_, into.data(), into.size(), nullptr, &from, nullptr, &info,
                                            &info_type, &flags);
        if (size < 0 && error_ == ECONNREFUSED) return 0; // who was there has left
        if (size < 0 && error_ != 0) errno = error_;
        if (size <= 0) return size;
        if ((flags & MSG_NOTIFICATION) != 0) continue;
        if (received_.add({into.data(), static_cast<std::size_t>(size)}, (flags & MSG_EOR) != 0)) continue;
        errno = EMSGSIZE;
        return -1;
    }
    return static_cast<ssize_t>(received_.take(into));
}

// Out of order on stream 0 (RFC 4168 §5.1): a lost message must not delay the others.
ssize_t UserSctpSocket::send(std::string_view bytes) {
    const std::string_view body = bytes.substr(sctp_messages::prefix);
    sctp_sndinfo info{};
    info.snd_flags = SCTP_UNORDERED;
    const ssize_t sent = library_.sendv(socket_, body.data(), body.size(), nullptr, 0, &info, sizeof info,
                                        SCTP_SENDV_SNDINFO, 0);
    return sent < 0 ? sent : static_cast<ssize_t>(bytes.size());
}

void UserSctpSocket::shut_down() {
    (void)library_.shutdown(socket_, SHUT_WR);
}

Result<> UserSctpSocket::watch(bool, Ready ready) {
    if (!ready_) happened(); // what came before
    ready_ = std::make_shared<Ready>(std::move(ready));
    return {};
}

void UserSctpSocket::on_unreachable(int err) {
    error_ = err;
    happened();
}

void UserSctpSocket::happened() {
    if (!news_.running()) news_.start(Duration(0), [this] { look(); });
}

// Says again what still stands, as epoll does, but only of reading: room to write is told when there is more.
void UserSctpSocket::look() {
    const int events = library_.get_events(socket_);
    const bool readable = (events & SCTP_EVENT_READ) != 0 || !received_.empty() || error_ != 0;
    if (readable) happened();
    if (const auto ready = ready_) (*ready)((readable ? FdWatch::read : 0) | FdWatch::write);
}

// Listening ----------------------------------------------------------------------------------------------

class UserSctpListener::Port {
public:
    static Result<std::shared_ptr<Port>> open(const Usrsctp &library, std::uint16_t port);
    Port(const Usrsctp &library, std::uint16_t port, struct socket *socket)
        : library_(library), number_(port), socket_(socket) {}
    ~Port() { library_.close(socket_); }
    Port(const Port &) = delete;
    Port &operator=(const Port &) = delete;

    [[nodiscard]] std::uint16_t number() const { return number_; }
    [[nodiscard]] struct socket *socket() const { return socket_; }

private:
    const Usrsctp &library_;
    std::uint16_t number_;
    struct socket *socket_;
};

Result<std::shared_ptr<UserSctpListener::Port>> UserSctpListener::Port::open(const Usrsctp &library,
                                                                             std::uint16_t port) {
    static std::map<std::uint16_t, std::weak_ptr<Port>> all;
    if (auto known = port != 0 ? all[port].lock() : nullptr) return known;
    struct socket *socket = new_socket(library);
    if (socket == nullptr) return fail_errno(Errc::network, errno, "an sctp socket");
    const std::uint16_t bound = bind_to(library, socket, 0, port);
    if (bound == 0 || library.listen(socket, backlog) != 0) {
        const int err = errno;
        library.close(socket);
        return fail_errno(Errc::network, err, "SCTP port " + std::to_string(port));
    }
    auto result = std::make_shared<Port>(library, bound, socket);
    all[bound] = result;
    return result;
}

Result<std::unique_ptr<StreamListener>> UserSctpListener::open(Loop &loop, const Usrsctp &library,
                                                               std::shared_ptr<SctpTunnel> tunnel,
                                                               const Address &bind, Accepted accepted) {
    auto port = Port::open(library, bind.port());
    if (!port) return fail(port.error());
    const Address address = bind.with_port((*port)->number());
    return std::unique_ptr<StreamListener>(new UserSctpListener(
        loop, library, std::move(tunnel), std::move(*port), address, std::move(accepted)));
}

UserSctpListener::UserSctpListener(Loop &loop, const Usrsctp &library, std::shared_ptr<SctpTunnel> tunnel,
                                   std::shared_ptr<Port> port, const Address &address, Accepted accepted)
    : StreamListener(TransportKind::sctp, address), loop_(loop), library_(library),
      tunnel_(std::move(tunnel)), port_(std::move(port)), accepted_(std::move(accepted)) {
    tunnel_->set_arrived([this] { accept_all(); });
}

void UserSctpListener::accept_all() {
    while (true) {
        sockaddr_conn from{};
        socklen_t length = sizeof from;
        struct socket *socket =
            library_.accept(port_->socket(), reinterpret_cast<sockaddr *>(&from), &length);
        if (socket == nullptr) return;
        const auto peer = reinterpret_cast<SctpPeer>(from.sconn_addr);
        const Address *udp = tunnel_->address_of(peer);
        if (udp == nullptr) { // of another listener, which has its own socket to hear it by
            library_.close(socket);
            continue;
        }
        const Address remote = udp->with_port(ntohs(from.sconn_port));
        tunnel_->learn(remote, *udp);
        const auto local = tunnel_->source_towards(*udp);
        accepted_(*this,
                  std::make_unique<UserSctpSocket>(loop_, library_, tunnel_, peer, socket,
                                                   local ? local->with_port(port_->number()) : address()),
                  remote, {});
    }
}

} // namespace offhook::sip

#endif
