#include "phone/verbs.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/text.hpp"
#include "sip/headers.hpp"
#include "sip/status.hpp"

namespace offhook {

namespace {

Result<std::string> text_of(const Json &request, std::string_view name, std::string_view what) {
    const auto *member = request.find(name);
    if (member != nullptr && member->as_string() != nullptr && !member->as_string()->empty())
        return *member->as_string();
    return fail(Errc::invalid_argument, "expected \"" + std::string(name) + "\": " + std::string(what));
}

bool flag_of(const Json &request, std::string_view name) {
    const auto *member = request.find(name);
    return member != nullptr && member->as_bool() != nullptr && *member->as_bool();
}

std::string optional_text(const Json &request, std::string_view name) {
    const auto *member = request.find(name);
    return member != nullptr && member->as_string() != nullptr ? *member->as_string() : std::string{};
}

// "call":"c2"; without it the only call there is.
Result<CallId> call_id(const Phone &phone, const Json &request, std::string_view name = "call") {
    const auto text = optional_text(request, name);
    const auto calls = phone.calls();
    if (text.empty()) {
        if (name == "call" && calls.size() == 1) return calls.front().id;
        return fail(Errc::invalid_argument,
                    calls.empty() ? "there is no call"
                                  : "expected \"" + std::string(name) + "\": one of the calls, such as c1");
    }
    for (const auto &call : calls)
        if (to_string(call.id) == text) return call.id;
    return fail(Errc::not_found, "there is no call " + sanitise(text));
}

Json account_json(const Phone &phone, const AccountSettings &account) {
    Json out = Json::object();
    out.add("account", account.name).add("aor", account.aor);
    return out.add("registered", phone.registered(account.name));
}

using Answer = Result<Json>;
Json fine() {
    return Json::object();
}
Answer done(const Result<> &result) {
    if (!result) return fail(result.error());
    return fine();
}

template <class Act>
Answer on_call(Phone &phone, const Json &request, Act act) {
    const auto call = call_id(phone, request);
    if (!call) return fail(call.error());
    return done(act(*call));
}

Answer status(Phone &phone, const Json &) {
    Json::Array accounts;
    Json::Array calls;
    Json::Array sockets;
    for (const auto &account : phone.accounts())
        accounts.push_back(account_json(phone, account));
    for (const auto &call : phone.calls())
        calls.push_back(to_json(call));
    for (const auto &socket : phone.listening())
        sockets.emplace_back(socket);
    return fine()
        .add("accounts", std::move(accounts))
        .add("calls", std::move(calls))
        .add("audio", phone.audio_name())
        .add("listening", std::move(sockets));
}

Answer calls(Phone &phone, const Json &) {
    Json::Array list;
    for (const auto &call : phone.calls())
        list.push_back(to_json(call));
    return fine().add("calls", std::move(list));
}

Answer dial(Phone &phone, const Json &request) {
    const auto target = text_of(request, "target", "whom to call");
    if (!target) return fail(target.error());
    DialOptions options;
    options.account = optional_text(request, "account");
    options.subject = optional_text(request, "subject");
    const auto call = phone.dial(*target, std::move(options));
    if (!call) return fail(call.error());
    return fine().add("call", to_string(*call));
}

Answer answer(Phone &phone, const Json &request) {
    return on_call(phone, request, [&](CallId call) { return phone.answer(call); });
}

// An unanswered one is refused with "code" (486 when none is given).
Answer hangup(Phone &phone, const Json &request) {
    return on_call(phone, request, [&](CallId call) -> Result<> {
        const auto *code = request.find("code");
        if (code == nullptr) return phone.hang_up(call);
        if (code->as_int() == nullptr || *code->as_int() < 300 || *code->as_int() > 699)
            return fail(Errc::invalid_argument, "expected \"code\": 300 to 699");
        return phone.reject(call, static_cast<unsigned>(*code->as_int()));
    });
}

Answer hold(Phone &phone, const Json &request) {
    return on_call(phone, request, [&](CallId call) { return phone.hold(call, true); });
}

Answer resume(Phone &phone, const Json &request) {
    return on_call(phone, request, [&](CallId call) { return phone.hold(call, false); });
}

// Two calls and us in one room; "leave" takes one out again.
Answer conference(Phone &phone, const Json &request) {
    return on_call(phone, request, [&](CallId call) {
        return call_id(phone, request, "with").and_then([&](CallId with) {
            return phone.conference(call, with);
        });
    });
}

Answer leave(Phone &phone, const Json &request) {
    return on_call(phone, request, [&](CallId call) { return phone.leave_conference(call); });
}

Answer mute(Phone &phone, const Json &request) {
    const auto *on = request.find("on");
    const bool wanted = on == nullptr || on->as_bool() == nullptr || *on->as_bool();
    return on_call(phone, request, [&](CallId call) { return phone.mute(call, wanted); });
}

Answer dtmf(Phone &phone, const Json &request) {
    const auto digits = text_of(request, "digits", "what to dial");
    if (!digits) return fail(digits.error());
    return on_call(phone, request, [&](CallId call) { return phone.send_dtmf(call, *digits); });
}

// With "decision" it answers a transfer that the peer asked for; "to" joins two calls that are there.
Answer transfer(Phone &phone, const Json &request) {
    const auto decision = optional_text(request, "decision");
    if (!decision.empty() && decision != "accept" && decision != "refuse")
        return fail(Errc::invalid_argument, "expected \"decision\": accept or refuse");
    return on_call(phone, request, [&](CallId call) -> Result<> {
        if (decision == "accept") return phone.accept_transfer(call);
        if (decision == "refuse") return phone.refuse_transfer(call);
        if (request.find("to") != nullptr)
            return call_id(phone, request, "to").and_then([&](CallId to) {
                return phone.transfer(call, to);
            });
        const auto target = text_of(request, "target", "whom to hand the call to");
        if (!target) return fail(target.error());
        TransferOptions options;
        options.attended = flag_of(request, "attended");
        options.wait = !flag_of(request, "no_wait");
        if (const auto *patience = request.find("ring_timeout_ms");
            patience != nullptr && patience->as_int() != nullptr && *patience->as_int() > 0)
            options.patience = Duration{*patience->as_int()};
        return phone.transfer(call, *target, options);
    });
}

Answer record(Phone &phone, const Json &request) {
    const auto file = optional_text(request, "file");
    return on_call(phone, request, [&](CallId call) {
        return file.empty() ? phone.stop_record(call) : phone.record(call, file);
    });
}

Answer play(Phone &phone, const Json &request) {
    const auto file = text_of(request, "file", "what to play");
    if (!file) return fail(file.error());
    if (*file == "-") return fail(Errc::invalid_argument, "expected \"file\": a file of the phone's machine");
    return on_call(phone, request,
                   [&](CallId call) { return phone.play(call, *file, flag_of(request, "loop")); });
}

// message.sent tells the outcome.
Answer message(Phone &phone, const Json &request) {
    const auto target = text_of(request, "target", "whom to write to");
    if (!target) return fail(target.error());
    const auto text = text_of(request, "text", "what to write");
    if (!text) return fail(text.error());
    const auto account = optional_text(request, "account");
    const auto to = phone.resolve_target(*target, account);
    if (!to) return fail(to.error());
    if (auto sent = phone.send_message(*target, *text, account); !sent) return fail(sent.error());
    return fine().add("to", sanitise(*to));
}

// notify.received and notify.ended tell what comes.
Answer watch(Phone &phone, const Json &request) {
    const auto target = text_of(request, "target", "whom to watch");
    if (!target) return fail(target.error());
    const auto package = text_of(request, "event", "dialog, presence, message-summary or reg");
    if (!package) return fail(package.error());
    Duration expires{3'600'000};
    if (const auto *seconds = request.find("expires"); seconds != nullptr) {
        if (seconds->as_int() == nullptr || *seconds->as_int() < 1 || *seconds->as_int() > 604'800)
            return fail(Errc::invalid_argument, "expected \"expires\": 1 to 604800 seconds");
        expires = std::chrono::seconds(*seconds->as_int());
    }
    const auto id = phone.watch(*target, *package, expires, optional_text(request, "account"));
    if (!id) return fail(id.error());
    return fine().add("watch", "w" + std::to_string(static_cast<std::uint32_t>(*id)));
}

Answer unwatch(Phone &phone, const Json &request) {
    const auto text = text_of(request, "watch", "what watch answered, such as w1");
    if (!text) return fail(text.error());
    const auto number = text->starts_with('w') ? sip::parse_number(text->substr(1)) : std::nullopt;
    if (!number || *number > UINT32_MAX)
        return fail(Errc::not_found, "nothing is watched as " + sanitise(*text));
    return done(phone.unwatch(WatchId{static_cast<std::uint32_t>(*number)}));
}

struct Row {
    std::string_view verb;
    Answer (*run)(Phone &, const Json &);
};
constexpr std::array rows{Row{"status", status},         Row{"calls", calls},    Row{"dial", dial},
                          Row{"answer", answer},         Row{"hangup", hangup},  Row{"hold", hold},
                          Row{"resume", resume},         Row{"mute", mute},      Row{"dtmf", dtmf},
                          Row{"transfer", transfer},     Row{"record", record},  Row{"play", play},
                          Row{"conference", conference}, Row{"leave", leave},    Row{"message", message},
                          Row{"watch", watch},           Row{"unwatch", unwatch}};

Answer reload(const VerbHooks &hooks) {
    if (hooks.reload) return hooks.reload();
    return fail(Errc::not_supported, "this phone has no configuration to read again");
}

} // namespace

Json verb_failed(int code, std::string_view text) {
    Json error = Json::object();
    error.add("code", code).add("text", text);
    return Json::object().add("ok", false).add("error", std::move(error));
}

Json to_json(const CallView &call) {
    Json out = Json::object();
    out.add("call", to_string(call.id)).add("account", call.account).add("direction", name(call.direction));
    out.add("local", call.local).add("remote", call.remote).add("remote_name", call.remote_name);
    out.add("state", sip::name(call.state)).add("held", call.held_locally);
    out.add("remote_held", call.held_remotely).add("muted", call.muted).add("recording", call.recording);
    out.add("in_conference", call.in_conference);
    return out.add("codec", call.codec).add("talk_ms", call.talk.count());
}

Json run_verb(Phone &phone, const Json &request, const VerbHooks &hooks) {
    const auto verb = optional_text(request, "verb");
    if (verb == "quit") {
        hooks.quit();
        return Json::object().add("ok", true);
    }
    const auto *const row = std::ranges::find_if(rows, [&](const Row &r) { return r.verb == verb; });
    if (row == rows.end() && verb != "reload") {
        std::vector<std::string> known{"events", "quit", "reload"};
        for (const auto &one : rows)
            known.emplace_back(one.verb);
        return verb_failed(2, "unknown verb \"" + sanitise(verb) + "\"" + suggestion(verb, known));
    }
    auto answer = row != rows.end() ? row->run(phone, request) : reload(hooks);
    if (!answer) return verb_failed(sip::exit_code(answer.error()), answer.error().what);
    Json out = Json::object().add("ok", true);
    for (const auto &[key, value] : *answer->as_object())
        out.add(key, value);
    return out;
}

} // namespace offhook
