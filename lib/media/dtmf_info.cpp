// DTMF in INFO bodies, as phones and door stations send them; no RFC describes it.
#include <algorithm>
#include <charconv>

#include "media/dtmf.hpp"

namespace offhook::media {

namespace {

constexpr Duration usual_length{160};

std::string_view trimmed(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!text.empty() && blank(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && blank(text.back()))
        text.remove_suffix(1);
    return text;
}

bool same(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// "5", "*", "10" (→ *), "11" (→ #), "12".."15" (→ A..D).
std::optional<char> signal(std::string_view text) {
    if (text.size() == 1)
        if (const auto code = dtmf_event_code(text.front())) return dtmf_digit(*code);
    unsigned code = 99;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), code);
    if (err != std::errc{} || end != text.data() + text.size() || code > 15) return std::nullopt;
    return dtmf_digit(static_cast<std::uint8_t>(code));
}

Failure bad_body() {
    return fail(Errc::parse, "the INFO body holds no DTMF signal", 400);
}

Result<DtmfEvent> parse_relay(std::string_view body) {
    DtmfEvent event{DtmfEvent::Kind::up, 0, usual_length};
    while (!body.empty()) {
        const std::size_t end = std::min(body.find('\n'), body.size());
        const std::string_view row = trimmed(body.substr(0, end));
        body.remove_prefix(std::min(end + 1, body.size()));
        const std::size_t equals = row.find_first_of("=:");
        if (equals == std::string_view::npos) continue;
        const std::string_view key = trimmed(row.substr(0, equals)), value = trimmed(row.substr(equals + 1));
        if (same(key, "Signal")) {
            const auto digit = signal(value);
            if (!digit) return bad_body();
            event.digit = *digit;
        } else if (same(key, "Duration")) {
            unsigned ms = 0;
            std::from_chars(value.data(), value.data() + value.size(), ms);
            if (ms > 0 && ms <= 60'000) event.length = Duration{ms};
        }
    }
    if (event.digit == 0) return bad_body();
    return event;
}

} // namespace

Result<DtmfEvent> parse_dtmf_info(std::string_view content_type, std::string_view body) {
    const std::string_view type = trimmed(content_type.substr(0, content_type.find(';')));
    if (same(type, "application/dtmf-relay")) return parse_relay(body);
    if (same(type, "application/dtmf") || same(type, "audio/telephone-event")) {
        if (body.find('=') != std::string_view::npos) return parse_relay(body);
        const auto digit = signal(trimmed(body));
        if (!digit) return bad_body();
        return DtmfEvent{DtmfEvent::Kind::up, *digit, usual_length};
    }
    return fail(Errc::not_supported, "INFO of type " + std::string(type) + " is not known", 415);
}

std::string dtmf_relay_body(char digit, Duration length) {
    return "Signal=" + std::string(1, digit) + "\r\nDuration=" + std::to_string(length.count()) + "\r\n";
}

} // namespace offhook::media
