// Where `offhook wss-bridge --status` asks: a Unix socket that writes one JSON line and closes. Only its
// owner may connect.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/fd.hpp"
#include "base/loop.hpp"
#include "base/result.hpp"

namespace offhook::bridge {

class StatusSocket {
public:
    // Errors: Errc::config (the folder cannot be used, another bridge answers there).
    static Result<std::unique_ptr<StatusSocket>> open(const std::string &path,
                                                      std::function<std::string()> status);
    ~StatusSocket();
    StatusSocket(const StatusSocket &) = delete;
    StatusSocket &operator=(const StatusSocket &) = delete;

    // In the runtime directory (base/directories.hpp), or /run/offhook/bridge, or one below /tmp for this
    // user.
    static std::string usual_path();
    // What a running bridge says. Errors: Errc::network (none runs).
    static Result<std::string> ask(const std::string &path);

private:
    StatusSocket() = default;
    void answer();

    std::string path_;
    Fd fd_;
    FdWatch watch_;
    std::function<std::string()> status_;
};

} // namespace offhook::bridge
