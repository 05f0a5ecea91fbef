#include "sip/trace_file.hpp"

#include <ctime>

#include "sip/headers.hpp"
#include "sip/line.hpp"
#include "sip/socket_address.hpp"

namespace offhook::sip {

namespace {

std::string_view take_word(std::string_view &rest) {
    const auto end = rest.find(' ');
    const auto word = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return word;
}

// "2026-11-22T05:13:00.123Z"
std::optional<std::chrono::system_clock::time_point> parse_utc(std::string_view text) {
    if (text.size() != 24 || text[10] != 'T' || text[23] != 'Z') return std::nullopt;
    const auto number = [&](std::size_t at, std::size_t length) {
        const auto value = parse_number(text.substr(at, length));
        return value ? static_cast<int>(*value) : -1;
    };
    std::tm when{};
    when.tm_year = number(0, 4) - 1900;
    when.tm_mon = number(5, 2) - 1;
    when.tm_mday = number(8, 2);
    when.tm_hour = number(11, 2);
    when.tm_min = number(14, 2);
    when.tm_sec = number(17, 2);
    const int ms = number(20, 3);
    if (when.tm_year < 70 || when.tm_mon < 0 || when.tm_mon > 11 || when.tm_mday < 1 || when.tm_hour < 0 ||
        when.tm_min < 0 || when.tm_sec < 0 || ms < 0)
        return std::nullopt;
    return std::chrono::system_clock::from_time_t(timegm(&when)) + std::chrono::milliseconds(ms);
}

// "--- TIME sent udp:LOCAL -> REMOTE, N bytes"
std::optional<CapturedMessage> parse_title(std::string_view line) {
    if (!line.starts_with("--- ")) return std::nullopt;
    line.remove_prefix(4);
    CapturedMessage message;
    const auto time = parse_utc(take_word(line));
    const auto way = take_word(line);
    auto local_text = take_word(line);
    const auto arrow = take_word(line);
    auto remote_text = take_word(line);
    if (!time || (way != "sent" && way != "received") || (arrow != "->" && arrow != "<-") ||
        !remote_text.ends_with(',') || !line.ends_with(" bytes"))
        return std::nullopt;
    remote_text.remove_suffix(1);
    const auto colon = local_text.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto kind = parse_transport(local_text.substr(0, colon));
    const auto local = parse_socket(local_text.substr(colon + 1));
    const auto remote = parse_socket(remote_text);
    if (!kind || !local || !remote) return std::nullopt;
    message.time = *time;
    message.kind = *kind;
    message.from = way == "sent" ? *local : *remote;
    message.to = way == "sent" ? *remote : *local;
    return message;
}

// Its \xNN count as one byte each.
std::size_t true_size(std::string_view line) {
    std::size_t size = line.size();
    for (std::size_t at = line.find("\\x"); at != std::string_view::npos; at = line.find("\\x", at + 2))
        size -= 3;
    return std::min(size, line.size());
}

// Headers up to the empty line, then as much as Content-Length says: a title within a body is no title.
void take_message(std::string_view &rest, std::string &bytes) {
    std::size_t body = 0;
    while (!rest.empty()) {
        if (auto ahead = rest; parse_title(take_line(ahead))) return; // cut short
        const auto line = take_line(rest);
        bytes.append(line).append("\r\n");
        if (line.empty()) break;
        const auto colon = line.find(':');
        const auto name = trim(line.substr(0, colon));
        if (colon != std::string_view::npos && header_id(name) == HeaderId::content_length)
            body = static_cast<std::size_t>(parse_number(trim(line.substr(colon + 1))).value_or(0));
    }
    for (std::size_t seen = 0; seen < body && !rest.empty();) {
        const auto line = take_line(rest);
        bytes.append(line).append("\r\n");
        seen += true_size(line) + 2;
    }
}

} // namespace

Result<CaptureReport> read_trace_file(std::string_view file, const CaptureSink &sink) {
    CaptureReport report;
    while (!file.empty()) {
        auto message = parse_title(take_line(file));
        if (!message) continue;
        ++report.packets;
        take_message(file, message->bytes);
        if (sink.message) sink.message(std::move(*message));
    }
    if (report.packets == 0)
        return fail(Errc::parse,
                    "neither a capture nor a trace (expected pcap, pcapng, or what --trace wrote)");
    return report;
}

} // namespace offhook::sip
