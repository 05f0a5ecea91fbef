#include "bridge/relay_plan.hpp"

namespace offhook::bridge {

namespace {

bool receives(media::Direction direction) {
    return direction == media::Direction::sendrecv || direction == media::Direction::recvonly;
}

Relay::Way way_of(const Line &line, End from, bool web) {
    Relay::Way way;
    way.muted = !receives(line.at(other(from)).direction);
    for (const auto &[in, out] : line.numbers(from))
        way.of[in & 127].out = out;
    const LineEnd &end = line.at(from);
    for (const auto &format : end.formats) {
        way.of[format.number & 127].clock = format.clock;
        if (const auto used = end.used.find(format.key()); used != end.used.end())
            way.of[used->second & 127].clock = format.clock;
    }
    for (const auto &[number, clock] : line.event_clocks(from)) {
        way.of[number & 127].clock = line.spoken_clock(from);
        way.of[number & 127].event_clock = clock;
        // Chromium counts the length of a digit in the clock of the event and its progress in that of the
        // codec: with Opus and an event of 8 kHz it is over after one packet.
        way.of[number & 127].ends_early = web && clock != line.spoken_clock(from);
    }
    if (const auto event = line.event_for(other(from))) way.event_clock = event->clock;
    for (const auto &recode : line.recodes(from)) {
        way.of[recode.from_number & 127].codec = static_cast<std::int8_t>(way.codecs.size());
        way.codecs.push_back({{recode.from, {}}, {recode.to, recode.fmtp}, recode.to_number});
    }
    return way;
}

} // namespace

std::vector<Relay::LinePlan> plan_of(const Interwork &interwork) {
    std::vector<Relay::LinePlan> plan;
    for (std::size_t i = 0; i < interwork.lines().size(); ++i) {
        const Line &line = interwork.lines()[i];
        Relay::LinePlan out;
        out.caller_keys = interwork.keys(End::caller, i);
        out.callee_keys = interwork.keys(End::callee, i);
        out.video = line.type == "video";
        const LineEnd &caller = line.at(End::caller), &callee = line.at(End::callee);
        if (!caller.rejected && !callee.rejected) {
            out.from_caller = way_of(line, End::caller, interwork.web(End::caller));
            out.from_callee = way_of(line, End::callee, interwork.web(End::callee));
        }
        out.caller_remote = caller.remote;
        out.caller_rtcp = caller.remote_rtcp;
        out.callee_remote = callee.remote;
        out.callee_rtcp = callee.remote_rtcp;
        out.caller_mux = caller.rtcp_mux;
        out.callee_mux = callee.rtcp_mux;
        out.caller_feedback = caller.feedback;
        out.callee_feedback = callee.feedback;
        if (const auto event = line.event_for(End::caller)) {
            out.caller_event = event->number;
            out.caller_event_clock = event->clock;
        }
        if (const auto event = line.event_for(End::callee)) {
            out.callee_event = event->number;
            out.callee_event_clock = event->clock;
        }
        plan.push_back(std::move(out));
    }
    return plan;
}

} // namespace offhook::bridge
