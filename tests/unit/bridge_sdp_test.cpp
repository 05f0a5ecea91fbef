// Whole exchanges of session descriptions: what browsers and phones of many makes write, and what the bridge
// makes of it for the other end. One file in tests/data/sdp/ each; README.md there has their form.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "bridge/ng_descriptions.hpp"
#include "tests/unit/interwork_fixture.hpp"

using namespace offhook;
using namespace offhook::bridge;
using namespace offhook::test::interwork;

namespace {

struct Step {
    std::string verb; // offer, answer, rtpengine, expect, refused
    End end = End::caller;
    unsigned status = 0; // of refused
    std::string text;
};

struct Exchange {
    bool caller_web = false, callee_web = false, transcode = false, as_is = false;
    PlainSrtp srtp = PlainSrtp::off;
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
    else if (word == "srtp-required")
        exchange.srtp = PlainSrtp::require;
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

const std::vector<std::string> codecs{"opus", "g722", "pcma", "pcmu", "h264", "vp8"};

void judge(const Step &step, const Result<std::string> &out) {
    if (step.verb == "refused") {
        REQUIRE_FALSE(out.has_value());
        CHECK(out.error().sip == step.status);
        return;
    }
    REQUIRE(step.verb == "expect");
    REQUIRE_MESSAGE(out.has_value(), out.error().what);
    CHECK(*out == step.text);
}

void run(const Exchange &exchange) {
    OwnEnd caller, callee;
    set_up(caller, exchange.caller_web, 30000, "192.0.2.1");
    set_up(callee, exchange.callee_web, 40000, "192.0.2.2");
    Interwork work(caller, callee, {codecs, exchange.transcode});
    Result<std::string> out = fail(Errc::internal, "nothing yet");
    for (const auto &step : exchange.steps) {
        CAPTURE(step.verb);
        if (step.verb == "offer")
            out = work.offer(step.end, step.text);
        else if (step.verb == "answer")
            out = work.answer(step.end, step.text);
        else
            judge(step, out);
    }
}

// Its session is named at random.
std::string with_session_id(std::string text) {
    const auto id = text.find("o=- ") + 4;
    return text.replace(id, text.find(' ', id) - id, "77");
}

void run_on_rtpengine(const Exchange &exchange) {
    NgSide caller(exchange.caller_web, {}, exchange.srtp);
    NgDescriptions work(caller, exchange.callee_web, {}, {codecs, exchange.srtp});
    Result<std::string> out = fail(Errc::internal, "nothing yet");
    const Step *described = nullptr;
    for (const auto &step : exchange.steps) {
        CAPTURE(step.verb);
        if (step.verb == "rtpengine") {
            REQUIRE(described != nullptr);
            out = described->verb == "offer" ? work.offer(described->end, described->text, step.text)
                                             : work.answer(described->end, described->text, step.text);
            if (out) out = with_session_id(*out);
        } else if (step.verb == "offer" || step.verb == "answer") {
            described = &step;
        } else {
            judge(step, out);
        }
    }
}

bool on_rtpengine(const Exchange &exchange) {
    return std::ranges::find(exchange.steps, "rtpengine", &Step::verb) != exchange.steps.end();
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
            const auto exchange = read(file);
            on_rtpengine(exchange) ? run_on_rtpengine(exchange) : run(exchange);
        }
    }
}
