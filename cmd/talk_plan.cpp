// Everything about the options of a call that can be wrong is found here, before anything is sent.
#include <cerrno>

#include <unistd.h>

#include "base/text.hpp"
#include "cmd/talk.hpp"
#include "cmd/terminal.hpp"
#include "media/device.hpp"

namespace offhook::cmd {

namespace {

Result<> check_sound(const std::string &path, bool again = false) {
    if (path == "-") return {};
    auto source = media::open_file_source(path, again);
    if (!source) return tl::unexpected(source.error());
    return {};
}

Result<> check_record(const std::string &path, bool json) {
    if (path.empty()) return {};
    if (path == "-") {
        if (json) return fail(Errc::invalid_argument, "--record - and --json both want standard output");
        return {};
    }
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    if (access(directory.c_str(), W_OK) != 0) return fail_errno(Errc::device, errno, "--record " + path);
    return {};
}

Result<> not_yet(const TalkOptions &options) {
    if (!options.script.empty()) return fail(Errc::not_supported, "not built in yet: --script");
    return {};
}

Result<> plan_steps(TalkPlan &plan) {
    const auto &text = plan.options.steps;
    plan.steps_from_stdin = text == "-";
    if (plan.steps_from_stdin || text.empty()) return {};
    auto steps = parse_steps(text);
    if (!steps) return fail(steps.error().code, "--do: " + steps.error().what);
    for (const auto &step : *steps) {
        Result<> good;
        if (step.kind == Step::Kind::play) good = check_sound(step.text);
        if (step.kind == Step::Kind::loop) good = check_sound(step.text, true);
        if (step.kind == Step::Kind::say)
            if (auto spoken = plan.speech->say(step.text); !spoken) good = tl::unexpected(spoken.error());
        if (!good) return good;
    }
    plan.steps = std::move(*steps);
    return {};
}

Result<> plan_sounds(TalkPlan &plan) {
    const auto &options = plan.options;
    if (options.play_loop && (options.play.empty() || options.play == "-" || !options.say.empty()))
        return fail(
            Errc::invalid_argument,
            "--play-loop needs --play FILE, alone and not standard input: " +
                std::string(!options.say.empty() ? "--say would never be heard" : "that can be played once"));
    if (!options.play.empty()) {
        if (auto good = check_sound(options.play, options.play_loop); !good) return good;
        plan.sounds.push_back(options.play);
    }
    if (options.say.empty()) return {};
    auto spoken = plan.speech->say(options.say);
    if (!spoken) return tl::unexpected(spoken.error());
    plan.sounds.push_back(*spoken);
    return {};
}

Result<> plan_hook(TalkPlan &plan) {
    if (plan.options.on_answer.empty()) return {};
    auto words = split_words(plan.options.on_answer);
    if (!words) return fail(Errc::invalid_argument, "--on-answer: " + words.error().what);
    plan.hook = std::move(*words);
    return {};
}

} // namespace

// Flag, then configuration; else a person at the terminal is asked, and a script follows nobody.
Result<ReferPolicy> refer_policy(const TalkOptions &options, std::optional<ReferPolicy> configured,
                                 bool json) {
    const bool person = Terminal::is_interactive() && !json && options.play != "-" && options.steps != "-";
    if (options.refer == "ask" && !person)
        return fail(Errc::invalid_argument,
                    "--refer ask: there is nobody to ask without a terminal (expected allow or deny)");
    if (!options.refer.empty()) return parse_refer_policy(options.refer);
    const auto policy = configured.value_or(ReferPolicy::ask);
    return policy == ReferPolicy::ask && !person ? ReferPolicy::deny : policy;
}

Result<TalkPlan> plan_talk(const TalkOptions &options, const std::vector<std::string> &tts_command,
                           bool json) {
    TalkPlan plan;
    plan.options = options;
    plan.speech = std::make_shared<Speech>(tts_command);
    if (auto good = not_yet(options); !good) return tl::unexpected(good.error());
    if (options.play == "-" && options.steps == "-")
        return fail(Errc::invalid_argument, "--play - and --do - both want standard input");
    if (auto good = check_record(options.record, json); !good) return tl::unexpected(good.error());
    if (auto good = plan_hook(plan); !good) return tl::unexpected(good.error());
    if (auto good = plan_sounds(plan); !good) return tl::unexpected(good.error());
    if (auto good = plan_steps(plan); !good) return tl::unexpected(good.error());
    return plan;
}

} // namespace offhook::cmd
