// Parsing one INVITE: ours, libre's and (when its headers are here) sofia-sip's in turn (A B A B …) in one
// run, medians of CPU time, as JSON lines.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "base/re.hpp"
#include "sip/screen.hpp"

#ifdef HAVE_SOFIA
bool parse_with_sofia(const std::string &bytes);
#endif

using namespace offhook::sip;

namespace {

// 1,074 bytes: what a desk phone sends through one proxy, with its SDP.
std::string make_invite() {
    const std::string sdp = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.101\r\ns=-\r\n"
                            "c=IN IP4 192.0.2.101\r\nt=0 0\r\nm=audio 49172 RTP/AVP 9 8 0 101\r\n"
                            "a=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
                            "a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n";
    std::string head =
        "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n"
        "Via: SIP/2.0/UDP ss1.atlanta.example.com:5060;branch=z9hG4bK2d4790.1\r\n"
        "Via: SIP/2.0/UDP 192.0.2.101:5060;branch=z9hG4bK74b43;rport=5060;received=192.0.2.101\r\n"
        "Max-Forwards: 69\r\nRecord-Route: <sip:ss1.atlanta.example.com;lr>\r\n"
        "From: \"Alice\" <sip:alice@atlanta.example.com>;tag=9fxced76sl\r\n"
        "To: \"Bob\" <sip:bob@biloxi.example.com>\r\nCall-ID: 2xTb9vxSit55XU7p8@atlanta.example.com\r\n"
        "CSeq: 20 INVITE\r\nContact: <sip:alice@192.0.2.101:5060;transport=udp>\r\n"
        "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REFER, NOTIFY, MESSAGE\r\n"
        "Supported: 100rel, replaces, timer\r\nContent-Type: application/sdp\r\nContent-Length: " +
        std::to_string(sdp.size()) + "\r\nUser-Agent: ";
    const std::size_t rest = 1074 - 4 - head.size() - sdp.size();
    return head + std::string(rest, 'x') + "\r\n\r\n" + sdp;
}

template <class Body>
double microseconds(Body &&body) {
    constexpr int rounds = 5000;
    struct timespec before {
    }, after{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    for (int i = 0; i < rounds; ++i)
        body();
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    return (static_cast<double>(after.tv_sec - before.tv_sec) * 1e6 +
            static_cast<double>(after.tv_nsec - before.tv_nsec) / 1e3) /
           rounds;
}

void must(bool holds) {
    if (holds) return;
    std::fputs("parse_bench: a parser refused the message\n", stderr);
    std::exit(1);
}

void parse_ours(const std::string &bytes) {
    must(Message::parse(bytes).has_value());
}

void screen_ours(const std::string &bytes) {
    const auto message = Message::parse(bytes);
    must(message && screen(*message, false).verdict == Verdict::pass);
}

// libre decodes Via, To, From, CSeq and more while parsing: compare with parse and screen together.
void parse_libre(const std::string &bytes) {
    struct mbuf *mb = mbuf_alloc(bytes.size());
    mbuf_write_mem(mb, reinterpret_cast<const std::uint8_t *>(bytes.data()), bytes.size());
    mbuf_set_pos(mb, 0);
    struct sip_msg *message = nullptr;
    must(sip_msg_decode(&message, mb) == 0);
    mem_deref(message);
    mem_deref(mb);
}

#ifdef HAVE_SOFIA
void parse_sofia(const std::string &bytes) {
    must(parse_with_sofia(bytes));
}
#endif

struct Series {
    const char *name;
    void (*body)(const std::string &);
    std::vector<double> values = {};
};

} // namespace

int main() {
    const std::string invite = make_invite();
    must(invite.size() == 1074);
    Series all[] = {
#ifdef HAVE_SOFIA
        {"sofia_invite", parse_sofia},
#endif
        {"parse_invite", parse_ours},
        {"parse_screen_invite", screen_ours},
        {"libre_invite", parse_libre}};
    for (int round = -1; round < 15; ++round) // the first is a warm-up
        for (auto &series : all) {
            const double value = microseconds([&] { series.body(invite); });
            if (round >= 0) series.values.push_back(value);
        }
    for (auto &series : all) {
        std::sort(series.values.begin(), series.values.end());
        std::printf("{\"bench\":\"%s\",\"us\":%.3f,\"min\":%.3f,\"max\":%.3f,\"bytes\":%zu}\n", series.name,
                    series.values[series.values.size() / 2], series.values.front(), series.values.back(),
                    invite.size());
    }
}
