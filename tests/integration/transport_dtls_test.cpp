// SIP over DTLS: associations like connections, verified like TLS, cut into datagrams.
#include <algorithm>
#include <memory>

#include <sys/socket.h>

#include "base/fd.hpp"
#include "tests/integration/transport_fixture.hpp"
#include "tests/support/certificate.hpp"

using namespace offhook;
using namespace offhook::sip;
using namespace offhook::test;

namespace {

struct DtlsEnds : TwoEnds {
    DtlsEnds() {
        b.set_tls({"", own.path(), false});
        a.set_tls({trusted.path(), "", false});
        at = b.listen(TransportKind::dtls, loopback()).value();
    }
    Flow open(const std::string &host = "pbx.test") {
        return a.open({TransportKind::dtls, at, host}).value();
    }

    Certificate authority = make_authority("Test CA");
    TemporaryFile trusted{authority.certificate};
    TemporaryFile own{make_certificate({"pbx.test", "DNS:pbx.test"}, authority).both()};
    Address at;
};

} // namespace

TEST_SUITE("transport") {

    TEST_CASE_FIXTURE(DtlsEnds, "DTLS: requests and answers share one association, which is reused") {
        const Flow flow = open();
        CHECK(open() == flow);
        REQUIRE(a.send(flow, options_request("SIP/2.0/DTLS-UDP 127.0.0.1;branch=z9hG4bK1")));
        REQUIRE(a.send(flow, options_request("SIP/2.0/DTLS-UDP 127.0.0.1;branch=z9hG4bK2", "2@test")));
        REQUIRE(until([&] { return b_reports.messages.size() == 2; }));
        const Flow back = b_reports.flows.back();
        CHECK(back.kind == TransportKind::dtls);
        CHECK(back.remote == flow.local);
        CHECK(b.sent_by(back) == at.to_string());
        const std::string body(9'000, 'b');
        REQUIRE(b.send(
            back,
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/DTLS-UDP 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n"
            "To: <sip:b@x>;tag=2\r\nCall-ID: 1@test\r\nCSeq: 1 OPTIONS\r\nContent-Length: 9000\r\n\r\n" +
                body));
        REQUIRE(until([&] { return !a_reports.messages.empty(); }));
        CHECK(a_reports.messages.front().body() == body);
        CHECK_FALSE(b.send(back, std::string(20'000, 'x'))); // no record holds it
        CHECK_FALSE(is_reliable(TransportKind::dtls));
    }

    TEST_CASE_FIXTURE(DtlsEnds,
                      "DTLS: several peers at once, each by its own association, and each may leave") {
        std::vector<std::unique_ptr<Reports>> reports;
        std::vector<std::unique_ptr<Transports>> clients;
        for (int i = 0; i < 5; ++i) {
            reports.push_back(std::make_unique<Reports>(loop));
            clients.push_back(std::make_unique<Transports>(loop, *reports.back()));
            clients.back()->set_tls({trusted.path(), "", false});
            const Flow flow = clients.back()->open({TransportKind::dtls, at, "pbx.test"}).value();
            REQUIRE(clients.back()->send(
                flow, options_request("SIP/2.0/DTLS-UDP x.test;branch=z9hG4bK" + std::to_string(i),
                                      std::to_string(i) + "@test")));
        }
        REQUIRE(until([&] { return b_reports.messages.size() == 5; }));
        std::vector<std::uint64_t> ids;
        for (const Flow &flow : b_reports.flows)
            ids.push_back(flow.connection);
        std::sort(ids.begin(), ids.end());
        CHECK(std::unique(ids.begin(), ids.end()) == ids.end());
        clients.clear(); // says good-bye
        REQUIRE(until([&] { return b_reports.errors.size() == 5; }));
        CHECK(b_reports.errors.front().what.find("closed by the peer") != std::string::npos);
    }

    TEST_CASE_FIXTURE(DtlsEnds, "DTLS: the certificate is verified as for TLS") {
        const Flow flow = open("other.test");
        REQUIRE(a.send(flow, options_request("SIP/2.0/DTLS-UDP 127.0.0.1;branch=z9hG4bK1")));
        REQUIRE(until([&] { return !a_reports.errors.empty(); }));
        CHECK(a_reports.errors.front().code == Errc::tls);
        CHECK(a_reports.errors.front().what.find("pbx.test") != std::string::npos);
        CHECK(b_reports.messages.empty());
    }

    TEST_CASE_FIXTURE(DtlsEnds,
                      "DTLS: junk from strangers costs nothing, and a port where nobody is fails at once") {
        const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        for (const std::string &junk :
             {std::string("OPTIONS sip:a SIP/2.0\r\n\r\n"), std::string(),
              std::string("\x16\xfe\xfd", 3) + std::string(40, '\0'), std::string(1400, '\x17')})
            REQUIRE(sendto(fd.get(), junk.data(), junk.size(), 0, at.sockaddr_ptr(), at.sockaddr_len()) >= 0);
        const Flow flow = open();
        REQUIRE(a.send(flow, options_request("SIP/2.0/DTLS-UDP 127.0.0.1;branch=z9hG4bK1")));
        REQUIRE(until([&] { return !b_reports.messages.empty(); }));
        CHECK(b_reports.failed.empty());
        const Address nobody = loopback(AF_INET, 9); // discard, nowhere to be found today
        const Flow lost = a.open({TransportKind::dtls, nobody, "pbx.test"}).value();
        REQUIRE(until([&] { return !a_reports.errors.empty(); }));
        CHECK(a_reports.failed.back() == lost);
        CHECK(a_reports.errors.back().what.find("Connection refused") != std::string::npos);
    }
}
