// Every message of RFC 4475 through parse() and screen(), as a datagram and as a stream.
#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "sip/framer.hpp"
#include "sip/screen.hpp"

using namespace offhook::sip;

namespace {

std::string data_file(const std::string &name) {
    const std::string here = __FILE__; // tests/unit/…: found from wherever the tests are started
    const auto root = here.substr(0, here.rfind("tests/unit/"));
    std::ifstream file(root + "tests/data/rfc4475/" + name, std::ios::binary);
    REQUIRE_MESSAGE(file.is_open(), "tests/data/rfc4475/" << name << " is missing");
    std::ostringstream all;
    all << file.rdbuf();
    return all.str();
}

struct Outcome {
    Verdict verdict = Verdict::drop; // of a message that does not even parse
    unsigned status = 0;
    std::string reason = {};
    friend bool operator==(const Outcome &a, const Outcome &b) {
        return a.verdict == b.verdict && a.status == b.status;
    }
};

std::ostream &operator<<(std::ostream &out, const Outcome &outcome) {
    constexpr const char *names[] = {"pass", "reject", "drop", "close"};
    return out << names[static_cast<int>(outcome.verdict)] << ' ' << outcome.status << " (" << outcome.reason
               << ')';
}

Outcome judge(const std::string &bytes, bool stream) {
    const auto message = Message::parse(bytes);
    if (!message) return {Verdict::drop, 0, message.error().what};
    const auto screening = screen(*message, stream);
    return {screening.verdict, screening.status, screening.reason};
}

Outcome over_datagram(const std::string &name) {
    return judge(data_file(name + ".dat"), false);
}

// The first message that a stream with these bytes yields; a framing error or a message that never
// becomes whole closes the connection.
Outcome over_stream(const std::string &name) {
    StreamFramer framer;
    framer.push(data_file(name + ".dat"));
    while (true) {
        const auto item = framer.next();
        if (!item) return {Verdict::close, 0, item.error().what};
        if (!*item) return {Verdict::close, 0, "waits for more, until the connection ends"};
        if ((*item)->kind == StreamFramer::Item::Kind::message) return judge((*item)->bytes, true);
    }
}

constexpr auto pass = Verdict::pass, reject = Verdict::reject, drop = Verdict::drop, closes = Verdict::close;

struct Case {
    const char *name;
    Outcome datagram;
    std::optional<Outcome> stream = {}; // where it differs
};

// What EXPECTED.tsv's column for a phone implies for this floor. Where it says 405, 406, 415, 420, 481 or
// 501, the message passes here and the user agent answers.
const std::vector<Case> cases{
    {"wsinv", {pass}},
    {"intmeth", {pass}},
    {"esc01", {pass}},
    {"escnull", {pass}},
    {"esc02", {pass}},
    {"lwsdisp", {pass}},
    {"longreq", {pass}},
    {"dblreq", {pass}},
    {"semiuri", {pass}},
    {"transports", {pass}},
    {"mpart01", {pass}},
    {"unreason", {pass}},
    {"noreason", {pass}},
    {"badinv01", {drop}},                      // no usable Via
    {"clerr", {reject, 400}, Outcome{closes}}, // the stream waits for octets that never come
    {"ncl", {reject, 400}, Outcome{closes}},
    {"scalar02", {reject, 400}},
    {"scalarlg", {drop}},
    {"quotbal", {reject, 400}},
    {"ltgtruri", {reject, 400}},
    {"lwsruri", {reject, 400}},
    {"lwsstart", {reject, 400}},
    {"trws", {reject, 400}},
    {"escruri", {reject, 400}},
    {"baddate", {pass}}, // Date is ignored
    {"regbadct", {reject, 400}},
    {"badaspec", {reject, 400}},
    {"baddn", {reject, 400}, Outcome{closes}}, // without the final CRLF the stream waits
    {"badvers", {reject, 505}},
    {"mismatch01", {reject, 400}},
    {"mismatch02", {reject, 400}},
    {"bigcode", {drop}},
    {"badbranch", {pass}}, // the transaction layer matches it as RFC 2543
    {"insuf", {reject, 400}},
    {"unkscm", {reject, 416}},
    {"novelsc", {reject, 416}},
    {"unksm2", {pass}},
    {"bext01", {pass}},
    {"invut", {pass}},
    {"regaut01", {pass}},
    {"multi01", {reject, 400}},
    {"mcl01", {reject, 400}, Outcome{closes}},
    {"bcast", {pass}}, // the transaction layer counts the Vias
    {"zeromf", {pass}},
    {"cparam01", {pass}},
    {"cparam02", {pass}},
    {"regescrt", {pass}},
    {"sdp01", {pass}},
    {"inv2543", {pass}, Outcome{closes, 400}}, // a stream needs Content-Length
};

Message parsed(const std::string &name) {
    auto message = Message::parse(data_file(name + ".dat"));
    REQUIRE(message.has_value());
    return *message;
}

// Column UA_expected of EXPECTED.tsv by message.
std::map<std::string, std::string> expected_of_a_phone() {
    std::map<std::string, std::string> expected;
    std::istringstream lines(data_file("EXPECTED.tsv"));
    std::string line;
    std::getline(lines, line); // titles
    while (std::getline(lines, line)) {
        std::istringstream fields(line);
        std::string name, section, kind, phone;
        std::getline(fields, name, '\t');
        std::getline(fields, section, '\t');
        std::getline(fields, kind, '\t');
        std::getline(fields, phone, '\t');
        expected[name] = phone;
    }
    return expected;
}

} // namespace

TEST_SUITE("rfc4475") {
    TEST_CASE("the table covers all 49 messages and agrees with what is expected of a phone") {
        const auto expected = expected_of_a_phone();
        REQUIRE(expected.size() == 49);
        REQUIRE(cases.size() == 49);
        for (const auto &row : cases) {
            CAPTURE(std::string(row.name));
            REQUIRE(expected.count(row.name) == 1);
            const auto &text = expected.at(row.name);
            const auto says = [&](const char *word) { return text.find(word) != text.npos; };
            if (row.datagram.verdict == reject) CHECK(says(std::to_string(row.datagram.status).c_str()));
            if (row.datagram.verdict == drop) CHECK((says("drop") || says("discard")));
            if (row.datagram.verdict == pass) CHECK_FALSE((text == "400" || text == "416" || text == "505"));
        }
    }

    TEST_CASE("each message meets its verdict as a datagram") {
        for (const auto &row : cases) {
            CAPTURE(std::string(row.name));
            CHECK(over_datagram(row.name) == row.datagram);
        }
    }

    TEST_CASE("each message meets its verdict on a stream") {
        for (const auto &row : cases) {
            CAPTURE(std::string(row.name));
            CHECK(over_stream(row.name) == row.stream.value_or(row.datagram));
        }
    }

    TEST_CASE("the stray test.dat is dropped: it has no Via") {
        CHECK(over_datagram("test") == Outcome{drop});
        CHECK(over_stream("test") == Outcome{drop});
    }

    TEST_CASE("baddn is refused with its final CRLF as without") {
        const auto archived = data_file("baddn.dat");
        REQUIRE(archived.ends_with("l: 0\r\n"));
        for (const auto &bytes : {archived, archived + "\r\n", archived.substr(0, archived.size() - 2)})
            CHECK(judge(bytes, false) == Outcome{reject, 400});
        CHECK_FALSE(Message::parse(archived)->complete());
        CHECK(Message::parse(archived + "\r\n")->complete());
        StreamFramer framer;
        framer.push(archived + "\r\n");
        const auto item = framer.next();
        REQUIRE((item && *item));
        CHECK(judge((*item)->bytes, true) == Outcome{reject, 400});
    }

    TEST_CASE("wsinv: folds, odd spaces and compact names are read as what they mean") {
        const auto m = parsed("wsinv");
        CHECK(m.to()->tag() == "1918181833n");
        CHECK(m.from()->display == "J Rosenberg \\\"");
        CHECK(m.from()->tag() == "98asjd8");
        CHECK(m.cseq()->number == 9);
        CHECK(m.cseq()->method == "INVITE");
        CHECK(m.value(HeaderId::max_forwards) == "0068");
        CHECK(m.find("Subject")->value.empty());
        const auto vias = m.list(HeaderId::via);
        REQUIRE(vias.size() == 3);
        CHECK(Via::parse(vias[0])->host == "192.0.2.2");
        CHECK(Via::parse(vias[1])->transport == "TCP");
        CHECK(Via::parse(vias[1])->branch() == "z9hG4bK9ikj8");
        CHECK(Via::parse(vias[2])->branch() == "z9hG4bK30239");
        const auto contact = m.addresses(HeaderId::contact)->at(0);
        CHECK(contact.display == "Quoted string \"\"");
        CHECK(contact.params.get("newparam") == "newvalue");
        CHECK(contact.params.has("secondparam"));
        CHECK(contact.params.get("q") == "0.33");
        const auto route = m.addresses(HeaderId::route)->at(0).uri;
        CHECK(route.params.has("lr"));
        CHECK(route.params.get("unknownwith") == "value");
        CHECK(m.find("NewFangledHeader")->value.starts_with("newfangled value"));
        CHECK(m.find("NewFangledHeader")->value.ends_with(" continued newfangled value"));
        CHECK(m.find("UnknownHeaderWithUnusualValue")->value == ";;,,;;,;");
    }

    TEST_CASE("intmeth: the unusual method and NUL bytes survive") {
        const auto m = parsed("intmeth");
        CHECK(m.method() == Method::other);
        CHECK(m.method_token() == "!interesting-Method0123456789_*+`.%indeed'~");
        CHECK(m.uri()->password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)");
        using namespace std::string_literals;
        CHECK(m.to()->display == "BEL:\a NUL:\0 DEL:\x7f"s);
        CHECK(m.from()->tag() == "_token~1'+`*%!-.");
        CHECK(m.from()->display == "token1~` token2'+_ token3*%!.-");
    }

    TEST_CASE("escapes stay as written and are resolved only when asked for") {
        CHECK(parsed("esc01").uri()->user == "sips%3Auser%40example.com");
        CHECK(parsed("esc01").uri()->user_decoded() == "sips:user@example.com");
        CHECK(parsed("esc01").to()->uri.user_decoded() == "user");
        CHECK(parsed("esc02").count(HeaderId::contact) == 2); // "C%6Fntact" is another header
        using namespace std::string_literals;
        CHECK(parsed("escnull").to()->uri.user_decoded() == "null-\0-null"s);
        const auto contacts = parsed("escnull").addresses(HeaderId::contact);
        REQUIRE(contacts->size() == 2);
        CHECK_FALSE(contacts->at(0).uri.equals(contacts->at(1).uri));
        CHECK(parsed("semiuri").uri()->user == "user;par=u%40example.net");
        CHECK(parsed("regescrt").addresses(HeaderId::contact)->at(0).uri.headers ==
              "Route=%3Csip:sip.example.com%3E");
    }

    TEST_CASE("dblreq: what follows the declared body is not read") {
        CHECK(parsed("dblreq").method() == Method::register_);
        CHECK(parsed("dblreq").body().empty());
        CHECK(parsed("dblreq").count(HeaderId::via) == 1);
    }

    TEST_CASE("parameters belong to the header without <>, to the URI within") {
        const auto outside = parsed("cparam01").addresses(HeaderId::contact)->at(0);
        CHECK(outside.params.has("unknownparam"));
        CHECK(outside.uri.params.empty());
        const auto inside = parsed("cparam02").addresses(HeaderId::contact)->at(0);
        CHECK(inside.uri.params.has("unknownparam"));
        CHECK(inside.params.empty());
    }

    TEST_CASE("longreq, mpart01 and unreason are whole") {
        const auto longreq = parsed("longreq");
        CHECK(longreq.count(HeaderId::via) == 34);
        CHECK(longreq.top_via()->branch().empty());
        CHECK(longreq.from()->tag().starts_with("1298298"));
        const auto mpart01 = parsed("mpart01"); // owns what body views
        const auto body = mpart01.body();
        CHECK(body.size() == 553);
        CHECK(body.find('\0') != body.npos);
        CHECK(parsed("unreason").reason().starts_with("= 2**3 * 5**2 \xd0\xbd"));
        CHECK(parsed("noreason").reason().empty());
        CHECK(parsed("noreason").status() == 100);
    }
}

// IPv6, in the forms of RFC 5118 §4.
TEST_SUITE("rfc5118") {
    const auto request = [](const std::string &uri, const std::string &via, const std::string &more = "") {
        return "REGISTER " + uri +
               " SIP/2.0\r\nTo: sip:user@example.com\r\nFrom: sip:user@example.com;tag=81x2\r\nVia: " + via +
               "\r\nCall-ID: SSG9559905523997077@hlau_4100\r\nMax-Forwards: 70\r\n" + more +
               "CSeq: 98176 REGISTER\r\nContent-Length: 0\r\n\r\n";
    };

    TEST_CASE("IPv6 references are accepted where the grammar has them") {
        struct Row {
            const char *uri, *via, *more;
        };
        for (const auto &row : {
                 Row{"sip:[2001:db8::10]", "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111",
                     "Contact: \"Caller\" <sip:caller@[2001:db8::1]>\r\n"},                           // 4.1
                 Row{"sip:[2001:db8::10:5070]", "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3", ""}, // 4.3
                 Row{"sip:[2001:db8::10]:5070", "SIP/2.0/UDP [2001:db8::9:1]:5060;branch=z9hG4bKas3",
                     ""}, // 4.4
                 Row{"sip:example.com",
                     "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3", ""},
                 Row{"sip:example.com",
                     "SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3", ""},
                 Row{"sip:example.com", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKas3",
                     "Contact: <sip:+14085550100@[::ffff:192.0.2.10]:19823>\r\n"}, // 4.10
             }) {
            CAPTURE(std::string(row.uri));
            CAPTURE(std::string(row.via));
            CHECK(judge(request(row.uri, row.via, row.more), false) == Outcome{pass});
        }
        const auto m =
            Message::parse(request("sip:[2001:db8::10]:5070", "SIP/2.0/UDP [2001:db8::9:1]:5061;branch=b"));
        CHECK(m->uri()->host == "2001:db8::10");
        CHECK(m->uri()->port == 5070);
        CHECK(m->top_via()->host == "2001:db8::9:1");
        CHECK(m->top_via()->port == 5061);
        CHECK(m->uri()->encode() == "sip:[2001:db8::10]:5070");
    }

    TEST_CASE("an IPv6 address without brackets is refused (RFC 5118 §4.2)") {
        const std::string via = "SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111";
        CHECK(judge(request("sip:2001:db8::10", via), false) == Outcome{reject, 400});
        CHECK(judge(request("sip:[2001:db8::10", via), false) == Outcome{reject, 400});
        CHECK(judge(request("sip:[2001:db8:::10]", via), false) == Outcome{reject, 400});
        CHECK(judge(request("sip:[fe80::1%eth0]", via), false) == Outcome{reject, 400});
    }
}
