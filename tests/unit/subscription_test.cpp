#include <doctest/doctest.h>

#include "sip/subscription.hpp"

using namespace offhook::sip;
using namespace std::chrono_literals;
using offhook::Duration;
using offhook::TimePoint;

namespace {

using Kind = SubscriberEvent::Kind;
using Phase = Subscriber::Phase;
using Value = SubscriptionStatus::Value;

const TimePoint start_of_time{std::chrono::hours{1}};

SubscriberEvent at(Kind kind, Duration after = Duration{0}) {
    SubscriberEvent event{kind};
    event.now = start_of_time + after;
    return event;
}

SubscriberEvent notified(Value value, std::optional<std::uint32_t> expires = {}, std::string reason = {}) {
    auto event = at(Kind::notified);
    event.state = {value, expires, std::move(reason), {}};
    return event;
}

SubscriberEvent refused(unsigned status) {
    auto event = at(Kind::refused);
    event.status = status;
    return event;
}

Subscriber waiting(bool implicit = false) {
    Subscriber model;
    model.implicit = implicit;
    return step(model, at(Kind::start)).next;
}

Subscriber active(std::uint32_t expires = 600) {
    return step(waiting(), notified(Value::active, expires)).next;
}

NotifierEvent subscribed(std::optional<std::uint32_t> expires = {}, bool pending = false) {
    NotifierEvent event;
    event.now = start_of_time;
    event.expires = expires;
    event.pending = pending;
    return event;
}

NotifierEvent on(NotifierEvent::Kind kind, Duration after = Duration{0}) {
    NotifierEvent event;
    event.kind = kind;
    event.now = start_of_time + after;
    return event;
}

NotifierEvent answered(unsigned status) {
    auto event = on(NotifierEvent::Kind::answered);
    event.status = status;
    return event;
}

} // namespace

TEST_SUITE("subscription") {
    TEST_CASE("Event is read and written; without a package it is 489") {
        const auto refer = EventName::parse(" refer ; id=93809824 ");
        REQUIRE(refer.has_value());
        CHECK(refer->package == "refer");
        CHECK(refer->id == "93809824");
        CHECK(refer->encode() == "refer;id=93809824");
        CHECK(EventName::parse("dialog;sla")->encode() == "dialog");
        CHECK(EventName::parse("message-summary")->package == "message-summary");
        for (const auto *text : {"", ";id=1", "a b", "dialog;;", "refer,dialog"}) {
            CAPTURE(text);
            REQUIRE(!EventName::parse(text));
            CHECK(EventName::parse(text).error().sip == 489);
        }
    }

    TEST_CASE("Subscription-State is read and written") {
        const auto ended = SubscriptionStatus::parse("Terminated;reason=probation;retry-after=30");
        REQUIRE(ended.has_value());
        CHECK(ended->value == Value::terminated);
        CHECK(ended->reason == "probation");
        CHECK(ended->retry_after == 30U);
        CHECK(SubscriptionStatus::parse("active;expires=99")->expires == 99U);
        CHECK(SubscriptionStatus::parse("pending")->value == Value::pending);
        CHECK(SubscriptionStatus::parse("unheard-of;expires=5")->value == Value::active);
        CHECK(!SubscriptionStatus::parse(""));
        CHECK(!SubscriptionStatus::parse(";expires=5"));
        CHECK(SubscriptionStatus{Value::active, 60, {}, {}}.encode() == "active;expires=60");
        CHECK(SubscriptionStatus{Value::terminated, 60, "noresource", {}}.encode() ==
              "terminated;reason=noresource");
    }

    TEST_CASE("a sipfrag is a status line, whatever follows") {
        CHECK(parse_sipfrag("SIP/2.0 180 Ringing\r\n")->status == 180);
        CHECK(parse_sipfrag("SIP/2.0 603 No, thanks\r\nTo: <sip:b@c>\r\n")->reason == "No, thanks");
        CHECK(parse_sipfrag("SIP/2.0 200")->status == 200);
        for (const auto *body : {"", "\r\n", "SIP/2.0", "SIP/2.0 99 X", "SIP/2.0 700 X", "SIP/2.0 2000 X",
                                 "HTTP/1.1 200 OK", "INVITE sip:a@b SIP/2.0", "SIP/2.0 2x0 OK"}) {
            CAPTURE(body);
            CHECK(!parse_sipfrag(body));
        }
        CHECK(make_sipfrag(486) == "SIP/2.0 486 Busy Here\r\n");
        CHECK(make_sipfrag(200, "all\r\nX: y") == "SIP/2.0 200 all  X: y\r\n");
        CHECK(is_sipfrag("message/sipfrag;version=2.0"));
        CHECK(is_sipfrag("Message/SipFrag"));
        CHECK(!is_sipfrag("message/sip"));
    }

    TEST_CASE("start subscribes and waits for the first NOTIFY; an implicit one sends nothing") {
        auto begun = step(Subscriber{}, at(Kind::start));
        CHECK(begun.subscribe);
        CHECK(begun.next.phase == Phase::notify_wait);
        CHECK(begun.wait == Duration{32'000});
        Subscriber refer;
        refer.implicit = true;
        CHECK(!step(refer, at(Kind::start)).subscribe);
        const auto late = step(begun.next, at(Kind::timer, Duration{32'000}));
        CHECK(late.over);
        CHECK(late.why == "no NOTIFY came");
        CHECK(!late.again);
    }

    TEST_CASE("the NOTIFY makes it, before or after the 2xx, and is told") {
        for (const bool notify_first : {true, false}) {
            auto model = waiting();
            auto ok = at(Kind::accepted);
            ok.granted = 300;
            if (!notify_first) model = step(model, ok).next;
            const auto told = step(model, notified(Value::active, 300));
            CHECK(told.tell);
            CHECK(told.answer == 200);
            CHECK(told.next.phase == Phase::active);
            CHECK(told.wait == Duration{260'000});
            const auto after = step(told.next, ok);
            CHECK(after.next.phase == Phase::active);
            CHECK(!after.over);
        }
    }

    TEST_CASE("pending becomes active; short lives are refreshed at half time") {
        const auto pending = step(waiting(), notified(Value::pending, 60));
        CHECK(pending.next.phase == Phase::pending);
        CHECK(pending.wait == Duration{30'000});
        CHECK(step(pending.next, notified(Value::active, 60)).next.phase == Phase::active);
    }

    TEST_CASE("a refresh that nobody answers ends it when it expires") {
        const auto refresh = step(active(600), at(Kind::timer, Duration{560'000}));
        CHECK(refresh.subscribe);
        CHECK(refresh.wait == Duration{40'000});
        CHECK(!step(refresh.next, at(Kind::failed)).over);
        const auto gone = step(refresh.next, at(Kind::timer, Duration{600'000}));
        CHECK(gone.over);
        CHECK(gone.why == "expired");
        CHECK(gone.again == Duration{0});
    }

    TEST_CASE("a refresh that is accepted gives it a new life") {
        const auto refresh = step(active(600), at(Kind::timer, Duration{560'000}));
        auto ok = at(Kind::accepted, Duration{560'100});
        ok.granted = 600;
        const auto renewed = step(refresh.next, ok);
        CHECK(renewed.wait == Duration{560'000});
        CHECK(step(renewed.next, at(Kind::timer, Duration{1'120'100})).subscribe);
    }

    TEST_CASE("what a refused SUBSCRIBE means") {
        for (const unsigned status : {403U, 404U, 481U, 489U, 500U, 603U}) {
            CAPTURE(status);
            const auto first = step(waiting(), refused(status));
            CHECK(first.over);
            CHECK(first.why == std::to_string(status));
        }
        CHECK(step(active(), refused(481)).over);
        CHECK(step(active(), refused(481)).again == Duration{0});
        CHECK(!step(active(), refused(500)).over);
        CHECK(!step(active(), refused(403)).over);
        CHECK(step(waiting(), at(Kind::failed)).over);
    }

    TEST_CASE("423 is answered once with the longer interval") {
        auto brief = refused(423);
        brief.min_expires = 7200;
        const auto longer = step(waiting(), brief);
        CHECK(longer.subscribe);
        CHECK(longer.next.expires == 7200);
        CHECK(step(longer.next, brief).over);
    }

    TEST_CASE("the reason of the end says whether to try again") {
        struct Row {
            const char *reason;
            std::optional<Duration> again;
        };
        for (const auto &row :
             {Row{"deactivated", 0ms}, Row{"timeout", 0ms}, Row{"", 0ms}, Row{"probation", 60'000ms},
              Row{"giveup", 60'000ms}, Row{"rejected", {}}, Row{"noresource", {}}, Row{"invariant", {}}}) {
            CAPTURE(row.reason);
            const auto ended = step(active(), notified(Value::terminated, {}, row.reason));
            CHECK(ended.over);
            CHECK(ended.tell);
            CHECK(ended.again == row.again);
            CHECK(step(ended.next, notified(Value::active, 10)).answer == 481);
        }
    }

    TEST_CASE("stop says Expires: 0 and waits for the last NOTIFY") {
        const auto stopping = step(active(), at(Kind::stop));
        CHECK(stopping.unsubscribe);
        CHECK(!step(stopping.next, notified(Value::active, 9)).over);
        const auto last = step(stopping.next, notified(Value::terminated, {}, "timeout"));
        CHECK(last.over);
        CHECK(!last.again);
        CHECK(step(stopping.next, at(Kind::timer)).over);
        CHECK(step(Subscriber{}, at(Kind::stop)).over);
    }

    TEST_CASE("a NOTIFY nobody asked for is 481") {
        CHECK(step(Subscriber{}, notified(Value::active, 60)).answer == 481);
    }

    TEST_CASE("an implicit one is never refreshed and ends with its life") {
        const auto told = step(waiting(true), notified(Value::active, 60));
        CHECK(told.wait == Duration{60'000});
        const auto over = step(told.next, at(Kind::timer, Duration{60'000}));
        CHECK(over.over);
        CHECK(!over.subscribe);
        CHECK(!over.again);
        CHECK(step(waiting(true), notified(Value::active)).wait == Duration{180'000});
    }

    TEST_CASE("the notifier accepts, tells at once, and keeps to its limits") {
        Notifier model;
        model.min_expires = 60;
        const auto made = step(model, subscribed(600));
        CHECK(made.answer == 200);
        CHECK(made.expires == 600);
        CHECK(made.notify);
        CHECK(made.state == SubscriptionStatus{Value::active, 600, {}, {}});
        CHECK(made.wait == Duration{600'000});
        CHECK(step(model, subscribed()).expires == 3600);
        CHECK(step(model, subscribed(99'999)).expires == 3600);
        const auto brief = step(model, subscribed(10));
        CHECK(brief.answer == 423);
        CHECK(brief.expires == 60);
        CHECK(!brief.notify);
    }

    TEST_CASE("Expires: 0 gives one NOTIFY, with the state, and the end") {
        const auto once = step(Notifier{}, subscribed(0));
        CHECK(once.answer == 200);
        CHECK(once.notify);
        CHECK(once.state.value == Value::terminated);
        CHECK(step(once.next, answered(200)).over);
    }

    TEST_CASE("NOTIFYs do not overlap: changes meanwhile are told as one") {
        auto made = step(Notifier{}, subscribed(600));
        auto changed = step(made.next, on(NotifierEvent::Kind::changed));
        CHECK(!changed.notify);
        changed = step(changed.next, on(NotifierEvent::Kind::changed));
        CHECK(!changed.notify);
        const auto next = step(changed.next, answered(200));
        CHECK(next.notify);
        CHECK(!step(next.next, answered(200)).notify);
    }

    TEST_CASE("the end waits for the NOTIFY under way") {
        auto made = step(Notifier{}, subscribed(600));
        auto stop = on(NotifierEvent::Kind::stop);
        stop.reason = "noresource";
        const auto stopped = step(made.next, stop);
        CHECK(!stopped.notify);
        const auto last = step(stopped.next, answered(200));
        CHECK(last.notify);
        CHECK(!last.over);
        CHECK(last.state.encode() == "terminated;reason=noresource");
        CHECK(step(last.next, answered(200)).over);
        CHECK(step(stopped.next, subscribed(60)).answer == 481);
    }

    TEST_CASE("a subscriber that does not answer, or does not know us, is forgotten") {
        for (const unsigned status : {0U, 408U, 481U, 500U}) {
            CAPTURE(status);
            const auto made = step(Notifier{}, subscribed(600));
            const auto gone = step(made.next, answered(status));
            CHECK(gone.over);
            CHECK(!step(gone.next, on(NotifierEvent::Kind::changed)).notify);
        }
    }

    TEST_CASE("it expires unless it is refreshed") {
        const auto made = step(step(Notifier{}, subscribed(600)).next, answered(200));
        const auto over = step(made.next, on(NotifierEvent::Kind::timer, Duration{600'000}));
        CHECK(over.notify);
        CHECK(over.state.encode() == "terminated;reason=timeout");
        const auto again = step(made.next, subscribed(300));
        CHECK(again.notify);
        CHECK(again.wait == Duration{300'000});
    }

    TEST_CASE("a pending one hears nothing until it is approved") {
        const auto made = step(Notifier{}, subscribed(600, true));
        CHECK(made.state.value == Value::pending);
        const auto quiet = step(made.next, answered(200));
        CHECK(!step(quiet.next, on(NotifierEvent::Kind::changed)).notify);
        const auto approved = step(quiet.next, on(NotifierEvent::Kind::approved));
        CHECK(approved.notify);
        CHECK(approved.state.value == Value::active);
    }
}
