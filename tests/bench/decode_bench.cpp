// The costliest 64 kB we could think of, as one datagram each: parsed, screened, every header decoded and
// split, the body read as SDP and answered. Best CPU time of several, as JSON lines: what it costs, not what
// the neighbours do.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "media/codec.hpp"
#include "media/offer_answer.hpp"
#include "media/rtp.hpp"
#include "media/sdp.hpp"
#include "sip/digest.hpp"
#include "sip/draft.hpp"
#include "sip/screen.hpp"

using namespace offhook;

namespace {

constexpr std::size_t datagram = 65507; // the longest that IPv4 carries

double cpu_ms() {
    struct timespec t {};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

// `piece` again and again, as often as fits into `size`.
std::string repeated(const std::string &piece, std::size_t size) {
    std::string out;
    out.reserve(size);
    while (out.size() + piece.size() <= size)
        out += piece;
    return out;
}

const std::string start = "INVITE sip:b@example.com SIP/2.0\r\n";
const std::string mandatory =
    "Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\nMax-Forwards: 70\r\nFrom: <sip:a@h>;tag=1\r\n"
    "To: <sip:b@h>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n";

// Header lines of `head` and as many `piece`s as a line may hold (8 kB), until the datagram is full.
std::string with_lines(const std::string &piece, const std::string &head, std::size_t line = 8000) {
    std::string out = start + mandatory;
    while (out.size() + line + 4 < datagram)
        out += head + repeated(piece, line - head.size()) + "\r\n";
    return out + "\r\n";
}

// `line` again and again: too many of them.
std::string with_headers(const std::string &line) {
    return start + mandatory + repeated(line, datagram - start.size() - mandatory.size() - 2) + "\r\n";
}

std::string with_sdp(const std::string &piece,
                     const std::string &head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n"
                                               "c=IN IP4 127.0.0.1\r\nt=0 0\r\n") {
    const std::string before = start + mandatory + "Content-Type: application/sdp\r\n";
    const std::string body = head + repeated(piece, datagram - before.size() - head.size() - 40);
    return before + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

struct Kind {
    const char *name;
    std::string bytes;
};

std::vector<Kind> kinds() {
    return {
        {"many short headers", with_headers("a:\r\n")},
        {"many Vias", with_headers("v: SIP/2.0/UDP h;branch=z9hG4bK1\r\n")},
        {"250 Vias", with_lines("SIP/2.0/UDP h;branch=z9hG4bK1;a=b,", "Via: ", 255)},
        {"lists of Vias", with_lines("SIP/2.0/UDP h,", "Via: ")},
        {"250 Contacts", with_lines("<sip:a@b;c=d>;e=f,", "m: ", 255)},
        {"lists of Contacts", with_lines("<sip:a>,", "Contact: ")},
        {"lists of Routes", with_lines("<sip:a;lr>,", "Route: ")},
        {"lists of tokens", with_lines("a,", "Supported: ")},
        {"header parameters", with_lines(";a", "Contact: <sip:a@b>")},
        {"distinct parameters", with_lines(";abc=d;bcd=e;cde=f", "Contact: <sip:a@b>")},
        {"URI parameters", with_lines(";a", "Contact: <sip:a@b")},
        {"URI headers", with_lines("&a=b", "Contact: <sip:a@b?c=d")},
        {"escapes in a URI", with_lines("%41", "Contact: <sip:")},
        {"commas", with_lines(",", "Route: ")},
        {"open quotes", with_lines("\"", "Contact: ")},
        {"escaped quotes", with_lines("\\\"", "Contact: \"")},
        {"open angles", with_lines("<", "Contact: ")},
        {"folded lines", with_lines("\r\n ", "Subject: x")},
        {"white space", with_lines(" ", "Subject: x")},
        {"empty parameters", with_lines(";", "Contact: <sip:a@b>")},
        {"auth parameters", with_lines("a=\"b\",", "Authorization: Digest ")},
        {"challenges", with_lines("nonce=\"b\",", "WWW-Authenticate: Digest realm=\"a\",", 255)},
        {"long token", with_lines("x", "X: ")},
        {"long method", repeated("X", datagram - 20) + " sip:a SIP/2.0\r\n\r\n"},
        {"line ends", repeated("\r\n", datagram)},
        {"zeros", std::string(datagram, '\0')},
        {"colons", start + repeated(":", datagram - start.size())},
        {"SDP media", with_sdp("m=audio 9 RTP/AVP 0\r\n")},
        {"SDP formats",
         with_sdp("0 ", "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP ")},
        {"SDP attributes", with_sdp("a=b\r\n")},
        {"SDP rtpmaps", with_sdp("a=rtpmap:0 PCMU/8000\r\n",
                                 "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\n"
                                 "m=audio 9 RTP/AVP 0 8 96 97 98 99\r\n")},
        {"SDP fmtps", with_sdp("a=fmtp:96 a=b;c=d\r\n",
                               "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\n"
                               "m=audio 9 RTP/AVP 96\r\na=rtpmap:96 opus/48000/2\r\n")},
        {"SDP candidates", with_sdp("a=candidate:1 1 UDP 1 1.1.1.1 1 typ host\r\n",
                                    "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\n"
                                    "m=audio 9 RTP/AVP 0\r\n")},
        {"SDP crypto", with_sdp("a=crypto:1 AES_CM_128_HMAC_SHA1_80 "
                                "inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n",
                                "v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\nc=IN IP4 1.1.1.1\r\nt=0 0\r\n"
                                "m=audio 9 RTP/SAVP 0\r\n")},
    };
}

void decode(const sip::Message &message) {
    for (const auto &header : message.headers()) {
        (void)message.list(header.id);
        (void)sip::NameAddr::parse_list(header.value);
        (void)sip::Via::parse_list(header.value);
        (void)sip::AuthParams::parse(header.value);
        (void)sip::Challenge::parse(header.value, false);
    }
}

void answer(std::string_view body) {
    const auto codecs = media::parse_codec_list("opus,pcma,pcmu");
    auto local = Address::parse("127.0.0.1", 4000);
    media::OfferAnswer machine({.rtp = *local, .codecs = *codecs});
    if (machine.apply_offer(body)) (void)machine.make_answer();
}

// What the phone does with it. Decoding each header is more than it ever does: it decodes the ones it needs.
void handle(const std::string &bytes, bool deep) {
    const auto message = sip::Message::parse(bytes);
    if (!message) return;
    const bool passes = sip::screen(*message, false).verdict == sip::Verdict::pass;
    if (deep) decode(*message);
    if (passes) (void)sip::Draft::response(*message, 200, "", "tag").encode();
    if (!message->body().empty()) answer(message->body());
}

} // namespace

int main() {
    for (const bool deep : {false, true})
        for (const auto &kind : kinds()) {
            double best = 1e9;
            for (int round = 0; round < 5; ++round) {
                const double before = cpu_ms();
                handle(kind.bytes, deep);
                best = std::min(best, cpu_ms() - before);
            }
            std::printf("{\"bench\":\"%s%s\",\"ms\":%.3f,\"bytes\":%zu}\n", kind.name,
                        deep ? ", every header decoded" : "", best, kind.bytes.size());
        }
}
