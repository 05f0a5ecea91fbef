#include "phone/steps.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.hpp"
#include "phone/pattern.hpp"
#include "phone/target.hpp"
#include "sip/headers.hpp"

namespace offhook {

namespace {

using Kind = Step::Kind;
constexpr Duration expect_limit{10'000};

// What a step takes after its name.
enum class Takes : std::uint8_t { nothing, text, digits, limit, silence, pattern, tones, target };

struct Row {
    std::string_view verb, object; // "wait", "dtmf"
    Kind kind;
    Takes takes;
};

constexpr std::array rows{
    Row{"wait", "answer", Kind::wait_answer, Takes::limit},
    Row{"wait", "ringing", Kind::wait_ringing, Takes::limit},
    Row{"wait", "silence", Kind::wait_silence, Takes::silence},
    Row{"wait", "dtmf", Kind::wait_dtmf, Takes::pattern},
    Row{"wait", "tone", Kind::wait_tone, Takes::tones},
    Row{"wait", "end", Kind::wait_end, Takes::limit},
    Row{"expect", "dtmf", Kind::expect_dtmf, Takes::pattern},
    Row{"expect", "tone", Kind::expect_tone, Takes::tones},
    Row{"expect", "audio", Kind::expect_audio, Takes::limit},
    Row{"play", "", Kind::play, Takes::text},
    Row{"loop", "", Kind::loop, Takes::text},
    Row{"say", "", Kind::say, Takes::text},
    Row{"dtmf", "", Kind::dtmf, Takes::digits},
    Row{"record", "", Kind::record, Takes::text},
    Row{"hold", "", Kind::hold, Takes::nothing},
    Row{"resume", "", Kind::resume, Takes::nothing},
    Row{"mute", "", Kind::mute, Takes::nothing},
    Row{"unmute", "", Kind::unmute, Takes::nothing},
    Row{"transfer", "", Kind::transfer, Takes::target},
    Row{"hangup", "", Kind::hangup, Takes::nothing},
};

std::string suggest(std::string_view word, bool objects, std::string_view verb = {}) {
    std::vector<std::string> known;
    for (const auto &row : rows)
        if (!objects || row.verb == verb) known.emplace_back(objects ? row.object : row.verb);
    return suggestion(word, known);
}

// First word and the rest, both trimmed.
std::pair<std::string_view, std::string_view> cut_word(std::string_view text) {
    const auto end = text.find_first_of(" \t");
    if (end == std::string_view::npos) return {text, {}};
    return {text.substr(0, end), sip::trim(text.substr(end))};
}

Failure wrong(std::string what) {
    return fail(Errc::invalid_argument, std::move(what));
}

bool is_duration(std::string_view word) {
    return !word.empty() && word[0] >= '0' && word[0] <= '9' && parse_duration(word).has_value();
}

// Takes the last word away as the time-out when it has a unit ("10s"): a bare number may be a digit to wait
// for.
std::string_view take_limit(std::string_view text, Step &step) {
    const auto space = text.find_last_of(" \t");
    const auto last = space == std::string_view::npos ? text : text.substr(space + 1);
    if (!is_duration(last) || (last.back() >= '0' && last.back() <= '9')) return text;
    step.limit = *parse_duration(last);
    return space == std::string_view::npos ? std::string_view{} : sip::trim(text.substr(0, space));
}

std::string unquote(std::string_view text) {
    if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
    return std::string(text);
}

Result<> take_silence(std::string_view text, Step &step) {
    const auto [length, limit] = cut_word(text);
    step.time = Duration{1'000};
    if (length.empty()) return {};
    auto time = parse_duration(length);
    if (!time) return wrong("expected how long it must be silent, e.g. 3s: " + time.error().what);
    step.time = *time;
    if (limit.empty()) return {};
    if (!take_limit(limit, step).empty())
        return wrong("expected a time-out such as 10s, not \"" + std::string(limit) + "\"");
    return {};
}

Result<> take_tones(std::string_view text, Step &step) {
    const auto list = take_limit(text, step);
    for (const auto &word : split(list, ',')) {
        const auto hz = sip::parse_number(sip::trim(word));
        if (!hz || *hz < 50 || *hz > 20'000)
            return wrong("expected one or two frequencies of 50 to 20000 Hz, e.g. tone 440,480");
        step.hz.push_back(static_cast<double>(*hz));
    }
    if (step.hz.empty() || step.hz.size() > 2)
        return wrong("expected one or two frequencies, e.g. tone 440,480");
    return {};
}

Result<> take_pattern(std::string_view text, Step &step) {
    step.text = unquote(take_limit(text, step));
    if (step.text.empty()) return {};
    if (auto pattern = Pattern::compile(step.text); !pattern) return fail(pattern.error());
    return {};
}

Result<> take_digits(std::string_view text, Step &step) {
    static constexpr std::string_view allowed = "0123456789*#ABCDabcd,w";
    if (text.empty()) return wrong("expected digits to send, e.g. dtmf 123#");
    if (const auto bad = text.find_first_not_of(allowed); bad != std::string_view::npos)
        return wrong("\"" + std::string(1, text[bad]) +
                     R"(" is no DTMF digit (0-9 * # A-D, "," or w for a pause))");
    step.text = text;
    return {};
}

Result<> take_target(std::string_view text, Step &step) {
    step.text = unquote(take_limit(text, step));
    if (step.text.empty())
        return wrong("expected whom to hand the call to, e.g. transfer sip:bob@example.com");
    if (!starts_with_any(step.text, {"sip:", "sips:", "tel:"}))
        return {}; // a contact or number: judged later
    if (auto target = parse_target(step.text, {}, "localhost"); !target) return fail(target.error());
    return {};
}

Result<> take_arguments(Takes takes, std::string_view text, Step &step) {
    switch (takes) {
    case Takes::nothing:
        if (!text.empty()) return wrong("takes nothing after it, not \"" + std::string(text) + "\"");
        return {};
    case Takes::text:
        step.text = unquote(text);
        if (step.text.empty())
            return wrong(step.kind == Kind::say ? "expected a text to say" : "expected something after it");
        return {};
    case Takes::limit:
        if (text.empty()) return {};
        if (!is_duration(text))
            return wrong("expected a time-out such as 10s, not \"" + std::string(text) + "\"");
        step.limit = *parse_duration(text);
        return {};
    case Takes::digits:
        return take_digits(text, step);
    case Takes::silence:
        return take_silence(text, step);
    case Takes::pattern:
        return take_pattern(text, step);
    case Takes::tones:
        return take_tones(text, step);
    case Takes::target:
        return take_target(text, step);
    }
    return {};
}

Result<const Row *> find_row(std::string_view verb, std::string_view object) {
    const bool verb_known = std::ranges::any_of(rows, [&](const Row &r) { return r.verb == verb; });
    if (!verb_known) return wrong("unknown step \"" + std::string(verb) + "\"" + suggest(verb, false));
    for (const auto &row : rows)
        if (row.verb == verb && (row.object.empty() || row.object == object)) return &row;
    std::string choices = verb == "wait" ? "answer, ringing, silence, dtmf, tone, end or a time such as 2s"
                                         : "dtmf, tone or audio";
    return wrong("expected " + choices +
                 (object.empty() ? std::string{}
                                 : ", not \"" + std::string(object) + "\"" + suggest(object, true, verb)));
}

Result<Step> parse_step(std::string_view source) {
    Step step{};
    step.source = source;
    const auto [verb, rest] = cut_word(source);
    const auto [object, arguments] = cut_word(rest);
    if (verb == "wait" && is_duration(object)) {
        step.kind = Kind::wait_time;
        step.time = *parse_duration(object);
        if (!arguments.empty())
            return wrong("takes one time, not \"" + std::string(arguments) + "\" as well");
        return step;
    }
    const auto row = find_row(verb, object);
    if (!row) return fail(row.error());
    step.kind = (*row)->kind;
    if (verb == "expect") step.limit = expect_limit;
    if (auto taken = take_arguments((*row)->takes, (*row)->object.empty() ? rest : arguments, step); !taken)
        return fail(taken.error());
    return step;
}

// At `;` and line ends outside double quotes.
std::vector<std::string_view> split_steps(std::string_view text) {
    std::vector<std::string_view> parts;
    std::size_t start = 0;
    bool quoted = false;
    for (std::size_t i = 0; i <= text.size(); ++i) {
        if (i < text.size() && text[i] == '"') quoted = !quoted;
        if (i < text.size() && text[i] != '\n' && (quoted || text[i] != ';')) continue;
        if (const auto part = sip::trim(text.substr(start, i - start)); !part.empty()) parts.push_back(part);
        start = i + 1;
        quoted = false;
    }
    return parts;
}

} // namespace

Result<std::vector<Step>> parse_steps(std::string_view text) {
    std::vector<Step> steps;
    for (const auto source : split_steps(text)) {
        auto step = parse_step(source);
        if (!step)
            return fail(step.error().code, "step " + std::to_string(steps.size() + 1) + " \"" +
                                               sanitise(source) + "\": " + step.error().what);
        steps.push_back(std::move(*step));
    }
    return steps;
}

} // namespace offhook
