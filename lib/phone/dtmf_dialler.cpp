#include "phone/dtmf_dialler.hpp"

#include "media/dtmf.hpp"

namespace offhook {

namespace {
constexpr Duration poll_every{20};
constexpr Duration tone{160}, tone_and_gap{320}, pause_length{500};
constexpr Duration patience{5'000}; // a digit that takes longer is stuck: nothing is being sent
constexpr std::size_t most = 256;

bool is_pause(char c) {
    return c == ',' || c == 'w';
}
} // namespace

std::string_view name(DtmfMode mode) noexcept {
    switch (mode) {
    case DtmfMode::automatic:
        return "auto";
    case DtmfMode::rfc4733:
        return "rfc4733";
    case DtmfMode::info:
        return "info";
    case DtmfMode::inband:
        return "inband";
    }
    return {};
}

Result<> DtmfDialler::send(std::string_view digits, DtmfMode mode) {
    for (const char c : digits)
        if (!is_pause(c) && !media::dtmf_event_code(c) && !(c >= 'a' && c <= 'd'))
            return fail(Errc::invalid_argument,
                        "\"" + std::string(1, c) + "\" is no DTMF digit (0-9 * # A-D , w)");
    if (digits.empty()) return fail(Errc::invalid_argument, "no DTMF digits given");
    if (queue_.size() + digits.size() > most)
        return fail(Errc::invalid_argument, "more than 256 DTMF digits waiting");
    const bool idle = queue_.empty();
    for (const char c : digits)
        queue_.push_back({c >= 'a' && c <= 'd' ? static_cast<char>(c - 'a' + 'A') : c, mode});
    if (idle) timer_.start(Duration{0}, [this] { next(); });
    return {};
}

void DtmfDialler::stop() {
    queue_.clear();
    timer_.cancel();
}

void DtmfDialler::next() {
    if (queue_.empty()) return;
    const auto [digit, mode] = queue_.front();
    sent_at_ = loop_.now();
    if (is_pause(digit)) return timer_.start(pause_length, [this] { done(); });
    if (auto sent = listener_.send_digit(digit, mode); !sent) {
        stop();
        return listener_.on_digits_failed(sent.error());
    }
    timer_.start(poll_every, [this] { wait(); });
}

void DtmfDialler::wait() {
    const auto [digit, mode] = queue_.front();
    const auto taken = loop_.now() - sent_at_;
    const bool busy = listener_.digit_busy(mode) || (mode == DtmfMode::info && taken < tone_and_gap);
    if (!busy) {
        listener_.on_digit_sent(digit, mode, tone);
        return done();
    }
    if (taken > patience && mode != DtmfMode::info) { // INFO has its transaction's time-out
        stop();
        return listener_.on_digits_failed({Errc::media, "DTMF cannot be sent: no audio is flowing"});
    }
    timer_.start(poll_every, [this] { wait(); });
}

void DtmfDialler::done() {
    if (!queue_.empty()) queue_.pop_front();
    next();
}

} // namespace offhook
