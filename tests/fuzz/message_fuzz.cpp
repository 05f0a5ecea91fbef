// Any bytes as a datagram and as a stream; parsed, screened, decoded, answered and written again.
#include <string>

#include "sip/digest.hpp"
#include "sip/draft.hpp"
#include "sip/framer.hpp"
#include "sip/screen.hpp"
#include "tests/fuzz/body.hpp"

using namespace offhook::fuzz;
using namespace offhook::sip;

namespace {

void decode_addresses(std::string_view value) {
    const auto list = NameAddr::parse_list(value);
    if (!list) return;
    for (const auto &address : *list) {
        const auto again = NameAddr::parse(address.encode());
        require(again && again->encode() == address.encode());
        require(address.uri.equals(again->uri));
        (void)address.uri.user_decoded();
    }
}

void decode(const Header &header) {
    decode_addresses(header.value);
    if (const auto vias = Via::parse_list(header.value))
        for (const auto &via : *vias)
            require(Via::parse(via.encode()).has_value());
    (void)CSeq::parse(header.value);
    (void)parse_delta_seconds(header.value);
    if (const auto challenge = Challenge::parse(header.value, false)) {
        ClientNonce nonce;
        const auto value = authorize(*challenge, {"u", "p"}, "INVITE", "sip:a", "", nonce);
        const auto auth = AuthParams::parse(value);
        require(auth && verify(*auth, {"u", "p"}, "INVITE"));
        require(value.find_first_of(std::string_view("\r\n\0", 3)) == value.npos);
    }
}

// What we write must be one message with as many headers as we put in.
void check_written(const Draft &draft) {
    const auto bytes = draft.encode();
    StreamFramer framer;
    framer.push(bytes);
    if (bytes.size() > 65536) return;
    const auto item = framer.next();
    if (!item || !*item || (*item)->kind != StreamFramer::Item::Kind::message) return;
    require((*item)->bytes == bytes);
    if (const auto again = Message::parse(bytes))
        require(again->headers().size() == draft.headers.size() + 1);
}

void check_message(std::string bytes) {
    const auto message = Message::parse(std::move(bytes));
    if (!message) return;
    const bool passed = screen(*message, false).verdict == Verdict::pass;
    (void)screen(*message, true);
    if (passed) require(message->from() && message->to() && message->cseq() && message->top_via());
    if (message->is_request()) (void)message->uri();
    for (const auto &header : message->headers()) {
        decode(header);
        (void)message->list(header.id);
    }
    check_written(Draft::from_message(*message));
    if (message->is_request()) check_written(Draft::response(*message, 200, "", "tag"));
}

} // namespace

FUZZ_BODY(message) {
    const std::string bytes(text_of(input));
    check_message(bytes);
    StreamFramer whole;
    whole.push(bytes);
    while (true) {
        const auto item = whole.next();
        if (!item || !*item) break;
        check_message((*item)->bytes);
    }
}
