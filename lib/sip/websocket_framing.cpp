#include "sip/websocket_framing.hpp"

#include "base/text.hpp"

namespace offhook::sip {

namespace {

constexpr std::string_view ping = "\r\n\r\n", pong = "\r\n"; // RFC 5626 §3.5.1, in a message of their own

} // namespace

Result<> WebSocketFraming::read_head(std::span<char> &bytes) {
    std::string_view rest(bytes.data(), bytes.size());
    auto head = reader_->push(rest);
    bytes = bytes.last(rest.size());
    if (!head) return bad_head(head.error());
    if (!*head) return {};
    if (auto agreed = head_came(**head); !agreed) return agreed;
    reader_.reset();
    return {};
}

Result<std::optional<Framing::Item>> WebSocketFraming::next(std::span<char> &bytes) {
    if (reader_) {
        if (auto read = read_head(bytes); !read) return tl::unexpected(read.error());
        if (reader_) return std::nullopt;
    }
    while (const auto event = socket_.next(bytes)) {
        auto item = handle(*event);
        if (!item || *item) return item;
    }
    return std::nullopt;
}

Result<std::optional<Framing::Item>> WebSocketFraming::handle(const WebSocket::Event &event) {
    using Kind = WebSocket::Event::Kind;
    switch (event.kind) {
    case Kind::text:
    case Kind::binary:
        if (event.data == ping) return Item{Item::Kind::ping, {}};
        if (event.data == pong || event.data.empty()) return Item{Item::Kind::pong, {}};
        return Item{Item::Kind::message, std::string(event.data)};
    case Kind::ping:
        if (output_.size() < 65'536) // who pings without reading gets no heap of answers
            socket_.append(output_, WebSocket::Opcode::pong, event.data);
        return std::nullopt;
    case Kind::pong:
        return Item{Item::Kind::pong, {}};
    case Kind::close:
        return closed_by_peer(event);
    case Kind::failed:
        break;
    }
    close_sent_ = true;
    socket_.append_close(output_, event.code, event.data);
    return fail(Errc::parse, "WebSocket: " + std::string(event.data));
}

Failure WebSocketFraming::closed_by_peer(const WebSocket::Event &event) {
    if (!std::exchange(close_sent_, true)) socket_.append_close(output_, event.code, {});
    std::string why = "WebSocket closed by the peer";
    if (event.code != close_code::none) why += " (" + std::to_string(event.code);
    if (!event.data.empty()) why += " " + sanitise(event.data);
    if (event.code != close_code::none) why += ")";
    return fail(Errc::network, why);
}

// RFC 7118 §5: text where it can be, since a text message has to be UTF-8.
void WebSocketFraming::append(std::string &out, std::string_view message) {
    socket_.append(out, is_utf8(message) ? WebSocket::Opcode::text : WebSocket::Opcode::binary, message);
}

void WebSocketFraming::append_ping(std::string &out) {
    socket_.append(out, WebSocket::Opcode::ping, {});
}

std::string WebSocketFraming::good_bye() {
    std::string out;
    if (open() && !std::exchange(close_sent_, true)) socket_.append_close(out, close_code::normal, {});
    return out;
}

WebSocketClientFraming::WebSocketClientFraming(std::string host, std::string path)
    : WebSocketFraming(WebSocket::Role::client), target_{std::move(host), std::move(path), websocket_key()} {}

Result<> WebSocketClientFraming::head_came(const std::string &head) {
    auto response = HttpHead::parse_response(head);
    if (!response) return bad_head(response.error());
    auto checked = check_upgrade_response(*response, target_.key);
    if (!checked) return fail(Errc::network, sanitise(checked.error().what));
    return {};
}

Failure WebSocketClientFraming::bad_head(const Error &) {
    return fail(Errc::network, "the server does not speak WebSocket");
}

Result<> WebSocketServerFraming::head_came(const std::string &head) {
    auto request = HttpHead::parse_request(head);
    if (!request) return bad_head(request.error());
    const auto client = server_.client(*request, flow_);
    if (!client) return bad_head(client.error());
    if (!(*client == flow_.remote)) flow_.remote = *(client_ = *client);
    if (!wants_websocket(*request)) {
        const HttpResponse response = server_.answer(*request, flow_);
        output_ += response.encode(request->method != "HEAD");
        return fail(Errc::network, "an HTTP request was answered");
    }
    if (auto right = check_upgrade_request(*request); !right) return bad_head(right.error());
    if (const auto refusal = server_.refuse_upgrade(*request, flow_))
        return refuse(*refusal, "the WebSocket was refused");
    output_ += upgrade_response(*request);
    return {};
}

Failure WebSocketServerFraming::bad_head(const Error &error) {
    auto response = HttpResponse::text(error.sip, error.what);
    if (error.sip == 426) response.headers = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}};
    return refuse(response, error.what);
}

Failure WebSocketServerFraming::refuse(const HttpResponse &response, std::string why) {
    output_ += response.encode();
    return fail(Errc::parse, std::move(why));
}

std::string WebSocketServerFraming::too_slow() {
    return open() ? "" : HttpResponse::text(408, "The request took too long.").encode();
}

} // namespace offhook::sip
