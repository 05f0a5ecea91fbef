#include <doctest/doctest.h>

#include "phone/dialog_info.hpp"

using namespace offhook;

TEST_SUITE("dialog info") {
    TEST_CASE("no call: an empty document of the whole state") {
        CHECK(dialog_info("sip:alice@example.com", 0, {}) ==
              "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
              "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" "
              "entity=\"sip:alice@example.com\">\n</dialog-info>\n");
    }

    TEST_CASE("calls with their states, hostile names escaped, nothing by which one could take them over") {
        std::vector<CallView> calls(2);
        calls[0].id = CallId{1};
        calls[0].local = "sip:alice@example.com";
        calls[0].remote = "sip:b&b@example.com";
        calls[0].remote_name = "\"Bob\" <x>";
        calls[0].sip_call_id = "secret-call-id";
        calls[0].state = sip::DialogState::confirmed;
        calls[0].held_locally = true;
        calls[1].id = CallId{2};
        calls[1].direction = CallDirection::incoming;
        calls[1].state = sip::DialogState::early;
        const auto text = dialog_info("sip:alice@example.com", 7, calls);
        CHECK(text.find("version=\"7\"") != std::string::npos);
        CHECK(text.find("<dialog id=\"c1\" direction=\"initiator\"><state>confirmed</state>") !=
              std::string::npos);
        CHECK(
            text.find("<identity display=\"&quot;Bob&quot; &lt;x&gt;\">sip:b&amp;b@example.com</identity>") !=
            std::string::npos);
        CHECK(text.find("pname=\"+sip.rendering\" pval=\"no\"") != std::string::npos);
        CHECK(text.find("<dialog id=\"c2\" direction=\"recipient\"><state>early</state>") !=
              std::string::npos);
        CHECK(text.find("secret") == std::string::npos);
    }
}
