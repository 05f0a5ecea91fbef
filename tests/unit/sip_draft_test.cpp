#include <string>

#include <doctest/doctest.h>

#include "sip/draft.hpp"
#include "sip/screen.hpp"

using namespace offhook::sip;

namespace {

Message request(const std::string &method, const std::string &to = "<sip:b@example.com>") {
    auto m = Message::parse(method +
                            " sip:b@example.com SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\n"
                            "Via: SIP/2.0/UDP b;branch=z9hG4bK2\r\nRecord-Route: <sip:p1;lr>\r\n"
                            "Record-Route: <sip:p2;lr>\r\nTo: " +
                            to + "\r\nFrom: <sip:a@example.com>;tag=1\r\nCall-ID: c\r\nCSeq: 7 " + method +
                            "\r\nTimestamp: 54\r\nContact: <sip:a@a>\r\nContent-Length: 3\r\n\r\nabc");
    REQUIRE(m.has_value());
    return *m;
}

} // namespace

TEST_SUITE("sip draft") {
    TEST_CASE("a request is written in order, with its length") {
        auto draft = Draft::request("MESSAGE", "sip:b@example.com");
        draft.add("From", "<sip:a@b>;tag=1")
            .add("X", "1")
            .prepend("Via", "SIP/2.0/UDP a")
            .set_body("text/plain", "hi\r\n");
        draft.add("Content-Length", "999"); // ours counts
        CHECK(draft.encode() ==
              "MESSAGE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>;tag=1\r\nX: 1\r\n"
              "Content-Type: text/plain\r\nContent-Length: 4\r\n\r\nhi\r\n");
        CHECK(draft.is_request());
    }

    TEST_CASE("nothing can start a header of its own") {
        const std::string evil = "a\r\nEvil: 1\r\n\r\nINVITE\n\r";
        using namespace std::string_literals;
        for (const auto &bad : {evil, "a\nEvil: 1"s, "a\rEvil: 1"s, "a\0\r\n\r\nEvil: 1"s}) {
            auto draft = Draft::request("X" + bad, "sip:" + bad);
            draft.add("Subject", bad).add("Name" + bad, "v").prepend("P", bad).set("S", bad);
            const auto bytes = draft.encode();
            CHECK(bytes.find("\r\nEvil") == bytes.npos);
            CHECK(bytes.find('\0') == bytes.npos);
            CHECK(bytes.find("\r\n\r\n") == bytes.size() - 4);
            std::size_t lines = 0;
            for (std::size_t i = 0; i < bytes.size(); ++i) {
                if (bytes[i] == '\r') CHECK(bytes.at(i + 1) == '\n');
                if (bytes[i] == '\n') {
                    ++lines;
                    CHECK(bytes.at(i - 1) == '\r');
                }
            }
            CHECK(lines == draft.headers.size() + 3);
            Draft response;
            response.status = 200;
            response.reason = bad;
            CHECK(response.encode().find("\r\nEvil") == std::string::npos);
        }
    }

    TEST_CASE("a response copies what RFC 3261 section 8.2.6 names") {
        CHECK(Draft::response(request("INVITE"), 180, "", "t").encode() ==
              "SIP/2.0 180 Ringing\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP "
              "b;branch=z9hG4bK2\r\n"
              "Record-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\nTo: <sip:b@example.com>;tag=t\r\n"
              "From: <sip:a@example.com>;tag=1\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n");
        const auto trying = Draft::response(request("INVITE"), 100, "", "t");
        CHECK(trying.get("To") == "<sip:b@example.com>");
        CHECK(trying.get("Timestamp") == "54");
        CHECK(trying.get("Record-Route").empty());
        CHECK(Draft::response(request("INVITE"), 486, "Gone fishing", "t").reason == "Gone fishing");
        CHECK(Draft::response(request("INVITE"), 486).get("Record-Route").empty());
        CHECK(Draft::response(request("SUBSCRIBE"), 200).get("Record-Route") == "<sip:p1;lr>");
        CHECK(Draft::response(request("MESSAGE"), 200).get("Record-Route").empty());
        CHECK(Draft::response(request("BYE", "<sip:b@c>;tag=old"), 200, "", "new").get("To") ==
              "<sip:b@c>;tag=old");
        CHECK(Draft::response(request("BYE", "sip:b@c"), 200, "", "new").get("To") == "sip:b@c;tag=new");
        CHECK(Draft::response(request("BYE", "\"broken"), 400, "", "new").get("To") == "\"broken");
        const auto back = Message::parse(Draft::response(request("INVITE"), 200, "", "t").encode());
        CHECK(back->to()->tag() == "t");
    }

    TEST_CASE("editing finds headers by any of their names") {
        auto draft = Draft::from_message(request("INVITE"));
        CHECK(draft.method == "INVITE");
        CHECK(draft.body == "abc");
        CHECK(draft.get("Content-Length").empty());
        CHECK(draft.get("i") == "c");
        draft.erase_first("Via");
        CHECK(draft.get("v") == "SIP/2.0/UDP b;branch=z9hG4bK2");
        draft.set("record-route", "<sip:only>");
        CHECK(draft.get("Record-Route") == "<sip:only>");
        draft.erase_first("Record-Route");
        CHECK(draft.get("Record-Route").empty());
        draft.set("To", draft.get("From")); // a view into the draft itself
        CHECK(draft.get("t") == "<sip:a@example.com>;tag=1");
        draft.set("X-New", "1").set("x-new", "2");
        CHECK(draft.get("X-NEW") == "2");
        draft.erase("via").erase("absent").erase_first("absent");
        CHECK(draft.get("Via").empty());
        const auto again = Message::parse(Draft::from_message(request("INVITE")).encode());
        REQUIRE(again.has_value());
        CHECK(again->body() == "abc");
        CHECK(again->headers().size() == request("INVITE").headers().size());
        const auto response = Draft::from_message(*Message::parse("SIP/2.0 200 Fine\r\nX: y\r\n\r\n"));
        CHECK(response.encode() == "SIP/2.0 200 Fine\r\nX: y\r\nContent-Length: 0\r\n\r\n");
    }
}
