#include "sip/stream_connection.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "sip/sctp_messages.hpp"

namespace offhook::sip {

namespace {

constexpr std::size_t read_size = 16'384;
constexpr int reads_per_wakeup = 8;       // then timers and other sockets have their turn
constexpr Duration linger{2'000};         // for the peer to read our last words
constexpr std::uint8_t pings_at_most = 2; // without an answer

bool try_again(int err) {
    return err == EAGAIN || err == EWOULDBLOCK || err == EINTR;
}

} // namespace

Result<std::shared_ptr<StreamConnection>> StreamConnection::connect(Loop &loop, Listener &listener, Peer peer,
                                                                    Limits limits) {
    std::shared_ptr<StreamConnection> result(
        new StreamConnection(loop, listener, std::move(peer), limits, false));
    if (auto begun = result->begin_connect(); !begun) return fail(begun.error());
    return result;
}

Result<std::shared_ptr<StreamConnection>> StreamConnection::accept(Loop &loop, Listener &listener, Peer peer,
                                                                   Limits limits) {
    std::shared_ptr<StreamConnection> result(
        new StreamConnection(loop, listener, std::move(peer), limits, true));
    result->flow_.local = result->socket_->local();
    result->connected();
    if (auto watched = result->watch(); !watched) return fail(watched.error());
    return result;
}

StreamConnection::StreamConnection(Loop &loop, Listener &listener, Peer peer, Limits limits, bool incoming)
    : loop_(loop), listener_(listener), limits_(limits), socket_(std::move(peer.socket)),
      tls_(std::move(peer.tls)), framing_(std::move(peer.framing)), guest_(peer.guest), incoming_(incoming),
      deadline_(loop), breaking_(loop), resend_(loop) {
    flow_ = {peer.kind, {}, peer.remote, peer.id};
    if (!framing_) framing_ = std::make_unique<SipFraming>();
}

StreamConnection::~StreamConnection() {
    if (state_ != State::open) return;
    (void)write(framing_->good_bye());
    if (tls_) {
        tls_->shut_down();
        collect_output();
    }
    (void)flush();
}

std::string StreamConnection::where() const {
    return std::string(uri_token(flow_.kind)) + ":" + flow_.remote.to_string();
}

Result<> StreamConnection::begin_connect() {
    const int err = socket_->connect(flow_.remote);
    if (err != 0 && err != EINPROGRESS) return fail_errno(Errc::network, err, where());
    flow_.local = socket_->local();
    deadline(limits_.connect, "no answer to the connection attempt");
    return watch();
}

void StreamConnection::connected() {
    if (!tls_) return established();
    state_ = State::handshaking;
    deadline(limits_.handshake, "the TLS handshake took too long");
    if (auto started = tls_->start(); !started) return fail_later(started.error());
    collect_output();
    watch_handshake();
}

void StreamConnection::begin_with(std::string_view first) {
    if (first.empty()) return;
    const auto self = shared_from_this();
    decrypt(first);
    if (state_ == State::closed || broken_) return;
    if (auto flushed = flush(); !flushed) close(flushed.error());
}

// DTLS sends a flight again that was lost (RFC 6347 §4.2.4).
void StreamConnection::watch_handshake() {
    const auto again = tls_->resend_in();
    if (!again) return resend_.cancel();
    resend_.start(*again, [this] {
        if (auto sent = tls_->resend(); !sent)
            return close({sent.error().code, where() + ": " + sent.error().what});
        collect_output();
        watch_handshake();
        if (auto flushed = flush(); !flushed) close(flushed.error());
    });
}

void StreamConnection::established() {
    state_ = State::open;
    if (framing_->open()) return opened();
    deadline(limits_.handshake, "the WebSocket handshake took too long");
    (void)write(framing_->opening());
}

// SIP can be spoken now.
void StreamConnection::opened() {
    opened_ = true;
    deadline_.cancel();
    if (incoming_) deadline(limits_.first_message, "no SIP message came");
    if (!waiting_.empty()) (void)write(std::exchange(waiting_, {}));
    if (const auto client = framing_->client())
        listener_.on_client(*this, std::exchange(flow_.remote, *client));
}

// False when it broke the connection.
bool StreamConnection::write(std::string_view plaintext) {
    if (plaintext.empty()) return true;
    if (!tls_) {
        out_ += plaintext;
        return true;
    }
    if (auto sent = tls_->send(plaintext); !sent) {
        fail_later(sent.error());
        return false;
    }
    collect_output();
    return true;
}

Result<> StreamConnection::watch() {
    const bool writing = state_ == State::connecting || sent_ < out_.size();
    return socket_->watch(writing, [this](int flags) { ready(flags); });
}

void StreamConnection::ready(int flags) {
    const auto self = shared_from_this(); // the listener lets go of us in on_closed()
    if (state_ == State::connecting) finish_connect();
    if (state_ == State::closed || broken_ || state_ == State::connecting) return;
    if ((flags & (FdWatch::read | FdWatch::except)) != 0) receive();
    if (state_ == State::closed || broken_) return;
    if (auto flushed = flush(); !flushed) return close(flushed.error());
    if (state_ == State::draining && out_.empty()) drained();
}

void StreamConnection::finish_connect() {
    const int err = socket_->connected();
    if (err == EINPROGRESS) return;
    if (err != 0) return close(fail_errno(Errc::network, err, where()).value());
    flow_.local = socket_->local();
    connected();
}

void StreamConnection::receive() {
    for (int i = 0; i < reads_per_wakeup; ++i)
        if (!receive_once() || state_ == State::closed || broken_) return;
}

bool StreamConnection::receive_once() {
    std::array<char, read_size> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recv()
    const ssize_t size = socket_->receive(buffer);
    if (size < 0) {
        if (!try_again(errno)) close(fail_errno(Errc::network, errno, where()).value());
        return false;
    }
    if (state_ == State::draining) {
        if (size == 0 && !datagrams()) close(end_);
        return size > 0;
    }
    if (size == 0 && datagrams()) return true; // nobody's good-bye
    if (size == 0) {
        close({Errc::network, where() + ": connection closed by the peer"});
        return false;
    }
    const std::span bytes(buffer.data(), static_cast<std::size_t>(size));
    if (guest_ != nullptr && is_guests({bytes.data(), bytes.size()})) return false;
    if (tls_)
        decrypt({bytes.data(), bytes.size()});
    else
        deliver(bytes);
    return datagrams() || bytes.size() == buffer.size(); // less of a stream: there is no more for now
}

// False: no, and from now on it is known. What comes piecemeal is gathered in `waiting_`, for nothing of ours
// waits before the handshakes are over.
bool StreamConnection::is_guests(std::string_view bytes) {
    if (waiting_.empty() && !guest_->begins_with(static_cast<std::uint8_t>(bytes.front()))) {
        guest_ = nullptr;
        return false;
    }
    waiting_ += bytes;
    const auto verdict = guest_->judge(waiting_);
    if (verdict == PortGuest::Verdict::refuse) {
        guest_->refused(flow_.remote);
        close({Errc::network, where() + ": neither TLS nor HTTP"});
    }
    if (verdict == PortGuest::Verdict::take) hand_over();
    return true;
}

void StreamConnection::hand_over() {
    guest_->take(socket_->release(), flow_.remote, waiting_);
    close({Errc::network, where() + ": handed over"});
}

void StreamConnection::decrypt(std::string_view bytes) {
    auto received = tls_->receive(bytes);
    collect_output();
    if (!received) {
        (void)flush(); // the alert
        return close({received.error().code, where() + ": " + received.error().what});
    }
    if (state_ == State::handshaking) watch_handshake();
    if (state_ == State::handshaking && tls_->established()) established();
    if (!received->plaintext.empty()) deliver(received->plaintext);
    if (received->closed && state_ != State::closed)
        close({Errc::network, where() + ": connection closed by the peer"});
}

void StreamConnection::deliver(std::span<char> plaintext) {
    heard_at_ = loop_.now();
    unanswered_ = 0;
    while (state_ == State::open && !broken_) {
        auto item = framing_->next(plaintext);
        if (!item) return framing_failed(item.error());
        if (!write(framing_->take_output())) return;
        if (!opened_ && framing_->open()) opened();
        if (!*item) return;
        heard_item();
        listener_.on_item(*this, std::move(**item));
    }
}

void StreamConnection::framing_failed(const Error &error) {
    const Error why{error.code, where() + ": " + error.what, error.sip};
    const std::string last_words = framing_->take_output();
    if (last_words.empty()) return close(why);
    if (write(last_words)) finish(why);
}

void StreamConnection::heard_item() {
    if (std::exchange(heard_, true) || !incoming_) return;
    watch_silence(limits_.ping > Duration(0) ? limits_.ping : limits_.idle_incoming);
}

// One timer that looks when it is due costs less than one that each message restarts.
void StreamConnection::watch_silence(Duration delay) {
    deadline_.start(delay, [this] { silent(); });
}

void StreamConnection::silent() {
    const bool pings = limits_.ping > Duration(0);
    const Duration limit = pings ? limits_.ping : limits_.idle_incoming;
    const auto left = std::chrono::ceil<Duration>(heard_at_ + limit * (unanswered_ + 1) - loop_.now());
    if (left > Duration(0)) return watch_silence(left);
    if (!pings) return close({Errc::network, where() + ": nothing came for 15 minutes"});
    if (unanswered_ >= pings_at_most)
        return close({Errc::network, where() + ": two pings were not answered"});
    ++unanswered_;
    watch_silence(limit);
    (void)ping();
}

void StreamConnection::collect_output() {
    if (tls_) out_ += tls_->take_output();
}

Result<> StreamConnection::send(std::string_view message) {
    if (!usable()) return fail(Errc::network, where() + ": the connection is closed");
    std::string wire;
    framing_->append(wire, message);
    return send_wire(std::move(wire));
}

Result<> StreamConnection::ping() {
    if (!usable()) return fail(Errc::network, where() + ": the connection is closed");
    std::string wire;
    framing_->append_ping(wire);
    return send_wire(std::move(wire));
}

Result<> StreamConnection::send_wire(std::string wire) {
    if (out_.size() - sent_ + waiting_.size() + wire.size() > limits_.queue)
        return fail(Errc::network, where() + ": the peer does not read what is sent to it");
    if (!opened_) {
        waiting_ += wire;
        return {};
    }
    if (tls_) {
        if (auto sent = tls_->send(wire); !sent) return sent;
        collect_output();
    } else if (out_.empty()) {
        out_ = std::move(wire);
    } else {
        out_ += wire;
    }
    auto flushed = flush();
    if (!flushed) fail_later(flushed.error());
    return flushed;
}

Result<> StreamConnection::flush() {
    const std::size_t before = out_.size() - sent_;
    while (sent_ < out_.size()) {
        const ssize_t size = socket_->send({out_.data() + sent_, next_piece()});
        if (size < 0 && !try_again(errno)) return fail_errno(Errc::network, errno, where());
        if (size < 0) break;
        sent_ += static_cast<std::size_t>(size);
    }
    const bool moved = out_.size() - sent_ < before;
    if (sent_ == out_.size()) {
        std::string().swap(out_); // an idle connection holds nothing
        sent_ = 0;
    }
    if (state_ == State::draining && moved) deadline_.start(linger, [this] { close(end_); });
    return watch();
}

// A stream takes what it can, SCTP whole messages; of DTLS each record goes in a datagram of its own (RFC
// 6347 §4.1: its length stands at its eleventh byte).
std::size_t StreamConnection::next_piece() const {
    constexpr std::size_t header = 13, length_at = 11;
    const std::size_t rest = out_.size() - sent_;
    if (flow_.kind == TransportKind::sctp)
        return sctp_messages::first(std::string_view(out_).substr(sent_)).size();
    if (!datagrams() || rest <= header) return rest;
    const auto byte = [&](std::size_t at) {
        return static_cast<std::size_t>(static_cast<unsigned char>(out_[sent_ + at]));
    };
    return std::min(rest, header + (byte(length_at) << 8U | byte(length_at + 1)));
}

void StreamConnection::finish(Error error) {
    if (state_ >= State::draining) return;
    if (state_ == State::open) {
        (void)write(framing_->good_bye());
        if (tls_) tls_->shut_down();
        collect_output();
    }
    state_ = State::draining;
    end_ = std::move(error);
    deadline_.start(linger, [this] { close(end_); });
    if (auto flushed = flush(); !flushed) return fail_later(end_);
    if (out_.empty()) drained();
}

// Our last words are with the kernel. Closing with unread input would send RST and could destroy them on the
// other side, so the peer gets a moment to close first.
void StreamConnection::drained() {
    socket_->shut_down();
}

void StreamConnection::deadline(Duration delay, const char *why) {
    deadline_.start(delay, [this, why] { too_slow(why); });
}

void StreamConnection::too_slow(const char *why) {
    const Error error{tls_ && state_ == State::handshaking ? Errc::tls : Errc::network, where() + ": " + why};
    const std::string last_words = state_ == State::open ? framing_->too_slow() : "";
    if (last_words.empty()) return close(error);
    if (write(last_words)) finish(error);
}

void StreamConnection::fail_later(Error error) {
    if (broken_ || state_ == State::closed) return;
    broken_ = true;
    breaking_.start(Duration(0), [this, error = std::move(error)] { close(error); });
}

void StreamConnection::close(const Error &error) {
    if (state_ == State::closed) return;
    const auto self = shared_from_this();
    state_ = State::closed;
    deadline_.cancel();
    breaking_.cancel();
    resend_.cancel();
    socket_->close();
    listener_.on_closed(*this, error);
}

} // namespace offhook::sip
