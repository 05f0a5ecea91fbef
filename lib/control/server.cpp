#include "control/server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/directories.hpp"
#include "base/fd.hpp"
#include "base/unix_socket.hpp"

namespace offhook::control {

namespace {

// The directory is made if it is missing, and must be ours alone.
Result<> private_directory(const std::string &path) {
    const std::string directory = path.substr(0, path.rfind('/'));
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
        return fail_errno(Errc::network, errno, "control socket: make " + directory);
    struct stat info {};
    if (::lstat(directory.c_str(), &info) != 0)
        return fail_errno(Errc::network, errno, "control socket: look at " + directory);
    if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() || (info.st_mode & 0077U) != 0)
        return fail(Errc::network,
                    "control socket: " + directory + " is not a directory of this user alone (chmod 700 it)");
    return {};
}

// A socket file whose phone has gone is in the way; one whose phone lives is another's.
Result<> clear(const std::string &path, const sockaddr_un &address) {
    const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (::connect(probe.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0)
        return fail(Errc::network, "a phone is running already (" + path + ")");
    if (errno == ECONNREFUSED) ::unlink(path.c_str());
    return {};
}

bool is_allowed(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == ::geteuid() || peer.uid == 0);
}

} // namespace

struct Server::Self {
    struct Client {
        explicit Client(Fd f) : fd(std::move(f)) {}
        Fd fd;
        FdWatch watch; // stopped before the descriptor is closed: declared after it
        std::string in, out;
        bool gone = false;
    };

    Self(Loop &l, std::string p, Handler h) : loop(l), path(std::move(p)), handler(std::move(h)) {}

    void accept();
    void ready(Client &client, int flags);
    void read(Client &client);
    void take(Client &client, std::string_view line);
    void replay(Client &client, const Json &request);
    void send(Client &client, const std::string &line);
    void flush(Client &client);
    void drop(Client &client);
    void watch(Client &client);

    Loop &loop;
    std::string path;
    Handler handler;
    Fd listener;
    FdWatch listening;
    std::vector<std::unique_ptr<Client>> clients;
    std::deque<std::pair<std::uint64_t, std::string>> events;
    std::shared_ptr<char> alive = std::make_shared<char>();
};

void Server::Self::accept() {
    Fd fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.get() < 0 || clients.size() >= most_clients || !is_allowed(fd.get())) return;
    clients.push_back(std::make_unique<Client>(std::move(fd)));
    watch(*clients.back());
}

void Server::Self::watch(Client &client) {
    const int flags = FdWatch::read | (client.out.empty() ? 0 : static_cast<int>(FdWatch::write));
    if (!client.watch.start(client.fd.get(), flags, [this, &client](int due) { ready(client, due); }))
        drop(client);
}

void Server::Self::ready(Client &client, int flags) {
    if ((flags & FdWatch::write) != 0) flush(client);
    if (!client.gone) read(client);
}

void Server::Self::read(Client &client) {
    std::array<char, 8192> buffer{};
    const auto got = ::recv(client.fd.get(), buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return drop(client);
    client.in.append(buffer.data(), static_cast<std::size_t>(got));
    std::size_t start = 0;
    for (std::size_t end = 0; !client.gone && (end = client.in.find('\n', start)) != std::string::npos;
         start = end + 1)
        take(client, std::string_view(client.in).substr(start, end - start));
    client.in.erase(0, start);
    if (client.in.size() > longest_request) drop(client);
}

void Server::Self::take(Client &client, std::string_view line) {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
    const auto request = Json::parse(line);
    Json answer = Json::object();
    if (const auto *id = request && request->is_object() ? request->find("id") : nullptr)
        answer.add("id", *id);
    Json result;
    if (!request || !request->is_object()) {
        Json error = Json::object();
        error.add("code", 2).add("text",
                                 R"(expected one JSON object a line, such as {"id":1,"verb":"status"})");
        result = Json::object().add("ok", false).add("error", std::move(error));
    } else if (const auto *verb = request->find("verb");
               verb != nullptr && verb->as_string() != nullptr && *verb->as_string() == "events") {
        replay(client, *request);
        result = Json::object().add("ok", true);
    } else {
        result = handler(*request);
    }
    for (const auto &[key, value] : *result.as_object())
        answer.add(key, value);
    send(client, answer.dump());
}

// What was told after `since`, as far as it is kept; the rest follows by itself.
void Server::Self::replay(Client &client, const Json &request) {
    const auto *since = request.find("since");
    if (since == nullptr || since->as_int() == nullptr) return;
    for (const auto &[seq, line] : events)
        if (static_cast<std::int64_t>(seq) > *since->as_int()) send(client, line);
}

void Server::Self::send(Client &client, const std::string &line) {
    if (client.gone) return;
    const bool idle = client.out.empty();
    client.out += line;
    client.out += '\n';
    if (idle) flush(client);
    if (client.out.size() > most_pending) drop(client); // it does not read
}

void Server::Self::flush(Client &client) {
    const bool waited = !client.out.empty();
    while (!client.out.empty()) {
        const auto sent = ::send(client.fd.get(), client.out.data(), client.out.size(), MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) break;
        if (sent < 0) return drop(client);
        client.out.erase(0, static_cast<std::size_t>(sent));
    }
    if (waited) watch(client);
}

// From the loop: it may be inside its own callback.
void Server::Self::drop(Client &client) {
    if (std::exchange(client.gone, true)) return;
    client.watch.stop();
    loop.post([this, gone = &client, still = std::weak_ptr<char>(alive)] {
        if (!still.expired()) std::erase_if(clients, [&](const auto &c) { return c.get() == gone; });
    });
}

Server::Server(std::unique_ptr<Self> self) : self_(std::move(self)) {}

Server::~Server() {
    ::unlink(self_->path.c_str());
}

Result<std::unique_ptr<Server>> Server::listen(Loop &loop, const std::string &path, Handler handler) {
    const auto address = unix_address(path);
    if (!address) return fail(Errc::config, "the path of the control socket is too long: " + path);
    if (auto ready = private_directory(path); !ready) return fail(ready.error());
    if (auto free = clear(path, *address); !free) return fail(free.error());
    auto self = std::make_unique<Self>(loop, path, std::move(handler));
    self->listener = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (auto open = listen_unix(self->listener.get(), path, 16); !open)
        return fail(open.error().code, "control socket " + open.error().what);
    auto *raw = self.get();
    if (auto watched =
            self->listening.start(self->listener.get(), FdWatch::read, [raw](int) { raw->accept(); });
        !watched)
        return fail(watched.error());
    return std::unique_ptr<Server>(new Server(std::move(self)));
}

void Server::publish(std::uint64_t seq, const std::string &line) {
    if (self_->events.size() == events_kept) self_->events.pop_front();
    self_->events.emplace_back(seq, line);
    for (std::size_t i = 0; i < self_->clients.size(); ++i)
        self_->send(*self_->clients[i], line);
}

std::size_t Server::clients() const {
    return self_->clients.size();
}

Result<std::string> socket_path() {
    const auto directory = runtime_directory();
    if (directory.empty())
        return fail(Errc::config, "XDG_RUNTIME_DIR is not set: there is no place for the control socket");
    return directory + "/control";
}

} // namespace offhook::control
