// `offhook ctl VERB …` and `offhook transfer --call`: the running phone does it, we tell what came of it.
#include <algorithm>
#include <array>
#include <chrono>

#include "base/text.hpp"
#include "cmd/commands.hpp"
#include "cmd/output.hpp"
#include "control/client.hpp"
#include "control/server.hpp"
#include "sip/headers.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

constexpr int exit_timeout = 124;

// What a verb takes after its name, in order; in brackets what may be left out.
struct Row {
    std::string_view verb, usage;
    std::array<std::string_view, 2> members; // of the request; "?" in front: may be left out
};
constexpr std::array rows{
    Row{"status", "", {}},
    Row{"calls", "", {}},
    Row{"events", "[SINCE]", {"?since"}},
    Row{"dial", "TARGET", {"target"}},
    Row{"answer", "[CALL]", {"?call"}},
    Row{"hangup", "[CALL [CODE]]", {"?call", "?code"}},
    Row{"hold", "[CALL]", {"?call"}},
    Row{"resume", "[CALL]", {"?call"}},
    Row{"conference", "CALL WITH", {"call", "with"}},
    Row{"leave", "[CALL]", {"?call"}},
    Row{"mute", "[CALL]", {"?call"}},
    Row{"unmute", "[CALL]", {"?call"}},
    Row{"dtmf", "DIGITS [CALL]", {"digits", "?call"}},
    Row{"transfer", "TARGET [CALL]", {"target", "?call"}},
    Row{"accept-transfer", "[CALL]", {"?call"}}, // of a peer that wants to hand us on
    Row{"refuse-transfer", "[CALL]", {"?call"}},
    Row{"record", "[FILE [CALL]]", {"?file", "?call"}},
    Row{"play", "FILE [CALL]", {"file", "?call"}},
    Row{"loop", "FILE [CALL]", {"file", "?call"}}, // plays again and again
    Row{"message", "TARGET TEXT", {"target", "text"}},
    Row{"watch", "TARGET EVENT", {"target", "event"}},
    Row{"unwatch", "WATCH", {"watch"}},
    Row{"reload", "", {}},
    Row{"quit", "", {}},
};

Result<const Row *> row_of(const std::string &verb) {
    const auto *const row = std::ranges::find_if(rows, [&](const Row &r) { return r.verb == verb; });
    if (row != rows.end()) return row;
    std::vector<std::string> known;
    known.reserve(rows.size());
    for (const auto &one : rows)
        known.emplace_back(one.verb);
    return fail(Errc::invalid_argument,
                "ctl: unknown verb \"" + sanitise(verb) + "\"" + suggestion(verb, known));
}

// False: no number where one is expected.
bool add_member(Json &request, std::string_view name, const std::string &word) {
    if (name != "since" && name != "code") {
        request.add(std::string(name), word);
        return true;
    }
    const auto number = sip::parse_number(word);
    if (number) request.add(std::string(name), static_cast<std::int64_t>(*number));
    return number.has_value();
}

// Some verbs of ours are another one with a member set.
Json request_for(std::string_view verb) {
    Json request = Json::object();
    if (verb == "unmute") return std::move(request.add("verb", "mute").add("on", false));
    if (verb == "loop") return std::move(request.add("verb", "play").add("loop", true));
    if (verb.ends_with("-transfer"))
        return std::move(request.add("verb", "transfer").add("decision", verb.substr(0, verb.find('-'))));
    return std::move(request.add("verb", verb));
}

Result<Json> request_of(const std::vector<std::string> &words) {
    const auto found = row_of(words[0]);
    if (!found) return fail(found.error());
    const Row &row = **found;
    Json request = request_for(row.verb);
    std::size_t at = 1;
    bool good = true;
    for (const auto member : row.members) {
        const bool optional = member.starts_with('?');
        if (at < words.size() && !member.empty())
            good = good && add_member(request, member.substr(optional ? 1 : 0), words[at++]);
        else
            good = good && (optional || member.empty());
    }
    if (good && at == words.size()) return request;
    return fail(Errc::invalid_argument, "expected: offhook ctl " + std::string(row.verb) +
                                            (row.usage.empty() ? "" : " ") + std::string(row.usage));
}

// {"ok":true,"call":"c1"} → "call c1"
std::string in_words(const Json &answer) {
    std::string out;
    const auto add = [&out](const std::string &key, const Json &value) {
        const std::string text = value.as_string() != nullptr ? *value.as_string() : value.dump();
        out += (out.empty() ? "" : "\n") + (value.is_object() ? text : key + " " + text);
    };
    for (const auto &[key, value] : *answer.as_object()) {
        if (key == "id" || key == "ok") continue;
        if (value.as_array() == nullptr) add(key, value);
        for (const auto &one : value.as_array() != nullptr ? *value.as_array() : Json::Array{})
            add(key, one);
    }
    return out;
}

Result<control::Client> connect(const GlobalOptions &global) {
    auto path = control::socket_path();
    if (!path) return tl::unexpected(path.error());
    auto client = control::Client::connect(*path);
    if (!client) // a service's, for whoever may ask it
        if (auto service = control::Client::connect("/run/offhook/control")) client = std::move(service);
    if (client && global.timeout) client->set_deadline(std::chrono::steady_clock::now() + *global.timeout);
    return client;
}

int failed(Output &output, int exit, const std::string &text) {
    output.error(text);
    output.result(exit, Json::object().add("error", text));
    return exit;
}

int failed(Output &output, const Error &error) {
    return failed(output, error.code == Errc::timeout ? exit_timeout : sip::exit_code(error), error.what);
}

// 0, or what the phone says against it.
int judge(Output &output, const Json &answer) {
    const auto *ok = answer.find("ok");
    if (ok != nullptr && ok->as_bool() != nullptr && *ok->as_bool()) return 0;
    const auto *error = answer.find("error");
    const auto *code = error != nullptr ? error->find("code") : nullptr;
    const auto *text = error != nullptr ? error->find("text") : nullptr;
    return failed(output,
                  code != nullptr && code->as_int() != nullptr ? static_cast<int>(*code->as_int()) : 1,
                  text != nullptr && text->as_string() != nullptr ? sanitise(*text->as_string()) : "refused");
}

int tell_events(Output &output, control::Client &client) {
    for (;;) {
        auto event = client.next_event();
        if (!event) return failed(output, event.error());
        output.text(event->dump());
        if (output.broken()) return 0;
    }
}

bool is_text(const Json &event, std::string_view name, std::string_view value) {
    const auto *member = event.find(name);
    return member != nullptr && member->as_string() != nullptr && *member->as_string() == value;
}

std::int64_t number_of(const Json &event, std::string_view name) {
    const auto *member = event.find(name);
    return member != nullptr && member->as_int() != nullptr ? *member->as_int() : 0;
}

std::string text_of(const Json &event, std::string_view name) {
    const auto *member = event.find(name);
    return member != nullptr && member->as_string() != nullptr ? sanitise(*member->as_string())
                                                               : std::string{};
}

// Waits for what came of the message to that URI: its exit code.
int follow_message(Output &output, control::Client &client, const std::string &to) {
    for (;;) {
        auto event = client.next_event();
        if (!event) return failed(output, event.error());
        if (!is_text(*event, "event", "message.sent") || text_of(*event, "to") != to) continue;
        const int exit = static_cast<int>(number_of(*event, "exit"));
        const auto code = number_of(*event, "code");
        const auto told =
            (code != 0 ? std::to_string(code) + " " : std::string{}) + text_of(*event, "reason");
        if (exit != 0) output.error("the message was not accepted: " + told);
        output.result(exit, Json::object().add("to", to).add("code", code).add("reason", told));
        return exit;
    }
}

// Follows one transfer to its outcome: its exit code.
int follow_transfer(Output &output, control::Client &client, const std::string &call) {
    for (;;) {
        auto event = client.next_event();
        if (!event) return failed(output, event.error());
        if (!is_text(*event, "event", "call.transfer") || !is_text(*event, "call", call) ||
            !is_text(*event, "role", "transferor"))
            continue;
        const auto code = number_of(*event, "code");
        const auto told =
            (code != 0 ? std::to_string(code) + " " : std::string{}) + text_of(*event, "reason");
        const auto *over = event->find("done");
        if (over == nullptr || over->as_bool() == nullptr || !*over->as_bool()) {
            if (code != 0) output.progress(told);
            continue;
        }
        const int exit = static_cast<int>(number_of(*event, "exit"));
        if (exit != 0) output.error("not transferred to " + text_of(*event, "target") + ": " + told);
        Json transfer = Json::object();
        transfer.add("target", text_of(*event, "target")).add("kind", text_of(*event, "kind"));
        transfer.add("code", code).add("reason", text_of(*event, "reason"));
        output.result(exit, Json::object().add("transfer", std::move(transfer)));
        return exit;
    }
}

} // namespace

Result<int> run(const GlobalOptions &global, const CtlOptions &options) {
    if (options.words.empty())
        return fail(Errc::invalid_argument, "ctl: no VERB (expected such as: offhook ctl status)");
    auto request = request_of(options.words);
    if (!request) return tl::unexpected(request.error());
    auto client = connect(global);
    if (!client) return tl::unexpected(client.error());
    Output output(global);
    auto answer = client->ask(std::move(*request));
    if (!answer) return failed(output, answer.error());
    if (const int exit = judge(output, *answer); exit != 0) return exit;
    if (options.words[0] == "events") return tell_events(output, *client);
    if (options.words[0] == "message") return follow_message(output, *client, text_of(*answer, "to"));
    if (global.json)
        output.result(0, *answer);
    else if (const auto words = in_words(*answer); !words.empty())
        output.text(words);
    return 0;
}

Result<int> transfer_of_running_phone(const GlobalOptions &global, const TransferCommandOptions &options) {
    if (options.parties.size() != 1)
        return fail(Errc::invalid_argument, "transfer --call ID: expected one TARGET");
    Json request = Json::object();
    request.add("verb", "transfer").add("call", options.call).add("target", options.parties[0]);
    request.add("attended", options.attended).add("no_wait", options.no_wait);
    if (options.ring_timeout) request.add("ring_timeout_ms", options.ring_timeout->count());
    auto client = connect(global);
    if (!client) return tl::unexpected(client.error());
    Output output(global);
    auto answer = client->ask(std::move(request));
    if (!answer) return failed(output, answer.error());
    if (const int exit = judge(output, *answer); exit != 0) return exit;
    return follow_transfer(output, *client, options.call);
}

} // namespace offhook::cmd
