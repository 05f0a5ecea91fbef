#include "phone/expectations.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "phone/pattern.hpp"
#include "sip/headers.hpp"

namespace offhook {

namespace {
constexpr std::size_t digits_kept = 256;
}

struct Expectations::Self {
    Phone &phone;
    CallId call;
    ExpectationOptions options;
    std::optional<Pattern> dtmf{};
    std::vector<Pattern> headers{};
    Observers<Event>::Handle handle{};

    std::string digits{};
    bool tone_heard = false, audio_heard = false, answered = false;
    std::vector<bool> header_seen{};
    double mos = 0;

    void on_event(const Event &event) {
        const auto *view = call_of(event);
        if (view == nullptr || view->id != call) return;
        if (const auto *dtmf_event = std::get_if<event::CallDtmf>(&event)) on_digit(*dtmf_event);
        if (const auto *answer = std::get_if<event::CallAnswered>(&event)) on_answered(*answer);
        if (const auto *quality = std::get_if<event::CallQuality>(&event)) mos = quality->stats.received.mos;
        if (const auto *ended = std::get_if<event::CallEnded>(&event)) on_ended(*ended);
        look_for_audio();
    }

    void on_digit(const event::CallDtmf &event) {
        if (event.sent) return;
        if (digits.size() == digits_kept) digits.erase(0, 1);
        digits += event.digit;
    }

    void on_answered(const event::CallAnswered &event) {
        answered = true;
        for (std::size_t i = 0; i < headers.size(); ++i)
            for (const auto &[name, value] : event.headers)
                if (sip::iequals(name, options.headers[i].first) && headers[i].find(value))
                    header_seen[i] = true;
        if (!options.tone.empty()) // refused only when the call is over already: then it was not heard
            (void)phone.watch_tone(call, options.tone, [this] { tone_heard = true; });
    }

    void on_ended(const event::CallEnded &event) {
        if (event.stats.received.packets > 0) mos = event.stats.received.mos;
    }

    void look_for_audio() {
        if (const auto *audio = phone.audio(call); audio != nullptr && audio->silence().heard_anything())
            audio_heard = true;
    }
};

Expectations::Expectations(std::unique_ptr<Self> self) : self_(std::move(self)) {}
Expectations::~Expectations() {
    if (!self_->options.tone.empty()) (void)self_->phone.watch_tone(self_->call, {}, {});
}

Result<std::unique_ptr<Expectations>> Expectations::watch(Phone &phone, CallId call,
                                                          ExpectationOptions options) {
    auto self = std::make_unique<Self>(Self{.phone = phone, .call = call, .options = std::move(options)});
    if (!self->options.dtmf.empty()) {
        auto pattern = Pattern::compile(self->options.dtmf);
        if (!pattern) return fail(Errc::invalid_argument, "--expect-dtmf: " + pattern.error().what);
        self->dtmf = *pattern;
    }
    for (const auto &[name, expression] : self->options.headers) {
        auto pattern = Pattern::compile(expression);
        if (!pattern) return fail(Errc::invalid_argument, "--expect-header: " + pattern.error().what);
        self->headers.push_back(*pattern);
    }
    self->header_seen.resize(self->headers.size());
    self->handle = phone.events().add([raw = self.get()](const Event &event) { raw->on_event(event); });
    return std::unique_ptr<Expectations>(new Expectations(std::move(self)));
}

Result<> Expectations::outcome() const {
    self_->look_for_audio(); // between events, and after the last one the sound is gone
    const auto &self = *self_;
    const auto missing = [](std::string what) -> Result<> {
        return fail(Errc::expectation, std::move(what));
    };
    if (!self.options.any()) return {};
    if (!self.answered) return missing("expected an answered call");
    if (self.dtmf && !self.dtmf->find(self.digits))
        return missing("expected DTMF \"" + self.options.dtmf + "\", received " +
                       (self.digits.empty() ? "none" : "\"" + self.digits + "\""));
    if (!self.options.tone.empty() && !self.tone_heard)
        return missing("expected a tone of " + format_number(self.options.tone.front(), 0) +
                       " Hz, not heard");
    for (std::size_t i = 0; i < self.headers.size(); ++i)
        if (!self.header_seen[i])
            return missing("expected the header \"" + self.options.headers[i].first + ": " +
                           self.options.headers[i].second + "\" in the answer");
    if (self.options.audio && !self.audio_heard) return missing("expected audio, heard silence");
    if (self.options.min_mos > 0 && self.mos < self.options.min_mos)
        return missing("expected a MOS of at least " + format_number(self.options.min_mos, 1) +
                       ", measured " +
                       (self.mos > 0 ? format_number(self.mos, 1) : "none: no audio arrived"));
    return {};
}

Result<std::pair<std::string, std::string>> parse_header_expectation(std::string_view text) {
    const auto colon = text.find(':');
    const auto name = sip::trim(text.substr(0, colon));
    const auto token = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("-.!%*_+`'~").find(c) != std::string_view::npos;
    };
    if (colon == std::string_view::npos || name.empty() || !std::ranges::all_of(name, token))
        return fail(Errc::invalid_argument, "\"" + std::string(text) + R"(": expected "NAME: REGEX")");
    return std::pair{std::string(name), std::string(sip::trim(text.substr(colon + 1)))};
}

} // namespace offhook
