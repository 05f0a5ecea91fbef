#include "sip/websocket_handshake.hpp"

#include <algorithm>
#include <array>

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "sip/grammar.hpp"
#include "sip/headers.hpp"

namespace offhook::sip {

namespace {

constexpr std::string_view magic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; // RFC 6455 §1.3
constexpr std::size_t key_length = 24;                                     // of 16 bytes in base64

std::string base64(const unsigned char *data, std::size_t size) {
    std::string text((size + 2) / 3 * 4 + 1, '\0'); // and the NUL that OpenSSL writes
    text.resize(static_cast<std::size_t>(
        EVP_EncodeBlock(reinterpret_cast<unsigned char *>(text.data()), data, static_cast<int>(size))));
    return text;
}

Failure refuse(unsigned status, std::string_view why) {
    return fail(Errc::parse, "WebSocket: " + std::string(why), status);
}

bool lists(const HttpHead &head, std::string_view subprotocol) {
    const auto offered = head.list("Sec-WebSocket-Protocol");
    return std::ranges::find(offered, subprotocol) != offered.end();
}

} // namespace

std::string websocket_key() {
    std::array<unsigned char, 16> bytes{};
    (void)RAND_bytes(bytes.data(), static_cast<int>(bytes.size()));
    return base64(bytes.data(), bytes.size());
}

std::string websocket_accept(std::string_view key) {
    const std::string text = std::string(key) + std::string(magic);
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
    SHA1(reinterpret_cast<const unsigned char *>(text.data()), text.size(), digest.data());
    return base64(digest.data(), digest.size());
}

bool is_websocket_key(std::string_view text) noexcept {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    return text.size() == key_length && text.ends_with("==") &&
           text.substr(0, key_length - 2).find_first_not_of(alphabet) == std::string_view::npos;
}

std::string upgrade_request(const UpgradeTarget &target, std::string_view subprotocol) {
    std::string text = "GET " + target.path + " HTTP/1.1\r\nHost: " + target.host + "\r\n";
    text += "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
    text += "Sec-WebSocket-Key: " + target.key + "\r\n";
    if (!subprotocol.empty()) text += "Sec-WebSocket-Protocol: " + std::string(subprotocol) + "\r\n";
    return text + "\r\n";
}

Result<> check_upgrade_response(const HttpHead &response, std::string_view key,
                                std::string_view subprotocol) {
    const auto refused = [](const std::string &why) { return fail(Errc::network, why); };
    if (response.status != 101)
        return refused(
            "the server refused the WebSocket: HTTP " + std::to_string(response.status) + " " +
            (response.reason.empty() ? std::string(http_reason(response.status)) : response.reason));
    if (!response.has_token("Upgrade", "websocket") || !response.has_token("Connection", "upgrade"))
        return refused("the server switched to something that is not WebSocket");
    if (response.value("Sec-WebSocket-Accept") != websocket_accept(key))
        return refused("the server's WebSocket handshake is wrong (Sec-WebSocket-Accept)");
    if (response.count("Sec-WebSocket-Extensions") > 0)
        return refused("the server uses WebSocket extensions that were not offered");
    if (!subprotocol.empty() && (response.count("Sec-WebSocket-Protocol") != 1 ||
                                 response.value("Sec-WebSocket-Protocol") != subprotocol))
        return refused("the WebSocket server does not speak SIP (no subprotocol \"" +
                       std::string(subprotocol) + "\" in its answer)");
    return {};
}

bool wants_websocket(const HttpHead &request) {
    return request.count("Upgrade") > 0 || request.count("Sec-WebSocket-Key") > 0;
}

Result<> check_upgrade_request(const HttpHead &request, std::string_view subprotocol) {
    if (request.method != "GET") return refuse(400, "an upgrade takes GET");
    if (request.minor < 1) return refuse(505, "an upgrade takes HTTP/1.1");
    if (!request.has_token("Upgrade", "websocket")) return refuse(400, "an upgrade to something else");
    if (!request.has_token("Connection", "upgrade"))
        return refuse(400, "Connection does not name the upgrade");
    if (request.count("Sec-WebSocket-Version") != 1 || request.value("Sec-WebSocket-Version") != "13")
        return refuse(426, "version 13 is spoken here");
    if (request.count("Sec-WebSocket-Key") != 1 || !is_websocket_key(request.value("Sec-WebSocket-Key")))
        return refuse(400, "no Sec-WebSocket-Key of 16 bytes in base64");
    if (!subprotocol.empty() && !lists(request, subprotocol))
        return refuse(400, "the subprotocol \"" + std::string(subprotocol) + "\" is spoken here");
    return {};
}

std::string upgrade_response(const HttpHead &request, std::string_view subprotocol) {
    std::string text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    text += "Sec-WebSocket-Accept: " + websocket_accept(request.value("Sec-WebSocket-Key")) + "\r\n";
    if (!subprotocol.empty()) text += "Sec-WebSocket-Protocol: " + std::string(subprotocol) + "\r\n";
    return text + "\r\n";
}

bool is_own_origin(const HttpHead &request, bool secure) {
    if (request.count("Origin") == 0) return true;
    if (request.count("Origin") > 1) return false;
    const std::string own = (secure ? "https://" : "http://") + std::string(request.value("Host"));
    return iequals(request.value("Origin"), own);
}

} // namespace offhook::sip
