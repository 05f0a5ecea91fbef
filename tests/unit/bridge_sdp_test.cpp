// Whole exchanges of session descriptions: what browsers and phones of many makes write, and what the bridge
// makes of it for the other end. One file in tests/data/sdp/ each; README.md there has their form.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bridge/interwork.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

struct Step {
    std::string verb; // offer, answer, expect, refused
    End end = End::caller;
    unsigned status = 0; // of refused
    std::string text;
};

struct Exchange {
    bool caller_web = false, callee_web = false, transcode = false, as_is = false;
    std::vector<Step> steps;
};

std::filesystem::path folder() {
    const std::string here = __FILE__; // found from wherever the tests are started
    return here.substr(0, here.rfind("tests/unit/")) + "tests/data/sdp";
}

std::string with_crlf(const std::string &text) {
    std::string out;
    for (const char c : text)
        out += c == '\n' ? "\r\n" : std::string(1, c);
    return out;
}

void read_word(Exchange &exchange, const std::string &word) {
    if (word == "caller-web")
        exchange.caller_web = true;
    else if (word == "callee-web")
        exchange.callee_web = true;
    else if (word == "transcode")
        exchange.transcode = true;
    else if (word == "as-is") // no CRLF, and none at the end
        exchange.as_is = true;
    else
        FAIL("unknown word: " << word);
}

Exchange read(const std::filesystem::path &path) {
    std::ifstream file(path, std::ios::binary);
    REQUIRE(file.is_open());
    Exchange exchange;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("--- ")) {
            std::istringstream words(line.substr(4));
            std::string end;
            Step step;
            words >> step.verb >> end >> step.status;
            step.end = end == "caller" ? End::caller : End::callee;
            exchange.steps.push_back(step);
        } else if (!exchange.steps.empty()) {
            exchange.steps.back().text += line + "\n";
        } else if (!line.empty() && line[0] != '#') {
            std::istringstream words(line);
            for (std::string word; words >> word;)
                read_word(exchange, word);
        }
    }
    for (auto &step : exchange.steps)
        if (step.verb == "expect" || !exchange.as_is)
            step.text = with_crlf(step.text);
        else
            step.text.pop_back();
    return exchange;
}

void set_up(OwnEnd &end, bool web, std::uint16_t base, const char *ip) {
    end.web = web;
    end.ip = ip;
    end.session_id = "77";
    end.port = [web, base](std::size_t line) -> Result<std::uint16_t> {
        return static_cast<std::uint16_t>(web ? base : base + 2 * line);
    };
    end.ssrcs = {1111, 2222, 3333};
    if (!web) return;
    end.ufrag = "uuuu";
    end.password = "pppppppppppppppppppppppp";
    end.fingerprint = "sha-256 00:11";
}

void run(const Exchange &exchange) {
    OwnEnd caller, callee;
    set_up(caller, exchange.caller_web, 30000, "192.0.2.1");
    set_up(callee, exchange.callee_web, 40000, "192.0.2.2");
    Interwork work(caller, callee, {{"opus", "g722", "pcma", "pcmu", "h264", "vp8"}, exchange.transcode});
    Result<std::string> out = fail(Errc::internal, "nothing yet");
    for (const auto &step : exchange.steps) {
        CAPTURE(step.verb);
        if (step.verb == "offer") {
            out = work.offer(step.end, step.text);
        } else if (step.verb == "answer") {
            out = work.answer(step.end, step.text);
        } else if (step.verb == "refused") {
            REQUIRE_FALSE(out.has_value());
            CHECK(out.error().sip == step.status);
        } else {
            REQUIRE(step.verb == "expect");
            REQUIRE_MESSAGE(out.has_value(), out.error().what);
            CHECK(*out == step.text);
        }
    }
}

} // namespace

TEST_SUITE("bridge sdp") {
    TEST_CASE("exchanges of browsers and phones") {
        std::vector<std::filesystem::path> files;
        for (const auto &entry : std::filesystem::directory_iterator(folder()))
            if (entry.path().extension() == ".txt") files.push_back(entry.path());
        std::ranges::sort(files);
        CHECK(files.size() >= 12);
        for (const auto &file : files) {
            CAPTURE(file.filename().string());
            run(read(file));
        }
    }
}
