#include <doctest/doctest.h>

#include "sip/refer.hpp"
#include "sip/transferor.hpp"

using namespace offhook::sip;
using offhook::Duration;
using offhook::TimePoint;

namespace {

using Kind = TransferorEvent::Kind;
using Phase = Transferor::Phase;
using Value = SubscriptionStatus::Value;

TransferorEvent on(Kind kind, unsigned status = 0) {
    TransferorEvent event;
    event.kind = kind;
    event.now = TimePoint{std::chrono::hours{1}};
    event.status = status;
    return event;
}

TransferorEvent notified(unsigned status, Value value = Value::active, std::string reason = {}) {
    auto event = on(Kind::notified, status);
    event.state.value = value;
    if (value == Value::active)
        event.state.expires = 60;
    else
        event.state.reason = "noresource";
    event.reason = std::move(reason);
    return event;
}

Transferor referring() {
    return step(step({}, on(Kind::start)).next, on(Kind::held)).next;
}

Transferor waiting() {
    return step(referring(), on(Kind::answered, 202)).next;
}

Message refer(const std::string &headers) {
    return *Message::parse("REFER sip:us@h SIP/2.0\r\n" + headers + "\r\n");
}

} // namespace

TEST_SUITE("transfer machine") {
    TEST_CASE("Refer-To: a SIP URI and the call to be replaced, nothing else") {
        const auto plain = ReferTo::parse("\"Carol\" <sip:carol:pw@example.com;transport=tcp>;x=y");
        REQUIRE(plain.has_value());
        CHECK(plain->encode() == "<sip:carol@example.com;transport=tcp>");
        const auto attended = ReferTo::parse(
            "<sips:carol@h;method=INVITE?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces>");
        REQUIRE(attended.has_value());
        CHECK(attended->replaces == Replaces{"a@b", "1", "2", false});
        CHECK(attended->encode() == "<sips:carol@h?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>");
        CHECK(ReferTo::parse(attended->encode())->replaces == attended->replaces);
    }

    TEST_CASE("Refer-To with a number: for the account's domain to call") {
        const auto target = ReferTo::parse("<tel:+49-30-123;phone-context=example.com>");
        REQUIRE(target);
        CHECK(target->uri.scheme == "tel");
        CHECK(target->uri.user == "+49-30-123");
        CHECK(!ReferTo::parse("<tel:>"));
    }

    TEST_CASE("Refer-To that is refused, and how") {
        struct Row {
            const char *value;
            unsigned status;
        };
        for (const auto &row :
             {Row{"", 400}, Row{"<sip:>", 400}, Row{"<http://example.com/>", 416}, Row{"<mailto:a@b>", 416},
              Row{"*", 416}, Row{"<sip:a@b;method=BYE>", 603}, Row{"<sip:a@b?Route=%3Csip%3Aevil%3E>", 400},
              Row{"<sip:a@b?From=%3Csip%3Ab%3E&Replaces=x>", 400},
              Row{"<sip:a@b?Replaces=a%3Bto-tag%3D1>", 400}, Row{"<sip:a@b?Require=100rel>", 400},
              Row{"<sip:a@b?body=v%3D0>", 400},
              Row{"<sip:a@b?Replaces=a%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=b%3Bto-tag%3D1%3Bfrom-tag%3D2>",
                  400}}) {
            CAPTURE(row.value);
            const auto target = ReferTo::parse(row.value);
            REQUIRE(!target);
            CHECK(target.error().sip == row.status);
            CHECK(target.error().what.find("Refer-To") == 0);
        }
        CHECK(refer_to_of(refer("")).error().sip == 400);
        CHECK(refer_to_of(refer("Refer-To: <sip:a@b>, <sip:c@d>\r\n")).error().sip == 400);
        CHECK(refer_to_of(refer("r: <sip:a@b>\r\n"))->uri.user == "a");
    }

    TEST_CASE("Refer-Sub") {
        CHECK(refer_sub_of(refer("Refer-Sub: False ;x=y\r\n")) == false);
        CHECK(refer_sub_of(refer("Refer-Sub: true\r\n")) == true);
        CHECK(!refer_sub_of(refer("Refer-Sub: perhaps\r\n")));
        CHECK(!refer_sub_of(refer("")));
    }

    TEST_CASE("hold, REFER, 202, NOTIFY 100 180 200: success, our call ends") {
        auto d = step({}, on(Kind::start));
        CHECK(d.hold);
        CHECK(!d.refer);
        d = step(d.next, on(Kind::held));
        CHECK(d.refer);
        d = step(d.next, on(Kind::answered, 202));
        CHECK(d.wait == Duration{32'000});
        for (const unsigned code : {100U, 180U}) {
            d = step(d.next, notified(code));
            CHECK(d.answer == 200);
            CHECK(d.progress == code);
            CHECK(d.wait == Duration{60'000});
            CHECK(!d.outcome);
        }
        d = step(d.next, notified(200, Value::terminated));
        REQUIRE(d.outcome);
        CHECK(d.outcome->success);
        CHECK(d.outcome->code == 200);
        CHECK(d.hang_up);
        CHECK(!d.resume);
        CHECK(d.over);
    }

    TEST_CASE("a call that is on hold already is referred at once and left as it was") {
        auto event = on(Kind::start);
        event.held = true;
        auto d = step({}, event);
        CHECK(d.refer);
        CHECK(!d.hold);
        d = step(step(d.next, on(Kind::answered, 202)).next, notified(486, Value::terminated));
        CHECK(d.outcome->code == 486);
        CHECK(!d.resume);
    }

    TEST_CASE("a peer that cannot be held is referred all the same, and needs no resuming") {
        auto d = step(step({}, on(Kind::start)).next, on(Kind::hold_failed));
        CHECK(d.refer);
        d = step(d.next, on(Kind::answered, 603));
        CHECK(d.outcome->code == 603);
        CHECK(!d.resume);
    }

    TEST_CASE("REFER refused: the true code, and the call is resumed") {
        for (const unsigned status : {403U, 405U, 481U, 501U, 603U}) {
            CAPTURE(status);
            const auto d = step(referring(), on(Kind::answered, status));
            REQUIRE(d.outcome);
            CHECK(!d.outcome->success);
            CHECK(d.outcome->code == status);
            CHECK(d.resume);
            CHECK(!d.hang_up);
            CHECK(d.over);
        }
    }

    TEST_CASE("the target's refusal is told with its code and words") {
        const auto d = step(waiting(), notified(486, Value::terminated, "At lunch"));
        CHECK(d.outcome->code == 486);
        CHECK(d.outcome->reason == "At lunch");
        CHECK(d.resume);
    }

    TEST_CASE("NOTIFY before the 202 counts") {
        auto d = step(referring(), notified(100));
        CHECK(d.progress == 100U);
        d = step(d.next, on(Kind::answered, 202));
        CHECK(!d.outcome);
        CHECK(step(d.next, notified(200, Value::terminated)).outcome->success);
        d = step(referring(), notified(200, Value::terminated));
        CHECK(d.outcome->success);
        CHECK(!step(d.next, on(Kind::answered, 202)).outcome);
    }

    TEST_CASE("no NOTIFY at all, none after the first, no answer to REFER") {
        auto d = step(waiting(), on(Kind::timer));
        REQUIRE(d.outcome);
        CHECK(d.outcome->timed_out);
        CHECK(d.outcome->reason == "no NOTIFY came");
        CHECK(d.resume);
        CHECK(d.over);
        CHECK(step(d.next, notified(200)).answer == 481);
        d = step(step(waiting(), notified(180)).next, on(Kind::timer));
        CHECK(d.outcome->timed_out);
        CHECK(d.resume);
        d = step(referring(), on(Kind::failed));
        CHECK(d.outcome->timed_out);
        CHECK(d.resume);
    }

    TEST_CASE("a subscription that ends without an outcome is no success") {
        for (const unsigned status : {0U, 100U, 180U}) {
            const auto d = step(waiting(), notified(status, Value::terminated));
            REQUIRE(d.outcome);
            CHECK(!d.outcome->success);
            CHECK(d.outcome->code == 0);
            CHECK(d.resume);
        }
    }

    TEST_CASE("an outcome in an active subscription: answered until its end, told once") {
        auto d = step(waiting(), notified(200));
        CHECK(d.outcome->success);
        CHECK(!d.over);
        d = step(d.next, notified(200, Value::terminated));
        CHECK(d.answer == 200);
        CHECK(!d.outcome);
        CHECK(d.over);
        d = step(step(waiting(), notified(200)).next, on(Kind::timer));
        CHECK(d.over);
        CHECK(!d.outcome);
    }

    TEST_CASE("the transferee hangs up first: the outcome still comes") {
        auto d = step(waiting(), on(Kind::call_ended));
        CHECK(!d.outcome);
        CHECK(!d.over);
        CHECK(step(d.next, notified(200, Value::terminated)).outcome->success);
        CHECK(!step(d.next, notified(200, Value::terminated)).hang_up);
        CHECK(!step(d.next, notified(603, Value::terminated)).resume);
        CHECK(step(d.next, on(Kind::timer)).outcome->timed_out);
    }

    TEST_CASE("the call ends before REFER") {
        for (const auto &model : {Transferor{}, step({}, on(Kind::start)).next}) {
            const auto d = step(model, on(Kind::call_ended));
            REQUIRE(d.outcome);
            CHECK(!d.outcome->success);
            CHECK(d.over);
            CHECK(!d.resume);
        }
    }

    TEST_CASE("Refer-Sub: false: done with the 2xx") {
        auto accepted = on(Kind::answered, 202);
        accepted.no_subscription = true;
        const auto d = step(referring(), accepted);
        CHECK(d.outcome->success);
        CHECK(d.outcome->code == 202);
        CHECK(d.hang_up);
        CHECK(d.over);
    }

    TEST_CASE("patience over: resumed, told once") {
        const auto d = step(step(waiting(), notified(180)).next, on(Kind::give_up));
        CHECK(d.outcome->timed_out);
        CHECK(d.resume);
        CHECK(!step(d.next, on(Kind::give_up)).outcome);
        CHECK(!step(d.next, notified(200, Value::terminated)).outcome);
    }

    TEST_CASE("attended: the target is called between hold and REFER") {
        Transferor model;
        model.attended = true;
        auto d = step(step(model, on(Kind::start)).next, on(Kind::held));
        CHECK(d.consult);
        CHECK(!d.refer);
        const auto consulting = d.next;
        d = step(consulting, on(Kind::consulted));
        CHECK(d.refer);
        d = step(step(d.next, on(Kind::answered, 202)).next, notified(481, Value::terminated));
        CHECK(d.outcome->code == 481);
        CHECK(d.resume);
        CHECK(d.end_consultation);
        d = step(consulting, on(Kind::consult_failed, 486));
        CHECK(d.outcome->code == 486);
        CHECK(d.outcome->reason == "Busy Here");
        CHECK(d.resume);
        CHECK(d.over);
        d = step(consulting, on(Kind::call_ended));
        CHECK(!d.outcome->success);
        CHECK(d.end_consultation);
        d = step(step(step(consulting, on(Kind::consulted)).next, on(Kind::answered, 202)).next,
                 notified(200, Value::terminated));
        CHECK(d.outcome->success);
        CHECK(!d.end_consultation);
    }

    TEST_CASE("a NOTIFY nobody asked for is 481") {
        CHECK(step(Transferor{}, notified(200)).answer == 481);
        CHECK(step(step({}, on(Kind::start)).next, notified(200)).answer == 481);
    }
}
