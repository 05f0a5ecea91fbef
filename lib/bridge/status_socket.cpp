#include "bridge/status_socket.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/directories.hpp"
#include "base/unix_socket.hpp"

namespace offhook::bridge {

namespace {

constexpr int patience_ms = 3'000;
constexpr const char *system_path = "/run/offhook/bridge";
constexpr std::size_t largest_answer = std::size_t{16} * 1024 * 1024;

Result<Fd> connect_to(const std::string &path) {
    const auto address = unix_address(path);
    if (!address) return fail(Errc::config, "the path " + path + " is too long");
    Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connect(fd.get(), reinterpret_cast<const sockaddr *>(&*address), sizeof *address) != 0)
        return fail_errno(Errc::network, errno, path);
    return fd;
}

} // namespace

std::string StatusSocket::usual_path() {
    if (const auto runtime = runtime_directory(); !runtime.empty()) return runtime + "/bridge";
    if (geteuid() == 0) return system_path;
    return "/tmp/offhook-" + std::to_string(geteuid()) + "/bridge";
}

Result<std::unique_ptr<StatusSocket>> StatusSocket::open(const std::string &path,
                                                         std::function<std::string()> status) {
    const std::string folder = path.substr(0, path.rfind('/'));
    struct stat info {};
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(Errc::config, errno, folder);
    if (lstat(folder.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != geteuid())
        return fail(Errc::config, folder + " belongs to somebody else");
    if (connect_to(path)) return fail(Errc::config, "another bridge answers at " + path);
    if (!unix_address(path)) return fail(Errc::config, "the path " + path + " is too long");
    unlink(path.c_str());
    std::unique_ptr<StatusSocket> out(new StatusSocket());
    out->fd_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (auto open = listen_unix(out->fd_.get(), path, 4); !open) return fail(Errc::config, open.error().what);
    out->path_ = path;
    out->status_ = std::move(status);
    auto *raw = out.get();
    if (auto watching = out->watch_.start(out->fd_.get(), FdWatch::read, [raw](int) { raw->answer(); });
        !watching)
        return tl::unexpected(watching.error());
    return out;
}

StatusSocket::~StatusSocket() {
    watch_.stop();
    if (!path_.empty()) unlink(path_.c_str());
}

void StatusSocket::answer() {
    const Fd client(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client) return;
    const std::string text = status_() + "\n";
    int room =
        static_cast<int>(std::min(text.size() * 2, largest_answer)); // all at once: the loop does not wait
    setsockopt(client.get(), SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room);
    setsockopt(client.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    (void)(::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0);
}

Result<std::string> StatusSocket::ask(const std::string &path) {
    auto fd = connect_to(path);
    if (!fd) // a service's, for whoever may ask it
        if (auto service = connect_to(system_path)) fd = std::move(service);
    if (!fd) return fail(Errc::network, "no bridge of this user is running here (" + fd.error().what + ")");
    std::string out;
    std::array<char, 4096> buffer{};
    pollfd ready{fd->get(), POLLIN, 0};
    while (out.size() < largest_answer && poll(&ready, 1, patience_ms) == 1) {
        const ssize_t got = read(fd->get(), buffer.data(), buffer.size());
        if (got <= 0) break;
        out.append(buffer.data(), static_cast<std::size_t>(got));
    }
    if (!out.ends_with('\n')) return fail(Errc::network, "the bridge did not answer");
    out.pop_back();
    return out;
}

} // namespace offhook::bridge
