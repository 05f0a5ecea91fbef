#include <doctest/doctest.h>

#include "base/xml.hpp"
#include "phone/state_document.hpp"

using namespace offhook;

namespace {

std::string summary(StateReader &reader, const std::string &type, const std::string &body) {
    const auto view = reader.read(type, body);
    return view ? view->summary : "error: " + view.error().what;
}

std::string once(const std::string &package, const std::string &body) {
    StateReader reader(package);
    return summary(reader, std::string(accepted_type(package)), body);
}

std::string dialog_info(const std::string &inner, const std::string &state = "full") {
    return R"(<?xml version="1.0"?><dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="1" state=")" +
           state + R"(" entity="sip:100@pbx">)" + inner + "</dialog-info>";
}

} // namespace

TEST_SUITE("state_document") {
    TEST_CASE("XML: names without namespaces, text trimmed, entities of XML itself only") {
        const auto xml =
            parse_xml("<?xml version='1.0' encoding='UTF-8'?>\n<p:a xmlns:p='urn:x' p:k='v' x=\"1&amp;2\">\n"
                      " hello <b>\xc3\xbc &#x41;</b><b/> world </p:a>");
        REQUIRE(xml.has_value());
        CHECK(xml->name == "a");
        CHECK(xml->attribute("k") == "v");
        CHECK(xml->attribute("x") == "1&2");
        CHECK(xml->attribute("none").empty());
        CHECK(xml->text_of("b") == "\xc3\xbc A");
        CHECK(xml->all("b").size() == 2);
        CHECK(xml->find("c") == nullptr);
        CHECK(xml->text.starts_with("hello"));
    }

    TEST_CASE("XML: what could reach out, grow or never end is refused with its place") {
        struct Row {
            std::string text;
            const char *says;
        };
        std::string deep, wide = "<a>", attributes = "<a";
        for (int i = 0; i < 20; ++i)
            deep += "<a>";
        for (int i = 0; i < 2001; ++i)
            wide += "<b/>";
        for (int i = 0; i < 40; ++i)
            attributes += " k" + std::to_string(i) + "='v'";
        const Row rows[] = {
            {"<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>", "DOCTYPE"},
            {"<!DOCTYPE a SYSTEM \"http://127.0.0.1:9/x.dtd\"><a/>", "DOCTYPE"},
            {"<!DOCTYPE a [<!ENTITY l \"lol\"><!ENTITY m \"&l;&l;&l;\">]><a>&m;</a>", "DOCTYPE"},
            {"<a>&undeclared;</a>", "undefined entity"},
            {deep, "too deep"},
            {wide, "too many elements"},
            {attributes + "/>", "too many attributes"},
            {std::string(70'000, ' '), "64 KiB"},
            {"", "no element"},
            {"<a><b></a>", "line 1, column"},
            {"<a>\xff</a>", "not well-formed"},
            {"<a/><b/>", "junk after document element"},
        };
        for (const auto &row : rows) {
            const auto xml = parse_xml(row.text);
            REQUIRE_FALSE_MESSAGE(xml.has_value(), row.says);
            CHECK_MESSAGE(xml.error().what.find(row.says) != std::string::npos, xml.error().what);
        }
        const std::string good =
            dialog_info("<dialog id='x' direction='initiator'><state>trying</state></dialog>");
        for (std::size_t size = 0; size < good.size(); ++size)
            CHECK_FALSE(parse_xml(good.substr(0, size)).has_value());
    }

    TEST_CASE("dialogs: full and partial documents, who with whom") {
        StateReader reader("dialog");
        const std::string type = "application/dialog-info+xml;charset=UTF-8";
        CHECK(summary(reader, type, dialog_info("")) == "sip:100@pbx: idle");
        const std::string ringing =
            "<dialog id='a1' direction='recipient'><state>early</state><remote><identity>"
            "sip:200@pbx</identity><target uri='sip:200@192.0.2.7'/></remote></dialog>";
        CHECK(summary(reader, type, dialog_info(ringing, "partial")) ==
              "sip:100@pbx: early from sip:200@pbx");
        const std::string other =
            "<dialog id='b2' direction='initiator'><state>confirmed</state><remote><target "
            "uri='sip:300@pbx'/></remote></dialog>";
        CHECK(summary(reader, type, dialog_info(other, "partial")) ==
              "sip:100@pbx: early from sip:200@pbx, confirmed to sip:300@pbx");
        const std::string over = "<dialog id='a1'><state event='remote-bye'>terminated</state></dialog>";
        const auto view = reader.read(type, dialog_info(over, "partial"));
        REQUIRE(view.has_value());
        CHECK(view->summary == "sip:100@pbx: confirmed to sip:300@pbx");
        CHECK(
            view->content.dump() ==
            R"({"entity":"sip:100@pbx","busy":true,"dialogs":[{"id":"a1","state":"terminated","direction":"recipient",)"
            R"("remote":"sip:200@pbx","reason":"remote-bye"},{"id":"b2","state":"confirmed","direction":"initiator",)"
            R"("remote":"sip:300@pbx","reason":""}]})");
        CHECK(summary(reader, type, dialog_info("")) == "sip:100@pbx: idle");
        std::string flood;
        for (int i = 0; i < 500; ++i)
            flood += "<dialog id='" + std::to_string(i) + "'><state>trying</state></dialog>";
        CHECK(summary(reader, type, dialog_info(flood)).size() < 256 * 12);
        CHECK(summary(reader, "text/plain", "x")
                  .starts_with("error: a body of type \"text/plain\" (expected application/"));
        CHECK(summary(reader, type, "<presence/>") == "error: expected <dialog-info>, found <presence>");
        CHECK(summary(reader, type, "") == "nothing known");
    }

    TEST_CASE("presence: the best tuple, notes, activities; nothing harmful to show") {
        CHECK(once("presence",
                   R"(<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:alice@pbx">
                      <tuple id="a"><status><basic>closed</basic></status></tuple>
                      <tuple id="b"><status><basic>open</basic></status><contact>sip:alice@192.0.2.1</contact>
                        <note>at my desk</note></tuple>
                      <dm:person xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" id="p">
                        <rpid:activities xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid"><rpid:on-the-phone/></rpid:activities>
                      </dm:person></presence>)") == "pres:alice@pbx: open (at my desk, on-the-phone)");
        CHECK(once("presence", "<presence entity='sip:a@b'/>") == "sip:a@b: unknown");
        CHECK(once("presence", "<presence entity='sip:a@b'><note>\xe2\x80\xae"
                               "evil</note></presence>") == "sip:a@b: unknown (\xEF\xBF\xBD"
                                                            "evil)");
    }

    TEST_CASE("message-summary: RFC 3842's counts") {
        CHECK(once("message-summary",
                   "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\n"
                   "Voice-Message: 2/8 (0/2)\r\n\r\nSubject: x\r\n") ==
              "sip:alice@vmail.example.com: messages waiting: 2 new, 8 old voice (urgent: 0 new, 2 old)");
        CHECK(once("message-summary", "messages-waiting : no\r\n") == "no messages waiting");
        CHECK(once("message-summary", "Messages-Waiting: yes\nFax-Message: 1/0\nVoice-Message: 0/3") ==
              "messages waiting: 1 new, 0 old fax, 0 new, 3 old voice");
        for (const char *bad : {"", "Voice-Message: 1/2", "Messages-Waiting: yes\r\nVoice-Message: many",
                                "Messages-Waiting: yes\r\nVoice-Message: 1/2 (3",
                                "Messages-Waiting: yes\r\nVoice-Message: -1/2"}) {
            if (*bad != 0)
                CHECK_MESSAGE(once("message-summary", bad).starts_with("error: message-summary:"), bad);
        }
    }

    TEST_CASE("registrations: partial documents add to the full one") {
        StateReader reader("reg");
        const std::string type = "application/reginfo+xml";
        const auto reginfo = [](const std::string &state, const std::string &contacts) {
            return "<reginfo xmlns='urn:ietf:params:xml:ns:reginfo' version='0' state='" + state +
                   "'><registration aor='sip:joe@example.com' id='r1' state='active'>" + contacts +
                   "</registration></reginfo>";
        };
        const auto contact = [](const std::string &id, const std::string &state) {
            return "<contact id='" + id + "' state='" + state + "' event='registered'><uri>sip:joe@" + id +
                   "</uri></contact>";
        };
        CHECK(summary(reader, type, reginfo("full", contact("c1", "active"))) ==
              "sip:joe@example.com: active at sip:joe@c1");
        CHECK(summary(reader, type, reginfo("partial", contact("c2", "active"))) ==
              "sip:joe@example.com: active at sip:joe@c1, sip:joe@c2");
        CHECK(summary(reader, type, reginfo("partial", contact("c1", "terminated"))) ==
              "sip:joe@example.com: active at sip:joe@c2");
        CHECK(summary(reader, type, "<reginfo state='full'/>") == "no registration");
    }
}
