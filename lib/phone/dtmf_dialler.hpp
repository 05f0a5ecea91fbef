// Sends a row of DTMF digits one after another, whatever carries them: the next one goes when the last is
// over.
#pragma once

#include <deque>
#include <string>
#include <string_view>

#include "base/loop.hpp"
#include "base/result.hpp"
#include "phone/settings.hpp"

namespace offhook {

std::string_view name(DtmfMode mode) noexcept; // "rfc4733", "info", "inband"

class DtmfDialler {
public:
    struct Listener {
        virtual Result<> send_digit(char digit, DtmfMode mode) = 0;
        [[nodiscard]] virtual bool digit_busy(DtmfMode mode) const = 0; // the last one is still going out
        virtual void on_digit_sent(char digit, DtmfMode mode, Duration length) = 0;
        virtual void on_digits_failed(const Error &error) = 0;

    protected:
        ~Listener() = default;
    };

    DtmfDialler(Loop &loop, Listener &listener) : loop_(loop), listener_(listener), timer_(loop) {}

    // 0-9 * # A-D a-d, and `,` or `w` for 500 ms of pause; at most 256 waiting. Errors: invalid_argument.
    Result<> send(std::string_view digits, DtmfMode mode);
    void stop();
    [[nodiscard]] bool busy() const { return !queue_.empty(); }

private:
    struct Entry {
        char digit;
        DtmfMode mode;
    };
    void next();
    void wait();
    void done();

    Loop &loop_;
    Listener &listener_;
    std::deque<Entry> queue_; // the first one is going out
    TimePoint sent_at_{};
    Timer timer_;
};

} // namespace offhook
