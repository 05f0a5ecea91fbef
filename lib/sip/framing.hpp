// What turns a connection's bytes into SIP messages and back: by Content-Length on TCP and TLS, by frames on
// WebSocket. No I/O.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "sip/framer.hpp"

namespace offhook::sip {

class Framing {
public:
    using Item = StreamFramer::Item;

    Framing() = default;
    virtual ~Framing() = default;
    Framing(const Framing &) = delete;
    Framing &operator=(const Framing &) = delete;

    // The first bytes of our own (a WebSocket client's request).
    virtual std::string opening() { return {}; }
    // May messages be sent already?
    [[nodiscard]] virtual bool open() const { return true; }
    // The next item of `bytes`, which may be changed in place and is shortened by what was taken; nothing
    // when more is needed. After an error nothing more can be read; what take_output() gives then is to be
    // sent first.
    virtual Result<std::optional<Item>> next(std::span<char> &bytes) = 0;
    // What the peer is to be sent because of what came.
    virtual std::string take_output() { return {}; }
    // The wire form of a message, and of a ping that the peer has to answer.
    virtual void append(std::string &out, std::string_view message) = 0;
    virtual void append_ping(std::string &out) = 0;
    // Whose the connection is, where that is known and somebody else than who opened it (a proxy); from
    // open() on.
    [[nodiscard]] virtual std::optional<Address> client() const { return std::nullopt; }
    // Last words: for a peer that took too long to open, and for an orderly end.
    virtual std::string too_slow() { return {}; }
    virtual std::string good_bye() { return {}; }
};

// RFC 3261 §18.3.
class SipFraming final : public Framing {
public:
    Result<std::optional<Item>> next(std::span<char> &bytes) override;
    void append(std::string &out, std::string_view message) override { out += message; }
    void append_ping(std::string &out) override { out += "\r\n\r\n"; } // RFC 5626 §3.5.1

private:
    StreamFramer framer_;
};

} // namespace offhook::sip
