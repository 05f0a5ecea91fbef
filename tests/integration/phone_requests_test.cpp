#include "tests/integration/phone_fixture.hpp"

using namespace offhook;
using namespace offhook::test;

namespace {

PhoneSettings udp_and_tcp() {
    auto settings = loopback_settings();
    settings.listen.front().kind.reset();
    return settings;
}

// What came of one request, waited for.
struct Asked {
    std::optional<unsigned> status;
    std::vector<unsigned> provisional;
    std::string error;
    std::unique_ptr<sip::ClientRequest> request;

    RequestHandlers handlers() {
        RequestHandlers handlers;
        handlers.provisional = [this](const sip::Message &response) {
            provisional.push_back(response.status());
        };
        handlers.final = [this](const sip::ClientRequest::Outcome &outcome) {
            CHECK_FALSE(status.has_value());
            status = outcome.response ? outcome.response->status() : 0;
            if (!outcome.response) error = outcome.response.error().what;
        };
        return handlers;
    }
};

} // namespace

TEST_SUITE("phone_requests") {
    TEST_CASE("a message arrives once, harmless to show, and both sides tell") {
        PhonePair p(udp_and_tcp(), udp_and_tcp());
        const std::string text = "two\nlines\ttab \x1b[31m \xe2\x80\xae end";
        REQUIRE(p.alice.phone->send_message(p.bob.uri(), text).has_value());
        REQUIRE(p.until(
            [&] { return p.alice.saw<event::MessageSent>() && p.bob.saw<event::MessageReceived>(); }));
        CHECK(p.alice.last<event::MessageSent>()->code == 200);
        CHECK(p.alice.last<event::MessageSent>()->exit == 0);
        const auto &received = *p.bob.last<event::MessageReceived>();
        CHECK(received.text == "two\nlines\ttab \\x1b[31m \\u202e end");
        CHECK(received.to == p.bob.uri());
        CHECK(received.source.starts_with("udp:127.0.0.1:"));
        CHECK(received.from.ends_with("@127.0.0.1"));

        // More than a datagram takes goes by TCP (RFC 3428 §8).
        std::string large(Phone::message_limit, 'x');
        REQUIRE(p.alice.phone->send_message(p.bob.uri(), large).has_value());
        REQUIRE(p.until([&] { return p.bob.count<event::MessageReceived>() == 2; }));
        CHECK(p.bob.last<event::MessageReceived>()->text == large);
        CHECK(p.bob.last<event::MessageReceived>()->source.starts_with("tcp:"));
        large += 'x';
        CHECK(p.alice.phone->send_message(p.bob.uri(), large).error().code == Errc::invalid_argument);
        CHECK_FALSE(p.alice.phone->send_message("sip:", "x").has_value());
    }

    TEST_CASE("what is no plain text is refused with 415, a stranger's dialog with 481") {
        PhonePair p;
        Asked html, inside;
        RequestSpec spec;
        spec.method = "MESSAGE";
        spec.content_type = "text/html";
        spec.body = "<b>x</b>";
        html.request = std::move(*p.alice.phone->request(p.bob.uri(), spec, html.handlers()));
        spec.content_type = "text/plain";
        spec.headers = {{"To", "<" + p.bob.uri() + ">;tag=nobody"}};
        inside.request = std::move(*p.alice.phone->request(p.bob.uri(), spec, inside.handlers()));
        REQUIRE(p.until([&] { return html.status && inside.status; }));
        CHECK(*html.status == 415);
        CHECK(*inside.status == 481);
        CHECK_FALSE(p.bob.saw<event::MessageReceived>());
    }

    TEST_CASE("an INVITE by request() that is answered ends by BYE") {
        PhonePair p;
        Asked invite;
        RequestSpec spec;
        spec.method = "INVITE";
        spec.content_type = "application/sdp";
        spec.body = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 "
                    "RTP/AVP 0\r\n";
        invite.request = std::move(*p.alice.phone->request(p.bob.uri(), spec, invite.handlers()));
        REQUIRE(p.until([&] { return p.bob.saw<event::CallEnded>(); }));
        CHECK(invite.status == 200U);
        CHECK_FALSE(invite.provisional.empty());
        CHECK(p.bob.last<event::CallEnded>()->by == EndedBy::remote);
        CHECK(p.bob.last<event::CallEnded>()->answered);
    }

    TEST_CASE("headers replace the phone's own or are added, and compose() shows them") {
        PhonePair p;
        RequestSpec spec;
        spec.method = "SUBSCRIBE";
        spec.max_forwards = 3;
        spec.headers = {
            {"Contact", "<sip:other@host>"}, {"X-A", "1"}, {"X-A", "2"}, {"From", "<sip:me@there>;tag=7"}};
        const auto text = p.alice.phone->compose(p.bob.uri(), spec);
        REQUIRE(text.has_value());
        const auto message = sip::Message::parse(*text);
        REQUIRE(message.has_value());
        CHECK(message->request_uri() == p.bob.uri());
        CHECK(message->value(sip::HeaderId::contact) == "<sip:other@host>");
        CHECK(message->count(sip::HeaderId::contact) == 1);
        CHECK(message->value(sip::HeaderId::from) == "<sip:me@there>;tag=7");
        CHECK(message->value(sip::HeaderId::max_forwards) == "3");
        CHECK(text->find("\r\nX-A: 1\r\nX-A: 2\r\n") != std::string::npos);
        CHECK(message->top_via()->host == "127.0.0.1");
        CHECK(":" + std::to_string(message->top_via()->port) == p.alice.address().substr(9));
        CHECK_FALSE(p.until([&] { return !p.bob.seen.empty(); }, Duration{50}));
        CHECK_FALSE(p.alice.phone->compose("sip:", spec).has_value());
    }

    TEST_CASE("raw bytes leave as they are and the answers are heard") {
        PhonePair p;
        std::string got;
        bool left = false;
        RawHandlers handlers;
        handlers.sent = [&](const sip::Flow &) { left = true; };
        handlers.received = [&](std::string_view bytes) { got = bytes; };
        handlers.failed = [&](const Error &error) { got = error.what; };
        const std::string bad =
            "FROB sip:x SIP/2.0\r\nVia: SIP/2.0/UDP h;rport;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\n"
            "To: <sip:x>\r\nCall-ID: r1\r\nCSeq: 1 WRONG\r\nMax-Forwards: 1\r\n\r\n";
        REQUIRE(p.alice.phone->send_raw(p.bob.uri(), bad, handlers).has_value());
        REQUIRE(p.until([&] { return left && !got.empty(); }));
        CHECK(got.starts_with("SIP/2.0 400 "));
        got.clear();
        REQUIRE(p.alice.phone->send_raw("sip:127.0.0.1:9;transport=tcp", bad, handlers).has_value());
        REQUIRE(p.until([&] { return !got.empty(); }));
        CHECK(got.find("refused") != std::string::npos);
    }
}
