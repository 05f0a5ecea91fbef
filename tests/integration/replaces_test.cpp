// An INVITE with Replaces or Join at a phone: who may take whose place.
#include <doctest/doctest.h>

#include "sip/replaces.hpp"
#include "tests/integration/phone_fixture.hpp"

using namespace offhook;
using namespace offhook::test;

namespace {

std::string sdp(int port) {
    return "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio " +
           std::to_string(port) + " RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n";
}

// Alice and carol are bare SIP, bob is the phone between them.
struct Trio {
    explicit Trio(const PhoneSettings &settings = loopback_settings())
        : bob(loop, settings), alice(loop, "alice"), carol(loop, "carol") {
        alice.answer_sdp = sdp(40000);
        carol.answer_sdp = sdp(40002);
    }
    bool until(const std::function<bool()> &done) { return run_until(loop, done); }

    void call(SipParty &who, int port) {
        sip::NameAddr to;
        to.uri = sip::Uri::parse(bob.uri()).value();
        who.session = sip::InviteSession::outgoing(who.ua, to, sdp(port), who.options, who);
    }
    bool talk() {
        call(alice, 40000);
        return until([&] { return alice.saw("confirmed") && bob.saw<event::CallAnswered>(); });
    }
    // Alice's call at bob, as carol must name it.
    [[nodiscard]] sip::Replaces name() const { return sip::Replaces::of(alice.session->dialog()->id); }
    unsigned refused(const std::vector<std::pair<std::string, std::string>> &headers) {
        carol.options.headers = headers;
        carol.end.reset();
        call(carol, 40002);
        if (!until([&] { return carol.end.has_value(); })) return 0;
        return carol.end->status;
    }

    Loop loop;
    PhoneParty bob;
    SipParty alice, carol;
};

} // namespace

TEST_SUITE("phone replaces") {
    TEST_CASE("a call is replaced: it keeps its number, the old leg gets BYE") {
        Trio t;
        REQUIRE(t.talk());
        const auto id = t.bob.current;
        t.carol.options.headers = {{"Require", "replaces"}, {"Replaces", t.name().encode()}};
        t.call(t.carol, 40002);
        REQUIRE(t.until([&] { return t.carol.saw("confirmed") && t.alice.end; }));
        CHECK(t.alice.saw("ended 200 remote"));
        REQUIRE(t.until([&] { return t.bob.saw<event::CallEnded>(); }));
        CHECK(t.bob.count<event::CallIncoming>() == 1); // it does not ring a second time
        CHECK(t.bob.last<event::CallEnded>()->call.id != id);
        REQUIRE(t.bob.phone->calls().size() == 1);
        const auto now = t.bob.phone->calls().front();
        CHECK(now.id == id);
        CHECK(now.remote.find("carol") != std::string::npos);
        CHECK(t.bob.last<event::CallTransfer>()->call.id == id);
        t.carol.session->hang_up();
        REQUIRE(t.until([&] { return t.bob.count<event::CallEnded>() == 2; }));
        CHECK(t.bob.last<event::CallEnded>()->call.id == id);
    }

    TEST_CASE("nobody's call, another tag, early-only, Join: the statuses of RFC 3891 and 3911") {
        Trio t;
        REQUIRE(t.talk());
        const auto good = t.name();
        auto other_tag = good;
        other_tag.to_tag += "x";
        auto swapped = good;
        std::swap(swapped.to_tag, swapped.from_tag);
        auto other_call = good;
        other_call.call_id += "x";
        auto early = good;
        early.early_only = true;
        CHECK(t.refused({{"Replaces", other_tag.encode()}}) == 481);
        CHECK(t.refused({{"Replaces", swapped.encode()}}) == 481);
        CHECK(t.refused({{"Replaces", other_call.encode()}}) == 481);
        CHECK(t.refused({{"Replaces", early.encode()}}) == 486);
        CHECK(t.refused({{"Replaces", "no tags"}}) == 400);
        CHECK(t.refused({{"Replaces", good.encode()}, {"Replaces", good.encode()}}) == 400);
        CHECK(t.refused({{"Replaces", good.encode()}, {"Join", good.encode()}}) == 400);
        CHECK(t.refused({{"Join", good.encode()}}) == 488);
        CHECK(t.refused({{"Join", other_tag.encode()}}) == 481);
        CHECK(t.refused({{"Require", "join"}, {"Join", good.encode()}}) == 420);
        CHECK_FALSE(t.alice.end);
        CHECK(t.bob.count<event::CallIncoming>() == 1);
    }

    TEST_CASE("a call that rings here cannot be taken from here; one offer too strange changes nothing") {
        Trio t;
        t.bob.auto_answer = false;
        t.call(t.alice, 40000);
        REQUIRE(t.until([&] { return t.alice.saw("progress 180") && t.bob.saw<event::CallIncoming>(); }));
        REQUIRE(t.bob.phone->answer(t.bob.current));
        REQUIRE(t.until([&] { return t.alice.saw("confirmed"); }));
        t.carol.options.headers = {{"Replaces", t.name().encode()}};
        sip::NameAddr to;
        to.uri = sip::Uri::parse(t.bob.uri()).value();
        t.carol.session =
            sip::InviteSession::outgoing(t.carol.ua, to,
                                         "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\n"
                                         "t=0 0\r\nm=audio 40002 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n",
                                         t.carol.options, t.carol);
        REQUIRE(t.until([&] { return t.carol.end.has_value(); }));
        CHECK(t.carol.end->status == 488);
        CHECK_FALSE(t.alice.end);
        CHECK(t.bob.phone->calls().size() == 1);
    }

    TEST_CASE("our call that rings at somebody is picked up by another: CANCEL there, answered here") {
        Trio t;
        t.alice.auto_accept = false;
        const auto dialled = t.bob.phone->dial(t.alice.address().uri.encode());
        REQUIRE(dialled.has_value());
        REQUIRE(t.until([&] { return t.bob.saw<event::CallRinging>(); }));
        auto early = t.name();
        early.early_only = true;
        t.carol.options.headers = {{"Replaces", early.encode()}};
        t.call(t.carol, 40002);
        REQUIRE(t.until([&] { return t.carol.saw("confirmed") && t.alice.end; }));
        CHECK(t.alice.saw("ended 487 remote"));
        REQUIRE(t.until([&] { return t.bob.saw<event::CallAnswered>(); }));
        CHECK(t.bob.last<event::CallAnswered>()->call.id == *dialled);
        CHECK(t.bob.phone->calls().front().id == *dialled);
        CHECK_FALSE(t.bob.saw<event::CallIncoming>());
    }

    TEST_CASE("a call of another account is nobody's") {
        auto settings = loopback_settings();
        for (const char *user : {"bob", "robert"}) {
            AccountSettings account;
            account.name = user;
            account.aor = std::string("sip:") + user + "@example.com";
            account.registers = false;
            settings.accounts.push_back(account);
        }
        Trio t(settings);
        REQUIRE(t.talk());
        t.carol.options.headers = {{"Replaces", t.name().encode()}};
        sip::NameAddr robert;
        robert.uri = sip::Uri::parse(t.bob.uri("robert")).value();
        t.carol.session =
            sip::InviteSession::outgoing(t.carol.ua, robert, sdp(40002), t.carol.options, t.carol);
        REQUIRE(t.until([&] { return t.carol.end.has_value(); }));
        CHECK(t.carol.end->status == 481);
        CHECK_FALSE(t.alice.end);
    }
}
