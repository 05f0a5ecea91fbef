#include "cmd/nagios.hpp"

#include "base/text.hpp"

namespace offhook::cmd {

namespace {

std::string seconds(std::int64_t ms) {
    return format_number(static_cast<double>(ms) / 1000, 3) + "s";
}

std::string performance(const event::CallEnded &e) {
    std::string out;
    if (e.pdd_ms >= 0) out += " pdd=" + seconds(e.pdd_ms) + ";;;0";
    if (e.setup_ms >= 0) out += " setup=" + seconds(e.setup_ms) + ";;;0";
    if (!e.answered) return out;
    const auto &rx = e.stats.received;
    const auto total = static_cast<double>(rx.packets) + static_cast<double>(rx.lost);
    out += " talk=" + seconds(e.talk_ms) +
           ";;;0 loss=" + format_number(total > 0 ? 100 * static_cast<double>(rx.lost) / total : 0, 2) +
           "%;;;0;100 jitter=" + format_number(rx.jitter_ms, 1) + "ms;;;0";
    if (rx.mos > 0) out += " mos=" + format_number(rx.mos, 2) + ";;;1;4.5";
    return out;
}

} // namespace

int nagios_code(int exit) noexcept {
    if (exit == 0) return 0;
    if (exit >= 10 && exit <= 12) return 1;
    if (exit == 1 || exit == 2 || exit == 31 || (exit >= 129 && exit < 160)) return 3;
    return 2;
}

std::string nagios_line(int exit, const std::string &what, const std::optional<event::CallEnded> &call) {
    return nagios_state_line(nagios_code(exit), what, call ? performance(*call) : "");
}

std::string nagios_state_line(int state, const std::string &what, const std::string &performance) {
    constexpr const char *states[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    std::string text = sanitise(what);
    for (auto &c : text)
        if (c == '|') c = '/';
    const std::string line = std::string("SIP ") + states[state] + " - " + text;
    return performance.empty() ? line : line + " |" + performance;
}

} // namespace offhook::cmd
