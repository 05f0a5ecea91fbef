#include "sip/reliable.hpp"

#include <algorithm>
#include <limits>

#include "sip/headers.hpp"

namespace offhook::sip {

namespace {

constexpr int patience = 64; // times T1

std::string_view take_word(std::string_view &text) noexcept {
    text = trim(text);
    const auto word = text.substr(0, text.find_first_of(" \t"));
    text.remove_prefix(word.size());
    return word;
}

} // namespace

std::optional<std::uint32_t> parse_rseq(std::string_view text) noexcept {
    const auto number = parse_number(trim(text));
    if (!number || *number == 0 || *number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    return static_cast<std::uint32_t>(*number);
}

Result<RAck> RAck::parse(std::string_view text) {
    const std::string_view whole = text;
    const auto rseq = parse_rseq(take_word(text));
    auto cseq = CSeq::parse(trim(text));
    if (!rseq || !cseq)
        return fail(Errc::parse, "RAck: expected RSEQ CSEQ METHOD, found \"" + std::string(whole) + "\"",
                    400);
    return RAck{*rseq, cseq->number, std::move(cseq->method)};
}

std::string RAck::encode() const {
    return std::to_string(rseq) + " " + std::to_string(cseq) + " " + method;
}

ReliableReceiver::Verdict ReliableReceiver::receive(std::uint32_t rseq) noexcept {
    if (last_ != 0 && rseq <= last_) return Verdict::repeated;
    if (last_ != 0 && rseq != last_ + 1) return Verdict::out_of_order;
    last_ = rseq;
    return Verdict::acknowledge;
}

std::uint32_t ReliableSender::send(bool with_session, Duration t1) noexcept {
    open_ = true;
    session_ = with_session;
    wait_ = t1;
    spent_ = Duration{0};
    return next_;
}

std::optional<Duration> ReliableSender::next_wait(Duration t1) noexcept {
    if (spent_ >= patience * t1) return std::nullopt;
    const Duration now = std::min(wait_, patience * t1 - spent_);
    spent_ += now;
    wait_ *= 2;
    return now;
}

bool ReliableSender::acknowledge(const RAck &rack, std::uint32_t invite_cseq) noexcept {
    if (!open_ || rack.rseq != next_ || rack.cseq != invite_cseq || rack.method != "INVITE") return false;
    open_ = false;
    ++next_;
    return true;
}

} // namespace offhook::sip
