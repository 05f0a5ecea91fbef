// Browsers without a browser: WebSocket connections (RFC 7118) that register and stay, and requests sent over
// one. Not measured itself. Prints JSON lines.
#include <cstring>
#include <memory>

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <sys/resource.h>

#include "peer.hpp"

namespace peer {

namespace {

// A blocking connection, with TLS when a context is given (the certificate is the server's own: not
// verified).
class WebSocket {
public:
    WebSocket(std::uint16_t port, SSL_CTX *tls) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        auto address = loopback(port);
        if (fd_ < 0 || connect(fd_, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0)
            die("connect");
        if (tls != nullptr) {
            ssl_.reset(SSL_new(tls));
            SSL_set_fd(ssl_.get(), fd_);
            if (SSL_connect(ssl_.get()) != 1) die("TLS handshake");
        }
        const std::string host = "127.0.0.1:" + std::to_string(port);
        write(
            "GET / HTTP/1.1\r\nHost: " + host +
            "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\nOrigin: https://" +
            host + "\r\n\r\n");
        while (buffer_.find("\r\n\r\n") == std::string::npos)
            fill();
        if (!buffer_.starts_with("HTTP/1.1 101")) {
            (void)std::fprintf(stderr, "refused: %s\n", buffer_.substr(0, buffer_.find('\r')).c_str());
            std::exit(1);
        }
        buffer_.erase(0, buffer_.find("\r\n\r\n") + 4);
    }
    ~WebSocket() {
        ssl_.reset();
        if (fd_ >= 0) close(fd_);
    }
    WebSocket(WebSocket &&other) noexcept
        : fd_(std::exchange(other.fd_, -1)), ssl_(std::move(other.ssl_)), buffer_(std::move(other.buffer_)) {}
    WebSocket &operator=(WebSocket &&) = delete;

    // One text frame. Its mask is zero, which is a mask (RFC 6455 §5.3).
    void send(std::string_view text) {
        std::string frame = "\x81";
        if (text.size() < 126)
            frame += static_cast<char>(0x80 | text.size());
        else
            (frame += '\xfe') += {static_cast<char>(text.size() >> 8), static_cast<char>(text.size())};
        write(frame.append(4, '\0').append(text));
    }
    // The next frame with SIP in it; pings are answered, keep-alives skipped.
    std::string receive() {
        while (true) {
            while (!whole())
                fill();
            const auto [head, size] = layout();
            const int opcode = buffer_[0] & 0x0f;
            std::string payload = buffer_.substr(head, size);
            buffer_.erase(0, head + size);
            if (opcode == 9) write(std::string("\x8a\x80\0\0\0\0", 6));
            if (opcode <= 2 && payload.size() > 4) return payload;
        }
    }
    [[nodiscard]] bool has_frame() const { return whole(); }
    [[nodiscard]] int fd() const { return fd_; }
    void fill() {
        char bytes[16384];
        pollfd one{fd_, POLLIN, 0};
        if ((!ssl_ || SSL_pending(ssl_.get()) == 0) && poll(&one, 1, 10'000) <= 0) {
            (void)std::fputs("no answer in 10 s\n", stderr);
            std::exit(1);
        }
        const auto got = ssl_ ? SSL_read(ssl_.get(), bytes, sizeof bytes)
                              : static_cast<int>(recv(fd_, bytes, sizeof bytes, 0));
        if (got <= 0) die("the server closed a connection");
        buffer_.append(bytes, static_cast<std::size_t>(got));
    }

private:
    struct Free {
        void operator()(SSL *ssl) const { SSL_free(ssl); }
    };
    void write(std::string_view bytes) {
        const auto sent = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                               : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent != static_cast<long>(bytes.size())) die("send");
    }
    [[nodiscard]] std::pair<std::size_t, std::size_t>
    layout() const { // of the frame in front; servers do not mask
        const std::size_t length = buffer_[1] & 0x7f;
        if (length < 126) return {2, length};
        std::size_t size = 0;
        const std::size_t bytes = length == 126 ? 2 : 8;
        for (std::size_t i = 0; i < bytes; ++i)
            size = size << 8 | static_cast<std::uint8_t>(buffer_[2 + i]);
        return {2 + bytes, size};
    }
    [[nodiscard]] bool whole() const {
        if (buffer_.size() < 2) return false;
        const std::size_t length = buffer_[1] & 0x7f;
        if (buffer_.size() < (length < 126 ? 2U : length == 126 ? 4U : 10U)) return false;
        const auto [head, size] = layout();
        return buffer_.size() >= head + size;
    }

    int fd_;
    std::unique_ptr<SSL, Free> ssl_;
    std::string buffer_;
};

const char *domain = "house.test";
const char *password = "secret";

std::string request(const std::string &method, const std::string &uri, const std::string &user,
                    const std::string &id, unsigned cseq, const std::string &more) {
    const std::string number = std::to_string(cseq), self = "sip:" + user + "@" + domain;
    return method + " " + uri + " SIP/2.0\r\nVia: SIP/2.0/WS " + user + ".invalid;branch=z9hG4bK" + id +
           number + "\r\nMax-Forwards: 70\r\nFrom: <" + self + ">;tag=" + id + "\r\nTo: <" +
           (method == "REGISTER" ? self : uri) + ">\r\nCall-ID: " + id + "\r\nCSeq: " + number + " " +
           method + "\r\n" + more + "Content-Length: 0\r\n\r\n";
}

// Servers remember requests for a while: no two runs send the same ones.
const std::string &run_id() {
    static const std::string id = std::to_string(now());
    return id;
}

std::string md5(const std::string &text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), digest, &size, EVP_md5(), nullptr);
    std::string out;
    char two[3];
    for (unsigned i = 0; i < size; ++i) {
        (void)std::snprintf(two, sizeof two, "%02x", digest[i]);
        out += two;
    }
    return out;
}

// The value of a parameter of the MD5 challenge in a response.
std::string parameter(std::string_view response, std::string_view name) {
    for (auto at = response.find("Digest "); at != response.npos; at = response.find("Digest ", at + 1)) {
        const auto line = response.substr(at, response.find("\r\n", at) - at);
        if (line.find("algorithm=SHA") != line.npos) continue;
        auto value = line.find(std::string(name) + "=\"");
        if (value == line.npos) return {};
        value += name.size() + 2;
        return std::string(line.substr(value, line.find('"', value) - value));
    }
    return {};
}

// The Authorization (or Proxy-Authorization) lines that a 401 or 407 asks for, for one method and URI.
class Credentials {
public:
    Credentials(const std::string &challenge, const std::string &method, const std::string &uri,
                const std::string &user)
        : nonce_(parameter(challenge, "nonce")), counts_(!parameter(challenge, "qop").empty()) {
        const std::string realm = parameter(challenge, "realm");
        secret_ = md5(user + ":" + realm + ":" + password);
        action_ = md5(method + ":" + uri);
        start_ = std::string(challenge.starts_with("SIP/2.0 407") ? "Proxy-Authorization" : "Authorization") +
                 ": Digest username=\"" + user + "\", realm=\"" + realm + "\", nonce=\"" + nonce_ +
                 "\", uri=\"" + uri + "\", algorithm=MD5, response=\"";
    }
    // Each has a count of its own: one that is used twice is a replay.
    std::string next() {
        char count[9];
        (void)std::snprintf(count, sizeof count, "%08x", ++used_);
        const std::string middle = counts_ ? nonce_ + ":" + count + ":c:auth:" : nonce_ + ":";
        return start_ + md5(secret_ + ":" + middle + action_) +
               (counts_ ? std::string("\", qop=auth, cnonce=\"c\", nc=") + count : std::string("\"")) +
               "\r\n";
    }

private:
    std::string nonce_, secret_, action_, start_;
    bool counts_;
    unsigned used_ = 0;
};

void sign_up(WebSocket &socket, const std::string &user, const char *transport) {
    const std::string uri = std::string("sip:") + domain;
    const std::string contact = "Contact: <sip:" + user + "@" + user + ".invalid;transport=" + transport +
                                ">;+sip.instance=\"<urn:uuid:00000000-0000-4000-8000-" + user +
                                ">\";reg-id=1\r\nSupported: path, outbound\r\nExpires: 3600\r\n";
    socket.send(request("REGISTER", uri, user, user + "r" + run_id(), 1, contact));
    std::string answer = socket.receive();
    if (answer.starts_with("SIP/2.0 401")) {
        socket.send(request("REGISTER", uri, user, user + "r" + run_id(), 2,
                            contact + Credentials(answer, "REGISTER", uri, user).next()));
        answer = socket.receive();
    }
    if (answer.starts_with("SIP/2.0 200")) return;
    (void)std::fprintf(stderr, "REGISTER of %s: %s\n", user.c_str(),
                       answer.substr(0, answer.find('\r')).c_str());
    std::exit(1);
}

std::string user_number(unsigned i) {
    char text[16];
    (void)std::snprintf(text, sizeof text, "%012u", i);
    return text;
}

// Connects and registers `count` users from `first` on, says so, and keeps them until stdin ends.
int stay(std::uint16_t port, unsigned count, unsigned first, SSL_CTX *tls) {
    std::vector<std::unique_ptr<WebSocket>> all;
    for (unsigned i = first; i < first + count; ++i) {
        all.push_back(std::make_unique<WebSocket>(port, tls));
        sign_up(*all.back(), user_number(i), tls != nullptr ? "wss" : "ws");
    }
    std::printf("{\"event\":\"registered\",\"count\":%u}\n", count);
    (void)std::fflush(stdout);
    char rest = 0;
    while (read(STDIN_FILENO, &rest, 1) > 0) {
    }
    return 0;
}

// A user that sends MESSAGE requests. Once asked for credentials, it gives them each time, so that what is
// measured is one transaction for each request.
class Sender {
public:
    Sender(std::uint16_t port, const std::string &target, const std::string &user, SSL_CTX *tls)
        : target_(target), user_(user), socket_(port, tls) {
        sign_up(socket_, user, tls != nullptr ? "wss" : "ws");
        socket_.send(request("MESSAGE", target, user, "probe" + user + run_id(), 1, ""));
        const std::string first = socket_.receive();
        asked_ = first.starts_with("SIP/2.0 40");
        credentials_.emplace(first, "MESSAGE", target, user);
    }
    void send() {
        socket_.send(request("MESSAGE", target_, user_, user_ + "m" + run_id() + std::to_string(sent_++), 1,
                             asked_ ? credentials_->next() : ""));
    }
    unsigned granted() { // by what can be read now
        socket_.fill();
        unsigned count = 0;
        while (socket_.has_frame())
            count += socket_.receive().starts_with("SIP/2.0 200") ? 1 : 0;
        return count;
    }
    [[nodiscard]] pollfd waiting() const { return {socket_.fd(), POLLIN, 0}; }
    [[nodiscard]] bool asked() const { return asked_; }

private:
    std::string target_, user_;
    WebSocket socket_;
    std::optional<Credentials> credentials_;
    bool asked_ = false;
    unsigned sent_ = 0;
};

// MESSAGE requests to a SIP URI, at an even rate, from as many users as send that much.
int transact(std::uint16_t port, const std::string &target, unsigned rate, double seconds, SSL_CTX *tls) {
    constexpr unsigned each = 15; // a second: a bridge takes no more than 25 from one connection
    std::vector<std::unique_ptr<Sender>> senders;
    for (unsigned i = 0; i <= rate / each; ++i)
        senders.push_back(std::make_unique<Sender>(port, target, user_number(i), tls));
    std::vector<pollfd> waiting;
    for (const auto &sender : senders)
        waiting.push_back(sender->waiting());
    const auto total = static_cast<unsigned>(rate * seconds);
    const auto start = now();
    unsigned sent = 0, answered = 0;
    for (const auto end = start + static_cast<Microseconds>((seconds + 5) * 1e6);
         answered < total && now() < end;) {
        for (; sent < total && now() - start >= Microseconds{sent} * 1'000'000 / rate; ++sent)
            senders[sent % senders.size()]->send();
        if (poll(waiting.data(), waiting.size(), 1) <= 0) continue;
        for (std::size_t i = 0; i < senders.size(); ++i)
            if (waiting[i].revents != 0) answered += senders[i]->granted();
    }
    std::printf("{\"sent\":%u,\"answered\":%u,\"asked\":%s}\n", sent, answered,
                senders.front()->asked() ? "true" : "false");
    return 0;
}

} // namespace

} // namespace peer

int main(int argc, char **argv) {
    const rlimit files{16'384, 16'384};
    (void)setrlimit(RLIMIT_NOFILE, &files);
    const std::string_view mode = argc > 1 ? argv[1] : "";
    const bool wss = argc > 2 && std::string_view(argv[2]) == "wss";
    const auto port = static_cast<std::uint16_t>(argc > 3 ? std::atoi(argv[3]) : 0);
    SSL_CTX *tls = wss ? SSL_CTX_new(TLS_client_method()) : nullptr;
    const auto number = [&](int i) { return static_cast<unsigned>(std::atoi(argv[i])); };
    if (mode == "stay" && argc == 6) return peer::stay(port, number(4), number(5), tls);
    if (mode == "transact" && argc == 7)
        return peer::transact(port, argv[4], number(5), std::atof(argv[6]), tls);
    (void)std::fputs("usage: ws_load stay ws|wss PORT COUNT FIRST | transact ws|wss PORT URI RATE SECONDS\n",
                     stderr);
    return 2;
}
