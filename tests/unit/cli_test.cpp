#include <doctest/doctest.h>

#include "cmd/cli.hpp"
#include "cmd/cli_values.hpp"

using namespace offhook;
using namespace offhook::cmd;

namespace {

std::string complaint(const std::vector<std::string> &arguments) {
    const auto line = parse_command_line(arguments);
    return line ? "" : line.error().what;
}

template <class T>
T command(const std::vector<std::string> &arguments, GlobalOptions *global = nullptr) {
    auto line = parse_command_line(arguments);
    REQUIRE_MESSAGE(line, line.error().what);
    REQUIRE(std::holds_alternative<T>(line->command));
    if (global != nullptr) *global = line->global;
    return std::get<T>(line->command);
}

} // namespace

TEST_SUITE("cli") {
    TEST_CASE("global options are taken before and after the command") {
        for (const auto &arguments :
             {std::vector<std::string>{"--json", "-a", "home", "--timeout", "3s", "call", "sip:x@y"},
              std::vector<std::string>{"call", "sip:x@y", "--json", "-a", "home", "--timeout", "3s"}}) {
            GlobalOptions global;
            const auto call = command<CallOptions>(arguments, &global);
            CHECK(call.targets == std::vector<std::string>{"sip:x@y"});
            CHECK(global.json);
            CHECK(global.account == "home");
            CHECK(global.timeout == Duration{3000});
        }
    }

    TEST_CASE("a repeatable option leaves the argument after it alone") {
        const auto call =
            command<CallOptions>({"call", "--header", "X-A: b", "--header", "X-B: c", "sip:x@y", "z"});
        CHECK(call.talk.headers.size() == 2);
        CHECK(call.targets == std::vector<std::string>{"sip:x@y", "z"});
        GlobalOptions global;
        CHECK(command<PingOptions>({"--listen", "udp:127.0.0.1", "ping", "x"}, &global).target == "x");
        CHECK(global.listen.size() == 1);
    }

    TEST_CASE("the options of a call arrive as values") {
        const auto call = command<CallOptions>({"call",
                                                "a",
                                                "b",
                                                "--play",
                                                "-",
                                                "--dtmf",
                                                "1,2#",
                                                "--header",
                                                "X-A: b",
                                                "--header",
                                                "X-C: d:e",
                                                "--expect-tone",
                                                "350,440",
                                                "--min-mos",
                                                "3.5",
                                                "--retry",
                                                "2",
                                                "--retry-wait",
                                                "500ms",
                                                "--then",
                                                "wait",
                                                "--follow",
                                                "--nagios",
                                                "--expect-header",
                                                "User-Agent: ^Ast",
                                                "--hangup-after",
                                                "1.5"});
        CHECK(call.targets == std::vector<std::string>{"a", "b"});
        CHECK(call.talk.play == "-");
        CHECK(call.talk.dtmf == "1,2#");
        CHECK(call.talk.headers == std::vector<Header>{{"X-A", "b"}, {"X-C", "d:e"}});
        CHECK(call.talk.expect_tone == std::vector<double>{350, 440});
        CHECK(call.talk.min_mos == 3.5);
        CHECK(call.talk.retry == 2);
        CHECK(call.talk.retry_wait == Duration{500});
        CHECK(call.talk.then == "wait");
        CHECK(call.talk.follow);
        CHECK(call.nagios);
        CHECK(call.talk.hangup_after == Duration{1500});
        CHECK(call.talk.expect_headers == std::vector<Header>{{"User-Agent", "^Ast"}});
    }

    TEST_CASE("--trace may go without a file") {
        GlobalOptions global;
        command<CallOptions>({"call", "--trace", "sip:x@y"}, &global);
        CHECK(global.trace == "-");
        command<CallOptions>({"call", "--trace=t.txt", "sip:x@y"}, &global);
        CHECK(global.trace == "t.txt");
        command<CallOptions>({"call", "sip:x@y"}, &global);
        CHECK_FALSE(global.trace.has_value());
    }

    TEST_CASE("bad input is one line that says what was meant or expected") {
        struct Row {
            std::vector<std::string> arguments;
            std::string what;
        };
        const Row rows[] = {
            {{"cal", "x"}, "unknown command \"cal\" (did you mean \"call\"?)"},
            {{"sip:bob@host"}, "\"sip:bob@host\" is no command (did you mean: offhook call sip:bob@host)"},
            {{"call", "x", "--hangup-afer", "3s"},
             "unknown option --hangup-afer (did you mean \"--hangup-after\"?)"},
            {{"call", "x", "--paly=a.wav"}, "unknown option --paly (did you mean \"--play\"?)"},
            {{"--jsn", "call", "x"}, "unknown option --jsn (did you mean \"--json\"?)"},
            {{"register", "home"}, "register: unexpected argument \"home\""},
            {{"call", "x", "--play"}, "--play needs a value"},
            {{"call", "x", "--timeout", "3x"},
             "--timeout: \"3x\" is not a duration (expected 500ms, 20s, 3m or 1h)"},
            {{"call", "x", "--then", "hangp"},
             "--then: \"hangp\" cannot be used (expected hangup, wait) (did you mean \"hangup\"?)"},
            {{"call", "x", "--dtmf", "12x"},
             "--dtmf: \"12x\" cannot be used (expected digits 0-9 * # A-D, and , or w for a pause)"},
            {{"answer", "--code", "200"},
             "--code: \"200\" cannot be used (expected a SIP status from 300 to 699)"},
            {{"call", "x", "--header", "Via: y"},
             "--header: \"Via\" is written by the phone itself and cannot be set"},
            {{"tui", "--x"}, "not built in yet: tui"},
            {{"--aor", "alice", "register"}, "--aor: \"alice\" is no SIP URI"},
        };
        for (const auto &row : rows) {
            const auto what = complaint(row.arguments);
            CAPTURE(row.what);
            CHECK(what.substr(0, row.what.size()) == row.what);
            CHECK(what.find('\n') == std::string::npos);
        }
    }

    TEST_CASE("help and version win over everything else") {
        CHECK(command<HelpOptions>({"--help"}).text.find("register") != std::string::npos);
        CHECK(command<HelpOptions>({"call", "--help"}).text.find("--expect-dtmf") != std::string::npos);
        CHECK(command<HelpOptions>({"help", "answer"}).text.find("--count") != std::string::npos);
        command<VersionOptions>({"--version"});
        command<NothingOptions>({});
    }

    TEST_CASE("every option has a long name, a text, and a value or none") {
        const auto tree = command_tree();
        CHECK(tree.commands.size() >= 9);
        for (const auto &entry : tree.commands) {
            CHECK_FALSE(entry.text.empty());
            for (const auto &option : entry.options) {
                CAPTURE(option.text);
                CHECK(option.long_names.size() == 1);
                CHECK_FALSE(option.text.empty());
            }
        }
    }

    TEST_CASE("a header cannot smuggle another one in") {
        CHECK_FALSE(parse_extra_header("X: a\r\nEvil: b"));
        CHECK_FALSE(parse_extra_header("X Y: a"));
        CHECK_FALSE(parse_extra_header(": a"));
        CHECK_FALSE(parse_extra_header("cOnTeNt-LeNgTh: 3"));
        CHECK(parse_extra_header("X-Empty:")->second.empty());
    }
}
