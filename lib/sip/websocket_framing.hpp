// SIP over WebSocket on one connection (RFC 7118): the opening handshake, then one SIP message per WebSocket
// message.
#pragma once

#include <functional>
#include <optional>

#include "sip/framing.hpp"
#include "sip/web_server.hpp"
#include "sip/websocket.hpp"
#include "sip/websocket_handshake.hpp"

namespace offhook::sip {

// What both ends do once it is open.
class WebSocketFraming : public Framing {
public:
    [[nodiscard]] bool open() const override { return !reader_; }
    Result<std::optional<Item>> next(std::span<char> &bytes) override;
    std::string take_output() override { return std::exchange(output_, {}); }
    void append(std::string &out, std::string_view message) override;
    void append_ping(std::string &out) override;
    std::string good_bye() override;

protected:
    explicit WebSocketFraming(WebSocket::Role role)
        : socket_(role), reader_(std::make_unique<HttpHeadReader>()) {}
    // A whole head came. An error ends the connection, after output_ was sent.
    virtual Result<> head_came(const std::string &head) = 0;
    virtual Failure bad_head(const Error &error) = 0;

    std::string output_;

private:
    Result<> read_head(std::span<char> &bytes);
    Result<std::optional<Item>> handle(const WebSocket::Event &event);
    Failure closed_by_peer(const WebSocket::Event &event);

    WebSocket socket_;
    std::unique_ptr<HttpHeadReader> reader_; // until the handshake is over
    bool close_sent_ = false;
};

class WebSocketClientFraming final : public WebSocketFraming {
public:
    // `host`: the Host header. `path` begins with a slash.
    WebSocketClientFraming(std::string host, std::string path);
    std::string opening() override { return upgrade_request(target_); }

private:
    Result<> head_came(const std::string &head) override;
    Failure bad_head(const Error &error) override;

    UpgradeTarget target_;
};

class WebSocketServerFraming final : public WebSocketFraming {
public:
    // `server` outlives it.
    WebSocketServerFraming(WebServer &server, Flow flow)
        : WebSocketFraming(WebSocket::Role::server), server_(server), flow_(std::move(flow)) {}
    std::string too_slow() override;
    [[nodiscard]] std::optional<Address> client() const override { return client_; }

private:
    Result<> head_came(const std::string &head) override;
    Failure bad_head(const Error &error) override;
    Failure refuse(const HttpResponse &response, std::string why);

    WebServer &server_;
    Flow flow_;
    std::optional<Address> client_; // other than the one who connected
};

} // namespace offhook::sip
