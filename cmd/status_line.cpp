#include "cmd/status_line.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace offhook::cmd {

namespace {

std::string state_text(const CallView &call) {
    using sip::DialogState;
    if (call.state == DialogState::confirmed) {
        if (call.held_locally) return "on hold";
        return call.held_remotely ? "held by the other side" : "in call";
    }
    if (call.state == DialogState::terminated) return "ended";
    if (call.direction == CallDirection::incoming) return "incoming";
    return call.state == DialogState::early ? "ringing" : "calling";
}

double loss_percent(const media::DirectionStats &stats) {
    const double lost = std::max<double>(0, static_cast<double>(stats.lost));
    const double total = static_cast<double>(stats.packets) + lost;
    return total > 0 ? 100 * lost / total : 0;
}

} // namespace

std::string level_bar(double dbfs) {
    const auto filled = static_cast<std::size_t>(std::clamp((dbfs + 60) / 6, 0.0, 10.0));
    return "[" + std::string(filled, '#') + std::string(10 - filled, '-') + "]";
}

std::string format_status(const StatusFacts &facts, std::size_t width) {
    const auto &call = facts.call;
    const bool talking = call.state == sip::DialogState::confirmed;
    std::string line = state_text(call) + " " + format_clock(talking ? call.talk : facts.since_start);
    if (!call.codec.empty()) line += "  " + call.codec;
    if (talking) line += "  " + level_bar(facts.received_dbfs);
    if (call.muted) line += "  muted";
    if (call.recording) line += "  rec";
    if (!facts.beside.empty()) line += "  | " + facts.beside + " |";
    if (facts.stats && talking) {
        line += "  loss " + format_number(loss_percent(facts.stats->received), 1) + " %";
        if (facts.stats->received.mos > 0) line += "  MOS " + format_number(facts.stats->received.mos, 1);
    }
    return cut_to_width(line + "  (? help)", width);
}

} // namespace offhook::cmd
