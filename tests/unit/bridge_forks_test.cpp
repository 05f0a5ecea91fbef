// Forks towards one browser: the dialogs they make, the tags that hide them, and who is heard.
#include <string>

#include <doctest/doctest.h>

#include "bridge/callee_dialogs.hpp"
#include "bridge/dialog_names.hpp"
#include "bridge/floor.hpp"
#include "bridge/hidden_forks.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

sip::Message response(unsigned status, const std::string &tag, const std::string &more = {}) {
    auto m = sip::Message::parse("SIP/2.0 " + std::to_string(status) + " X\r\nTo: <sip:b@x>;tag=" + tag +
                                 "\r\n" + more + "\r\n");
    REQUIRE(m);
    return *m;
}

bool ours(const sip::Uri &uri) {
    return uri.host == "ours";
}

std::string upper(std::string_view call_id, std::string_view tag) {
    return call_id == "c1" && tag == "t1" ? "T+1" : std::string(tag);
}

std::string translated(const std::string &name, const std::string &value) {
    auto draft = sip::Draft::request("INVITE", "sip:a");
    draft.add(name, value);
    translate_tags(draft, upper);
    return std::string(draft.get(name));
}

} // namespace

TEST_SUITE("bridge forks") {
    TEST_CASE("a branch has a dialog for each tag, and one that answered") {
        CalleeDialogs dialogs;
        CHECK(dialogs.current().tag.empty());
        dialogs.learn(response(180, "a", "Contact: <sip:a@1>\r\nAllow: INVITE, INFO\r\n"), ours);
        CHECK_FALSE(dialogs.current().allows_update);
        CHECK(dialogs.current().allows_info);
        dialogs.learn(
            response(183, "b",
                     "Contact: <sip:b@1>\r\nRecord-Route: <sip:far;lr>, <sip:near;lr>, <sip:ours;lr>\r\n"
                     "Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0"),
            ours);
        CHECK(dialogs.current().tag == "b");
        CHECK(dialogs.current().answer == "v=0");
        CHECK(dialogs.current().routes == std::vector<std::string>{"<sip:near;lr>", "<sip:far;lr>"});
        CHECK(dialogs.at("a").contact == "sip:a@1");
        CHECK(dialogs.at("nobody").tag == "b");
        dialogs.learn(response(200, "a"), ours);
        dialogs.choose("a");
        dialogs.learn(response(183, "c"), ours); // too late to be the one
        CHECK(dialogs.current().tag == "a");
        CHECK(dialogs.known("c"));
        dialogs.learn(response(486, "d"), ours);
        CHECK_FALSE(dialogs.known("d"));
        for (int i = 0; i < 100; ++i)
            dialogs.learn(response(183, "x" + std::to_string(i)), ours);
        CHECK_FALSE(dialogs.known("x99"));
        CHECK(dialogs.current().tag == "a");
    }

    TEST_CASE("tags wherever a message names another dialog") {
        CHECK(translated("Replaces", "c1;to-tag=t1;from-tag=x") == "c1;to-tag=T+1;from-tag=x");
        CHECK(translated("replaces", "c1 ; from-tag = t1 ; early-only ; to-tag = t1") ==
              "c1;from-tag=T+1;early-only;to-tag=T+1");
        CHECK(translated("Join", "c1;to-tag=x;from-tag=t1") == "c1;to-tag=x;from-tag=T+1");
        CHECK(translated("Target-Dialog", "c1;local-tag=t1;remote-tag=x") == "c1;local-tag=T+1;remote-tag=x");
        CHECK(translated("Replaces", "c2;to-tag=t1;from-tag=x") == "c2;to-tag=t1;from-tag=x");
        CHECK(translated("Event", "dialog;call-id=\"c1\";from-tag=t1;to-tag=x") ==
              "dialog;call-id=\"c1\";from-tag=T+1;to-tag=x");
        CHECK(translated("Event", "refer;id=3") == "refer;id=3");
        CHECK(translated("Refer-To", "<sip:b@x?Subject=t1&Replaces=c1%3Bto-tag%3Dt1%3Bfrom-tag%3Dx>;p=1") ==
              "<sip:b@x?Subject=t1&Replaces=c1%3Bto-tag%3DT%2B1%3Bfrom-tag%3Dx>;p=1");
        CHECK(translated("Refer-To", "<sip:b@x>") == "<sip:b@x>");
        CHECK(translated("Subject", "c1;to-tag=t1") == "c1;to-tag=t1");
        for (const char *odd :
             {"", ";", "c1", "c1;", "c1;to-tag", "c1;to-tag=\"", "<sip:b@x?", "?&=&Replaces&Replaces="})
            for (const char *name : {"Replaces", "Refer-To", "Event"})
                CHECK(translated(name, odd) == odd);
    }

    TEST_CASE("tags in bodies") {
        auto draft = sip::Draft::request("NOTIFY", "sip:a");
        draft.set_body(
            "application/dialog-info+xml;charset=utf-8",
            "<dialog id=\"t1\" call-id=\"c1\"\n local-tag='t1' remote-tag=\"x\"><state>t1</state></dialog>"
            "<dialog call-id=\"c2\" local-tag=\"t1\"/><dialog call-id=\"c1");
        translate_tags(draft, upper);
        CHECK(draft.body ==
              "<dialog id=\"t1\" call-id=\"c1\"\n local-tag='T+1' remote-tag=\"x\"><state>t1</state>"
              "</dialog><dialog call-id=\"c2\" local-tag=\"t1\"/><dialog call-id=\"c1");
        draft.set_body("message/sipfrag",
                       "SIP/2.0 200 OK\r\nt: <sip:b@x>;tag=t1\r\nCall-ID: c1\nFrom: <sip:a@x>;tag=x");
        translate_tags(draft, upper);
        CHECK(draft.body == "SIP/2.0 200 OK\r\nt: <sip:b@x>;tag=T+1\r\nCall-ID: c1\nFrom: <sip:a@x>;tag=x");
        draft.set_body("text/plain", "Call-ID: c1\r\nTo: <sip:b@x>;tag=t1");
        translate_tags(draft, upper);
        CHECK(draft.body == "Call-ID: c1\r\nTo: <sip:b@x>;tag=t1");
    }

    TEST_CASE("hidden forks: one tag inside, that of the fork outside, for the viewer alone") {
        TagBook book;
        auto draft = sip::Draft::request("INVITE", "sip:a");
        draft.add("Replaces", "c1;to-tag=mine;from-tag=b");
        {
            HiddenForks forks(book, "c1", "anna", "shown");
            forks.learn("a");
            forks.learn("b");
            CHECK(forks.outside("shown") == "b");
            CHECK(forks.outside("a") == "a");
            CHECK(forks.inside("a") == "shown");
            CHECK(forks.inside("mine") == "mine");
            book.inward(draft, "ben");
            CHECK(draft.get("Replaces") == "c1;to-tag=mine;from-tag=b");
            book.inward(draft, "anna");
            CHECK(draft.get("Replaces") == "c1;to-tag=mine;from-tag=shown");
            book.outward(draft);
            CHECK(draft.get("Replaces") == "c1;to-tag=mine;from-tag=b");
            book.inward(draft, "anna");
        }
        CHECK(book.empty());
        book.outward(draft);
        CHECK(draft.get("Replaces") == "c1;to-tag=mine;from-tag=shown");
    }

    TEST_CASE("who began last is heard, and who goes on when that one is silent") {
        TimePoint now{std::chrono::hours(1)};
        Floor<int> floor;
        CHECK(floor.takes(1, now));
        for (int i = 0; i < 50; ++i, now += Duration{20})
            CHECK(floor.takes(1, now));
        CHECK(floor.takes(2, now)); // begins
        for (int i = 0; i < 100; ++i, now += Duration{20}) {
            CHECK_FALSE(floor.takes(1, now));
            CHECK(floor.takes(2, now));
        }
        now += Duration{500};
        CHECK_FALSE(floor.takes(1, now));
        now += Duration{600};
        CHECK(floor.takes(1, now)); // 2 is silent
        CHECK(floor.takes(2, now)); // and begins again
        Floor<int> crowd;
        for (int i = 0; i < 32; ++i)
            CHECK(crowd.takes(i, now));
        CHECK_FALSE(crowd.takes(99, now));
    }
}
