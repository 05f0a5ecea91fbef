// The control socket (cli.md): a Unix socket that speaks JSON lines. Every client hears every event from its
// connection on, and gets one answer for each of its requests. Only the phone's own user (and root) may
// connect: the file is 0600 in a directory that is 0700, and the peer's credentials are checked all the same.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/json.hpp"
#include "base/loop.hpp"

namespace offhook::control {

class Server {
public:
    // The answer to one request, without its id.
    using Handler = std::function<Json(const Json &request)>;

    static constexpr std::size_t most_clients = 32;
    static constexpr std::size_t longest_request = 64UL * 1024; // bytes; a longer line ends the connection
    static constexpr std::size_t most_pending = 1024UL * 1024;  // bytes a client may be behind
    static constexpr std::size_t events_kept = 1000;            // for {"verb":"events","since":SEQ}

    // Errors: network (in use by a running phone, not writable), naming the path.
    static Result<std::unique_ptr<Server>> listen(Loop &loop, const std::string &path, Handler handler);
    ~Server(); // removes the socket
    Server(const Server &) = delete;
    Server &operator=(const Server &) = delete;

    void publish(std::uint64_t seq, const std::string &line); // an event, without line end
    [[nodiscard]] std::size_t clients() const;

private:
    struct Self;
    explicit Server(std::unique_ptr<Self> self);
    std::unique_ptr<Self> self_;
};

// In the runtime directory (base/directories.hpp). Errors: config when there is none.
Result<std::string> socket_path();

} // namespace offhook::control
