// TLS: who is believed, who is not, and what the user is told.
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/fd.hpp"
#include "tests/integration/transport_fixture.hpp"
#include "tests/support/certificate.hpp"

using namespace offhook;
using namespace offhook::sip;
using namespace offhook::test;

namespace {

struct TlsEnds : TwoEnds {
    Address serve(const CertificateRequest &request) {
        const TemporaryFile file(make_certificate(request, authority).both());
        b.set_tls({"", file.path(), false});
        const auto address = b.listen(TransportKind::tls, loopback());
        REQUIRE_MESSAGE(address, (address ? "" : address.error().what));
        return *address;
    }
    void trust() { a.set_tls({authority_file.path(), "", false}); }
    // What the client reports when it opens `host` at `at`; empty when a request got through.
    std::string attempt(const Address &at, const std::string &host) {
        const auto flow = a.open({TransportKind::tls, at, host});
        REQUIRE(flow);
        REQUIRE(a.send(*flow, options_request("SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1")));
        REQUIRE(until([&] { return !a_reports.errors.empty() || !b_reports.messages.empty(); }));
        if (a_reports.errors.empty()) return "";
        CHECK(a_reports.errors.front().code == Errc::tls);
        CHECK(a_reports.failed.front() == *flow);
        return a_reports.errors.front().what;
    }

    Certificate authority = make_authority("Test CA");
    TemporaryFile authority_file{authority.certificate};
};

bool contains(const std::string &text, std::string_view part) {
    INFO(text);
    CHECK(text.find(part) != std::string::npos);
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_SUITE("transport") {

    TEST_CASE_FIXTURE(TlsEnds, "TLS: a certificate for the name is accepted and the answer comes back") {
        const Address at = serve({"pbx.example.com", "DNS:pbx.example.com"});
        trust();
        REQUIRE(attempt(at, "pbx.example.com").empty());
        const Flow back = b_reports.flows.back();
        CHECK(back.kind == TransportKind::tls);
        REQUIRE(b.send(
            back, "SIP/2.0 200 OK\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\n"
                  "To: <sip:b@x>;tag=2\r\nCall-ID: 1@test\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"));
        REQUIRE(until([&] { return !a_reports.messages.empty(); }));
        CHECK(a_reports.messages.back().status() == 200);
    }

    TEST_CASE_FIXTURE(TlsEnds, "TLS: a connection verified for one name is not used for another") {
        const Address at = serve({"pbx.example.com", "DNS:pbx.example.com"});
        trust();
        REQUIRE(attempt(at, "pbx.example.com").empty());
        const Flow first = a.open({TransportKind::tls, at, "pbx.example.com"}).value();
        const Flow second = a.open({TransportKind::tls, at, "other.example.com"}).value();
        CHECK(first.connection != second.connection);
        REQUIRE(until([&] { return !a_reports.failed.empty(); }));
        CHECK(a_reports.failed.front() == second);
        CHECK(a.alive(first));
    }

    TEST_CASE_FIXTURE(TlsEnds, "TLS: an IP address in the certificate is accepted for that address") {
        const Address at = serve({"a box", "IP:127.0.0.1"});
        trust();
        CHECK(attempt(at, "127.0.0.1").empty());
    }

    TEST_CASE_FIXTURE(TlsEnds, "TLS: a certificate for another name is refused by name") {
        const Address at = serve({"evil.example.net", "DNS:evil.example.net, DNS:www.example.net"});
        trust();
        contains(attempt(at, "pbx.example.com"),
                 "the certificate is for evil.example.net, www.example.net, not for pbx.example.com");
        CHECK(b_reports.messages.empty());
    }

    TEST_CASE_FIXTURE(TlsEnds, "TLS: an unknown authority is refused") {
        const Address at = serve({"pbx.example.com", "DNS:pbx.example.com"});
        const TemporaryFile other(make_authority("Other CA").certificate);
        a.set_tls({other.path(), "", false});
        contains(attempt(at, "pbx.example.com"), "unknown authority (CA)");
        CHECK(b_reports.messages.empty());
    }

    TEST_CASE_FIXTURE(TlsEnds, "TLS: the system's authorities do not know ours") {
        const Address at = serve({"pbx.example.com", "DNS:pbx.example.com"});
        contains(attempt(at, "pbx.example.com"), "unknown authority (CA)");
    }

    TEST_CASE_FIXTURE(TlsEnds, "TLS: an expired certificate is refused") {
        const Address at = serve({"pbx.example.com", "DNS:pbx.example.com", -30, -2});
        trust();
        contains(attempt(at, "pbx.example.com"), "the certificate of pbx.example.com expired on 20");
        CHECK(b_reports.messages.empty());
    }

    TEST_CASE_FIXTURE(TlsEnds, "TLS: insecure takes any certificate") {
        const Address at = serve({"evil.example.net", "DNS:evil.example.net", -30, -2});
        a.set_tls({"", "", true});
        CHECK(attempt(at, "pbx.example.com").empty());
    }

    TEST_CASE_FIXTURE(TlsEnds, "TLS: a server that speaks something else is told apart") {
        REQUIRE(b.listen(TransportKind::tcp, loopback()));
        const Address at = b.local_addresses(TransportKind::tcp).front();
        trust();
        const Flow flow = a.open({TransportKind::tls, at, "pbx.example.com"}).value();
        REQUIRE(until([&] { return !a_reports.errors.empty(); }, Duration(8000)));
        CHECK(a_reports.failed.front() == flow);
    }

    TEST_CASE_FIXTURE(TlsEnds, "TLS: a client that offers at most TLS 1.1 is refused") {
        const Address at = serve({"pbx.example.com", "DNS:pbx.example.com"});
        const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX *)> context(SSL_CTX_new(TLS_client_method()),
                                                                    SSL_CTX_free);
        SSL_CTX_set_cipher_list(context.get(), "ALL:@SECLEVEL=0");
        SSL_CTX_set_min_proto_version(context.get(), TLS1_VERSION);
        SSL_CTX_set_max_proto_version(context.get(), TLS1_1_VERSION);
        const std::unique_ptr<SSL, void (*)(SSL *)> old(SSL_new(context.get()), SSL_free);
        const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(connect(fd.get(), at.sockaddr_ptr(), at.sockaddr_len()) == 0);
        BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
        SSL_set_bio(old.get(), in, out);
        CHECK(SSL_connect(old.get()) == -1);
        char buffer[4096];
        const int hello = BIO_read(out, buffer, sizeof buffer);
        REQUIRE(::send(fd.get(), buffer, static_cast<std::size_t>(hello), 0) == hello);
        ssize_t answer = -1;
        for (int i = 0; i < 50 && answer < 0; ++i) {
            settle();
            answer = recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        }
        REQUIRE(answer >= 7);
        CHECK(buffer[0] == 21); // an alert record …
        CHECK(buffer[6] == 70); // … protocol_version (RFC 8446 §6)
    }

    TEST_CASE_FIXTURE(TlsEnds, "TLS: listening without a usable certificate is an error") {
        const auto none = b.listen(TransportKind::tls, loopback());
        REQUIRE_FALSE(none);
        CHECK(none.error().code == Errc::tls);
        b.set_tls({"", "/nonexistent.pem", false});
        const auto missing = b.listen(TransportKind::tls, loopback());
        REQUIRE_FALSE(missing);
        contains(missing.error().what, "/nonexistent.pem");
    }

    TEST_CASE_FIXTURE(TlsEnds, "TLS: junk instead of a handshake ends the connection quietly") {
        const Address at = serve({"pbx.example.com", "DNS:pbx.example.com"});
        const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(connect(fd.get(), at.sockaddr_ptr(), at.sockaddr_len()) == 0);
        REQUIRE(::send(fd.get(), "GET / HTTP/1.0\r\n\r\n", 18, 0) == 18);
        char buffer[256];
        ssize_t size = -1;
        for (int i = 0; i < 50 && size != 0; ++i) {
            settle();
            while ((size = recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0) {
            }
        }
        CHECK(size == 0);
        CHECK(b_reports.failed.empty());
    }

} // TEST_SUITE
