// SIP over SCTP: two ends in one loop, each with a UDP port of its own under it.
#include <memory>
#include <string>

#include <sys/socket.h>

#include "base/fd.hpp"
#include "sip/sctp.hpp"
#include "tests/integration/transport_fixture.hpp"

using namespace offhook;
using namespace offhook::sip;
using namespace offhook::test;

namespace {

constexpr const char *via = "SIP/2.0/SCTP 127.0.0.1;branch=z9hG4bK";

struct SctpEnds : TwoEnds {
    SctpEnds() {
        if (!has_usrsctp()) return;
        b.set_sctp({0, SctpOptions::usual_udp_port});
        at = b.listen(TransportKind::sctp, loopback()).value();
        a.set_sctp({0, b.sctp_udp_addresses().at(0).port()});
    }
    Flow open() { return a.open({TransportKind::sctp, at, "127.0.0.1"}).value(); }

    Address at;
};

std::string response(const std::string &body) {
    return "SIP/2.0 200 OK\r\nVia: " + std::string(via) +
           "1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\nCall-ID: 1@test\r\nCSeq: 1 OPTIONS\r\n\r\n" +
           body;
}

} // namespace

#define NEEDS_USRSCTP()                                                                                      \
    if (!has_usrsctp()) {                                                                                    \
        MESSAGE("skipped: built without libusrsctp-dev");                                                    \
        return;                                                                                              \
    }

TEST_SUITE("transport") {

    TEST_CASE_FIXTURE(SctpEnds,
                      "SCTP: requests and answers share one association, messages keep their bounds") {
        NEEDS_USRSCTP();
        const Flow flow = open();
        CHECK(open() == flow);
        REQUIRE(a.send(flow, options_request(via + std::string("1"))));
        REQUIRE(a.send(flow, options_request(via + std::string("2"), "2@test")));
        REQUIRE(until([&] { return b_reports.messages.size() == 2; }));
        const Flow back = b_reports.flows.back();
        CHECK(back.kind == TransportKind::sctp);
        CHECK(back.remote == flow.local);
        CHECK(b.sent_by(back) == at.to_string());
        const std::string body(60'000, 'b'); // many packets, no Content-Length
        REQUIRE(b.send(back, response(body)));
        REQUIRE(b.send(back, response("second")));
        REQUIRE(until([&] { return a_reports.messages.size() == 2; }));
        CHECK(a_reports.messages.front().body().size() + a_reports.messages.back().body().size() == 60'006);
        CHECK_FALSE(b.send(back, std::string(2'000'000, 'x')));
        CHECK(is_reliable(TransportKind::sctp));
    }

    TEST_CASE_FIXTURE(SctpEnds, "SCTP: who leaves says good-bye, and what arrives meanwhile is another's") {
        NEEDS_USRSCTP();
        auto reports = std::make_unique<Reports>(loop);
        auto client = std::make_unique<Transports>(loop, *reports);
        client->set_sctp({0, b.sctp_udp_addresses().at(0).port()});
        const Flow one = client->open({TransportKind::sctp, at, "127.0.0.1"}).value();
        REQUIRE(client->send(one, options_request(via + std::string("1"))));
        REQUIRE(a.send(open(), options_request(via + std::string("2"), "2@test")));
        REQUIRE(until([&] { return b_reports.messages.size() == 2; }));
        CHECK(b_reports.flows[0].connection != b_reports.flows[1].connection);
        // The answers acknowledge what was sent: nothing is on its way any more when the client leaves.
        for (const Flow &back : {b_reports.flows[0], b_reports.flows[1]})
            REQUIRE(b.send(back, response("here")));
        REQUIRE(until([&] { return reports->messages.size() == 1 && a_reports.messages.size() == 1; }));
        client.reset();
        REQUIRE(until([&] { return !b_reports.errors.empty(); }));
        CHECK(b_reports.errors.front().what.find("closed by the peer") != std::string::npos);
        CHECK(b_reports.failed.size() == 1);
        REQUIRE(a.send(open(), options_request(via + std::string("3"), "3@test")));
        REQUIRE(until([&] { return b_reports.messages.size() == 3; }));
    }

    TEST_CASE_FIXTURE(SctpEnds, "SCTP: a port where nobody listens is refused, in SCTP as in UDP") {
        NEEDS_USRSCTP();
        const Address closed = at.with_port(static_cast<std::uint16_t>(at.port() ^ 1U));
        const Flow lost = a.open({TransportKind::sctp, closed, "127.0.0.1"}).value();
        REQUIRE(until([&] { return a_reports.errors.size() == 1; }));
        CHECK(a_reports.failed.back() == lost);
        CHECK(a_reports.errors.back().what.find("Connection refused") != std::string::npos);

        a.set_sctp({0, 9}); // discard, nowhere to be found today
        const Flow nowhere = a.open({TransportKind::sctp, loopback(AF_INET, 5060), "127.0.0.1"}).value();
        REQUIRE(until([&] { return a_reports.errors.size() == 2; }));
        CHECK(a_reports.failed.back() == nowhere);
        CHECK(a_reports.errors.back().what.find("Connection refused") != std::string::npos);
    }

    TEST_CASE_FIXTURE(SctpEnds, "SCTP: junk in UDP costs nothing") {
        NEEDS_USRSCTP();
        const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        const Address udp = b.sctp_udp_addresses().at(0);
        std::string truncated(40, '\0');
        truncated[12] = 1; // INIT, with a wrong checksum
        for (const std::string &junk : {std::string("OPTIONS sip:a SIP/2.0\r\n\r\n"), std::string(),
                                        std::string(12, '\xff'), truncated, std::string(1400, '\x0a')})
            REQUIRE(sendto(fd.get(), junk.data(), junk.size(), 0, udp.sockaddr_ptr(), udp.sockaddr_len()) >=
                    0);
        const Flow flow = open();
        REQUIRE(a.send(flow, options_request(via + std::string("1"))));
        REQUIRE(until([&] { return !b_reports.messages.empty(); }));
        CHECK(b_reports.failed.empty());
        CHECK(b_reports.messages.size() == 1);
    }
}
