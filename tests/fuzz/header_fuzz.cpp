// Any bytes as the value of every header that we decode.
#include <string>

#include "sip/digest.hpp"
#include "sip/event_headers.hpp"
#include "sip/headers.hpp"
#include "sip/refer.hpp"
#include "sip/replaces.hpp"
#include "tests/fuzz/body.hpp"

using namespace offhook;
using namespace offhook::fuzz;
using namespace offhook::sip;

namespace {

void addresses(std::string_view value) {
    if (const auto one = NameAddr::parse(value)) {
        const auto again = NameAddr::parse(one->encode());
        require(again && again->encode() == one->encode());
    }
    if (const auto list = NameAddr::parse_list(value)) {
        require(!list->empty());
        std::string joined;
        for (const auto &address : *list)
            joined += (joined.empty() ? "" : ", ") + address.encode();
        const auto again = NameAddr::parse_list(joined);
        require(again && again->size() == list->size());
    }
}

void vias(std::string_view value) {
    const auto list = Via::parse_list(value);
    if (!list) return;
    for (const auto &via : *list) {
        const auto again = Via::parse(via.encode());
        require(again && again->encode() == via.encode());
    }
}

void credentials(std::string_view value) {
    if (const auto parsed = AuthParams::parse(value)) (void)verify(*parsed, {"u", "p"}, "INVITE");
    const auto challenge = Challenge::parse(value, false);
    if (!challenge) return;
    ClientNonce nonce;
    const auto written = authorize(*challenge, {"u", "p"}, "INVITE", "sip:a", "", nonce);
    const auto auth = AuthParams::parse(written);
    require(auth && verify(*auth, {"u", "p"}, "INVITE") && !verify(*auth, {"u", "q"}, "INVITE"));
    require(written.find_first_of(std::string_view("\r\n\0", 3)) == written.npos);
}

} // namespace

FUZZ_BODY(header) {
    const auto value = text_of(input);
    addresses(value);
    vias(value);
    credentials(value);
    if (const auto cseq = CSeq::parse(value)) require(cseq->number < 0x80000000U && !cseq->method.empty());
    (void)parse_delta_seconds(value);
    (void)parse_number(value);
    for (const auto element : split_list(value))
        require(!element.empty() && trim(element) == element && element.data() >= value.data());
    const auto first = first_element(value);
    const auto all = split_list(value);
    require(all.empty() ? first.empty() : first == all.front());
    (void)EventName::parse(value);
    (void)SubscriptionStatus::parse(value);
    (void)parse_sipfrag(value);
    (void)Replaces::parse(value);
    (void)Replaces::parse_escaped(value);
    (void)ReferTo::parse(value);
}
