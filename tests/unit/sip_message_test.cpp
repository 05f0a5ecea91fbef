#include <string>

#include <doctest/doctest.h>

#include "sip/message.hpp"

using namespace offhook::sip;

namespace {

const std::string start = "OPTIONS sip:b@example.com SIP/2.0\r\n";

} // namespace

TEST_SUITE("sip message") {
    TEST_CASE("methods are known by their exact name") {
        for (int i = 0; i < static_cast<int>(Method::other); ++i) {
            const auto method = static_cast<Method>(i);
            CHECK_FALSE(name(method).empty());
            CHECK(parse_method(name(method)) == method);
        }
        CHECK(parse_method("REGISTER") == Method::register_);
        CHECK(parse_method("invite") == Method::other);
        CHECK(parse_method("") == Method::other);
        CHECK(name(Method::other).empty());
    }

    TEST_CASE("headers are known by full and compact name, without case") {
        struct Row {
            const char *name;
            HeaderId id;
        };
        for (const auto &row : {
                 Row{"Via", HeaderId::via},
                 Row{"v", HeaderId::via},
                 Row{"FROM", HeaderId::from},
                 Row{"f", HeaderId::from},
                 Row{"T", HeaderId::to},
                 Row{"i", HeaderId::call_id},
                 Row{"m", HeaderId::contact},
                 Row{"l", HeaderId::content_length},
                 Row{"c", HeaderId::content_type},
                 Row{"e", HeaderId::content_encoding},
                 Row{"k", HeaderId::supported},
                 Row{"s", HeaderId::subject},
                 Row{"r", HeaderId::refer_to},
                 Row{"b", HeaderId::referred_by},
                 Row{"o", HeaderId::event},
                 Row{"u", HeaderId::allow_events},
                 Row{"x", HeaderId::session_expires},
                 Row{"cSeQ", HeaderId::cseq},
                 Row{"Max-Forwards", HeaderId::max_forwards},
                 Row{"Content-Disposition", HeaderId::content_disposition},
                 Row{"Route", HeaderId::route},
                 Row{"Record-Route", HeaderId::record_route},
                 Row{"Require", HeaderId::require},
                 Row{"Proxy-Require", HeaderId::proxy_require},
                 Row{"Unsupported", HeaderId::unsupported},
                 Row{"Allow", HeaderId::allow},
                 Row{"Accept", HeaderId::accept},
                 Row{"Accept-Encoding", HeaderId::accept_encoding},
                 Row{"Expires", HeaderId::expires},
                 Row{"Min-Expires", HeaderId::min_expires},
                 Row{"WWW-Authenticate", HeaderId::www_authenticate},
                 Row{"Proxy-Authenticate", HeaderId::proxy_authenticate},
                 Row{"Authorization", HeaderId::authorization},
                 Row{"Proxy-Authorization", HeaderId::proxy_authorization},
                 Row{"Authentication-Info", HeaderId::authentication_info},
                 Row{"Retry-After", HeaderId::retry_after},
                 Row{"Reason", HeaderId::reason},
                 Row{"Warning", HeaderId::warning},
                 Row{"Date", HeaderId::date},
                 Row{"User-Agent", HeaderId::user_agent},
                 Row{"Server", HeaderId::server},
                 Row{"Alert-Info", HeaderId::alert_info},
                 Row{"Call-Info", HeaderId::call_info},
                 Row{"Replaces", HeaderId::replaces},
                 Row{"Subscription-State", HeaderId::subscription_state},
                 Row{"RSeq", HeaderId::rseq},
                 Row{"RAck", HeaderId::rack},
                 Row{"Min-SE", HeaderId::min_se},
                 Row{"Path", HeaderId::path},
                 Row{"Service-Route", HeaderId::service_route},
                 Row{"P-Asserted-Identity", HeaderId::p_asserted_identity},
                 Row{"Privacy", HeaderId::privacy},
                 Row{"Diversion", HeaderId::diversion},
                 Row{"History-Info", HeaderId::history_info},
                 Row{"", HeaderId::other},
                 Row{"X-Via", HeaderId::other},
                 Row{"q", HeaderId::other},
                 Row{"Vi", HeaderId::other},
                 Row{"Viaa", HeaderId::other},
             }) {
            CAPTURE(std::string(row.name));
            CHECK(header_id(row.name) == row.id);
        }
    }

    TEST_CASE("folds become spaces without touching the body") {
        const auto m = Message::parse(
            start + "Subject: a\r\n \t b\r\n\tc\r\nX:\r\n \r\nv: SIP/2.0/UDP a\r\n\r\n body\r\n more");
        REQUIRE(m.has_value());
        REQUIRE(m->headers().size() == 3);
        CHECK(m->value(HeaderId::subject) == "a   \t b  \tc");
        CHECK(m->find("x")->value.empty());
        CHECK(m->body() == " body\r\n more");
        CHECK(m->complete());
    }

    TEST_CASE("line ends: empty lines before the start, LF alone, none at the end") {
        const auto m = Message::parse("\r\n\r\n\n" + start + "A: 1\nB: 2\r\n\nbody");
        REQUIRE(m.has_value());
        CHECK(m->headers().size() == 2);
        CHECK(m->find("B")->value == "2");
        CHECK(m->body() == "body");
        for (const char *end : {"A: 1", "A: 1\r", "A: 1\r\n", "A: 1\n"}) {
            const auto cut = Message::parse(start + end);
            REQUIRE(cut.has_value());
            CHECK(cut->find("a")->value == "1");
            CHECK_FALSE(cut->complete());
            CHECK(cut->body().empty());
        }
    }

    TEST_CASE("the body ends where Content-Length says, when there is so much") {
        for (const auto &[length, body] :
             {std::pair{"3", "abc"}, std::pair{"0", ""}, std::pair{"6", "abcdef"}, std::pair{"7", "abcdef"},
              std::pair{"x", "abcdef"}})
            CHECK(Message::parse(start + "Content-Length: " + length + "\r\n\r\nabcdef")->body() == body);
        CHECK(Message::parse(start + "\r\nabcdef")->body() == "abcdef");
    }

    TEST_CASE("start lines") {
        const auto response = Message::parse("SIP/2.0 486 Busy Here\r\n\r\n");
        CHECK_FALSE(response->is_request());
        CHECK(response->status() == 486);
        CHECK(response->reason() == "Busy Here");
        CHECK(response->method() == Method::other);
        CHECK(Message::parse("SIP/2.0 200\r\n\r\n")->reason().empty());
        for (const char *text :
             {"", "\r\n", "\r\n\r\n", "hello", "hello\r\n\r\n", "SIP/2.0\r\n\r\n", "SIP/2.0 99 x\r\n\r\n",
              "SIP/2.0 700 x\r\n\r\n", "SIP/2.0 0200 x\r\n\r\n", "SIP/2.0 2x0 x\r\n\r\n",
              "SIP/2.0  200 x\r\n\r\n", " OPTIONS sip:a SIP/2.0\r\n\r\n", "(x) sip:a SIP/2.0\r\n\r\n",
              "SIP/2.0 4294967496 x\r\n\r\n"}) {
            CAPTURE(std::string(text));
            const auto m = Message::parse(text);
            REQUIRE_FALSE(m.has_value());
            CHECK(m.error().code == offhook::Errc::parse);
        }
    }

    TEST_CASE("limits hold exactly") {
        const auto with_uri = [](std::size_t size) {
            return Message::parse("OPTIONS " + std::string(size - 16, 'u') + " SIP/2.0\r\n\r\n").has_value();
        };
        CHECK(with_uri(2048));
        CHECK_FALSE(with_uri(2049));
        const auto with_line = [](std::size_t size) {
            return Message::parse(start + "X: " + std::string(size - 3, 'x') + "\r\n\r\n").has_value();
        };
        CHECK(with_line(8192));
        CHECK_FALSE(with_line(8193));
        std::string many = start;
        for (int i = 0; i < 256; ++i)
            many += "X: y\r\n";
        CHECK(Message::parse(many + "\r\n")->headers().size() == 256);
        CHECK_FALSE(Message::parse(many + "X: y\r\n\r\n").has_value());
        const std::string head = start + "\r\n";
        CHECK(Message::parse(head + std::string(65536 - head.size(), 'b')).has_value());
        CHECK_FALSE(Message::parse(head + std::string(65537 - head.size(), 'b')).has_value());
    }

    TEST_CASE("views outlive the message they were taken from while a copy lives") {
        Message kept;
        std::string_view call_id;
        {
            auto m = Message::parse(start + "Call-ID: abc\r\n\r\n");
            call_id = m->call_id();
            kept = *m;
        }
        CHECK(call_id == "abc");
        CHECK(kept.call_id().data() == call_id.data());
        CHECK(Message().headers().empty());
        CHECK(Message().bytes().empty());
        CHECK(Message().value(HeaderId::via).empty());
    }

    TEST_CASE("lists gather all headers of a kind") {
        const auto m = Message::parse(
            start + "Supported: 100rel, timer\r\nVia: SIP/2.0/UDP a, SIP/2.0/UDP b\r\nk: Replaces\r\n"
                    "k:\r\nContact: <sip:a@b>, <sip:c@d>\r\nm: sip:e@f\r\n\r\n");
        CHECK(m->list(HeaderId::supported).size() == 3);
        CHECK(m->lists_token(HeaderId::supported, "replaces"));
        CHECK(m->lists_token(HeaderId::supported, "100rel"));
        CHECK_FALSE(m->lists_token(HeaderId::supported, "100"));
        CHECK_FALSE(m->lists_token(HeaderId::require, "100rel"));
        CHECK(m->count(HeaderId::supported) == 3);
        CHECK(m->top_via()->host == "a");
        CHECK(m->addresses(HeaderId::contact)->size() == 3);
        CHECK(m->addresses(HeaderId::route)->empty());
        CHECK_FALSE(m->from().has_value());
        CHECK(m->from().error().what == "From is missing");
        CHECK(m->uri()->host == "example.com");
    }

    TEST_CASE("a line that is no header keeps an empty name") {
        for (const char *line : {"nonsense", ": x", "a b: c", "\xc3\xa4: x"}) {
            const auto m = Message::parse(start + line + "\r\nA: 1\r\n\r\n");
            REQUIRE(m->headers().size() == 2);
            CHECK(m->headers()[0].name.empty());
            CHECK(m->headers()[0].id == HeaderId::other);
        }
        CHECK(Message::parse(start + "A : 1\r\nB\t:2\r\n\r\n")->find("B")->value == "2");
    }
}
