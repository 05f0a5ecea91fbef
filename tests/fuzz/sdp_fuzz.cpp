// Any bytes as an offer, as the answer to ours, and as a re-offer in the middle of a call.
#include "media/offer_answer.hpp"
#include "tests/fuzz/body.hpp"

using namespace offhook;
using namespace offhook::fuzz;
using namespace offhook::media;

namespace {

OfferAnswer machine() {
    return OfferAnswer(
        {.rtp = *Address::parse("192.0.2.1", 4000), .codecs = *parse_codec_list("opus,pcma,pcmu,l16")});
}

void check(const OfferAnswer &agreed) {
    const auto &now = agreed.negotiated();
    if (!now) return;
    require(now->codec != nullptr && now->send_payload_type < 128 && now->receive_payload_type < 128);
    require(now->ptime_ms > 0 && now->ptime_ms <= 1000 && now->event_clock_rate > 0);
    for (const auto &[type, codec] : now->receivable)
        require(type < 128 && codec != nullptr);
}

void check_answer(std::string_view offer, const std::string &answer) {
    const auto asked = Sdp::parse(offer), said = Sdp::parse(answer);
    require(asked && said && asked->media.size() == said->media.size()); // RFC 3264 §6
    require(answer.size() < 65536);
}

} // namespace

FUZZ_BODY(sdp) {
    const auto text = text_of(input);
    if (const auto parsed = Sdp::parse(text)) {
        const std::string written = parsed->encode();
        if (written.size() <= 65536) {
            const auto again = Sdp::parse(written);
            require(again && again->media.size() == parsed->media.size());
            const std::string settled = again->encode(); // control characters are gone after the first time
            const auto third = Sdp::parse(settled);
            require(third && third->encode() == settled);
        }
    }
    auto called = machine();
    if (called.apply_offer(text)) {
        const auto answer = called.make_answer();
        require(answer.has_value());
        check_answer(text, *answer);
        check(called);
    }
    auto caller = machine();
    require(caller.make_offer().has_value());
    (void)caller.apply_answer(text);
    check(caller);
    if (caller.state() != OfferAnswer::State::stable) caller.roll_back();
    if (caller.negotiated() && caller.apply_offer(text)) {
        if (const auto answer = caller.make_answer()) check_answer(text, *answer);
        check(caller);
    }
    caller.set_hold(true);
    if (caller.make_offer()) caller.roll_back();
}
