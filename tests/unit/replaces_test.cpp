#include <vector>

#include <doctest/doctest.h>

#include "sip/replaces.hpp"

using namespace offhook::sip;

namespace {

const DialogId talk{"98asjd8@test", "ours", "theirs"};

std::vector<ReplaceableDialog> calls() {
    return {{{"other@test", "ours", "theirs"}, DialogState::confirmed, false, "home"},
            {talk, DialogState::confirmed, false, "home"}};
}

} // namespace

TEST_SUITE("replaces") {
    TEST_CASE("a value is read and written, plain and escaped") {
        const auto value = Replaces::parse("98asjd8@test; to-tag=7743 ;From-Tag=6472;early-only");
        REQUIRE(value.has_value());
        CHECK(value->call_id == "98asjd8@test");
        CHECK(value->to_tag == "7743");
        CHECK(value->from_tag == "6472");
        CHECK(value->early_only);
        CHECK(value->encode() == "98asjd8@test;to-tag=7743;from-tag=6472;early-only");
        const auto escaped = value->encode_escaped();
        CHECK(escaped == "98asjd8%40test%3Bto-tag%3D7743%3Bfrom-tag%3D6472%3Bearly-only");
        CHECK(Replaces::parse_escaped(escaped) == *value);
        CHECK(Replaces::parse_escaped("a%40b;to-tag=1;from-tag=2")->call_id == "a@b");
    }

    TEST_CASE("what is no Replaces is 400") {
        for (const auto *text :
             {"", "call", ";to-tag=1;from-tag=2", "call;to-tag=1", "call;from-tag=1",
              "call;to-tag=1;to-tag=2;from-tag=3", "call;to-tag;from-tag=3", "a b;to-tag=1;from-tag=2",
              "call;to-tag=1;from-tag=2;;", "a;to-tag=1;from-tag=2, b;to-tag=1;from-tag=2"}) {
            CAPTURE(text);
            REQUIRE(!Replaces::parse(text));
            CHECK(Replaces::parse(text).error().sip == 400);
        }
    }

    TEST_CASE("to-tag is the reader's") {
        const auto for_peer = Replaces::of(talk);
        CHECK(for_peer.to_tag == "theirs");
        CHECK(for_peer.from_tag == "ours");
        const std::vector<ReplaceableDialog> peer{
            {{talk.call_id, talk.remote_tag, talk.local_tag}, DialogState::confirmed, true, "work"}};
        CHECK(match(for_peer, "work", peer).status == 200);
        CHECK(match(for_peer, "home", calls()).status == 481);
    }

    TEST_CASE("all three tags and the account must be right") {
        const auto dialogs = calls();
        const Replaces right{talk.call_id, "ours", "theirs", false};
        CHECK(match(right, "home", dialogs).status == 200);
        CHECK(match(right, "home", dialogs).index == 1);
        CHECK(match(right, "work", dialogs).status == 481);
        for (auto wrong :
             {Replaces{"x@test", "ours", "theirs", false}, Replaces{talk.call_id, "x", "theirs", false},
              Replaces{talk.call_id, "ours", "x", false}, Replaces{talk.call_id, "theirs", "ours", false},
              Replaces{talk.call_id, "OURS", "theirs", false}})
            CHECK(match(wrong, "home", dialogs).status == 481);
        CHECK(match(right, "home", {}).status == 481);
    }

    TEST_CASE("the state of the call decides") {
        struct Row {
            DialogState state;
            bool initiator, early_only;
            unsigned status;
        };
        for (const auto &row :
             {Row{DialogState::confirmed, false, false, 200}, Row{DialogState::confirmed, true, true, 486},
              Row{DialogState::early, true, false, 200}, Row{DialogState::early, true, true, 200},
              Row{DialogState::early, false, false, 481}, Row{DialogState::terminated, true, false, 603}}) {
            const std::vector<ReplaceableDialog> dialogs{{talk, row.state, row.initiator, "home"}};
            CHECK(match({talk.call_id, "ours", "theirs", row.early_only}, "home", dialogs).status ==
                  row.status);
        }
    }

    TEST_CASE("a dialog without a tag is called 0") {
        const std::vector<ReplaceableDialog> old{{{"c", "ours", ""}, DialogState::confirmed, true, ""}};
        CHECK(match({"c", "ours", "0", false}, "", old).status == 200);
        CHECK(Replaces::of(old[0].id).to_tag == "0");
    }
}
