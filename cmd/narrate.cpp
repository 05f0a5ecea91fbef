#include "cmd/narrate.hpp"

#include "base/text.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

std::string caller(const CallView &call) {
    return call.remote_name.empty() ? call.remote : "\"" + call.remote_name + "\" " + call.remote;
}

std::string direction(std::string_view label, const media::DirectionStats &stats) {
    const auto total = static_cast<double>(stats.packets) + static_cast<double>(stats.lost);
    const double share = total > 0 ? 100 * static_cast<double>(stats.lost) / total : 0;
    std::string out = std::string(label) + std::to_string(stats.packets) + " packets, lost " +
                      std::to_string(stats.lost) + " (" + format_number(share, 1) + " %), jitter " +
                      format_number(stats.jitter_ms, 1) + " ms";
    if (stats.mos > 0) out += ", MOS " + format_number(stats.mos, 1);
    return out;
}

std::string how_it_ended(const event::CallEnded &e) {
    if (e.answered) {
        std::string who = e.by == EndedBy::remote  ? "by the other side"
                          : e.by == EndedBy::local ? "here"
                                                   : "by a failure";
        if (!e.reason_header.empty()) who += " (" + e.reason_header + ")";
        return "ended     " + who + " after " + format_clock(Duration{e.talk_ms}) + "\n" +
               describe_media(e.stats);
    }
    if (e.code == 0) return "failed    " + e.reason;
    std::string out = "failed    " + std::to_string(e.code) + " " + e.reason;
    if (const auto plain = sip::explain(e.code); !plain.empty()) out += ": " + std::string(plain);
    if (!e.redirect.empty()) out += ", redirected to " + e.redirect;
    return out;
}

std::string describe_transfer(const event::CallTransfer &e) {
    if (e.role == TransferRole::target) return "the call goes on with " + e.target;
    const std::string what =
        e.role == TransferRole::transferor ? "transfer  to " + e.target : "sent on   to " + e.target;
    if (e.asks) return "the other side wants to send you on to " + e.target;
    if (e.done && e.exit == 0) return what + ": done";
    const std::string told = (e.code != 0 ? std::to_string(e.code) + " " : "") + e.reason;
    if (e.done) return what + ": failed, " + told;
    return e.code == 0 ? what : what + ": " + told;
}

struct Words {
    bool verbose;

    std::string operator()(const event::AccountRegistering &e) const {
        return verbose ? "registering " + e.aor + " at " + e.registrar : "";
    }
    std::string operator()(const event::AccountRegistered &e) const {
        return "registered " + e.aor + " for " + std::to_string(e.expires_s) + " s" +
               (e.transport.empty() ? "" : " over " + e.transport);
    }
    std::string operator()(const event::AccountFailed &e) const {
        std::string out =
            "not registered " + e.aor + ": " + (e.code != 0 ? std::to_string(e.code) + " " : "") + e.reason;
        if (e.retry_ms >= 0) out += ", next try in " + format_span(Duration{e.retry_ms});
        return out;
    }
    std::string operator()(const event::AccountUnregistered &e) const { return "unregistered " + e.aor; }
    std::string operator()(const event::CallIncoming &e) const {
        return "call from " + caller(e.call) + (verbose ? " (" + e.source + ", " + e.user_agent + ")" : "") +
               (e.asserted.empty() ? "" : ", asserted " + e.asserted) +
               (e.diverted.empty() ? "" : ", diverted by " + e.diverted.front()) +
               (e.subject.empty() ? "" : ": " + e.subject);
    }
    std::string operator()(const event::CallOutgoing &e) const { return "calling   " + e.call.remote; }
    std::string operator()(const event::CallTrying &) const { return verbose ? "trying…" : ""; }
    std::string operator()(const event::CallRinging &e) const {
        return e.code == 180 ? "ringing…" : std::to_string(e.code) + " " + e.reason;
    }
    std::string operator()(const event::CallEarly &e) const { return "early media, " + e.call.codec; }
    std::string operator()(const event::CallAnswered &e) const {
        std::string out = "answered";
        if (e.setup_ms >= 0) out += " after " + format_span(Duration{e.setup_ms});
        if (!e.call.codec.empty()) out += ", " + e.call.codec;
        return out;
    }
    std::string operator()(const event::CallHeld &) const { return "on hold"; }
    std::string operator()(const event::CallResumed &) const { return "resumed"; }
    std::string operator()(const event::CallRemoteHold &e) const {
        return e.on ? "the other side put the call on hold" : "the other side resumed the call";
    }
    std::string operator()(const event::CallDtmf &e) const {
        if (e.sent) return verbose ? std::string("sent digit ") + e.digit : "";
        return std::string("digit ") + e.digit;
    }
    std::string operator()(const event::CallMedia &e) const {
        if (e.what == "lost")
            return "no sound arrives for " + format_span(Duration{e.silent_ms}) +
                   (e.one_way ? ", ours goes out: they may hear you" : "");
        if (e.what == "resumed") return "sound arrives again";
        if (e.what == "connected")
            return verbose ? "media goes from " + e.local_rtp + " to " + e.remote_rtp +
                                 (e.call.srtp.empty() ? "" : ", encrypted by " + e.call.srtp)
                           : "";
        return verbose ? "first sound from " + e.remote_rtp : "";
    }
    std::string operator()(const event::CallQuality &e) const {
        return verbose ? describe_media(e.stats) : "";
    }
    std::string operator()(const event::CallTransfer &e) const { return describe_transfer(e); }
    std::string operator()(const event::CallRecording &e) const {
        if (!e.error.empty()) return "recording failed: " + e.error;
        return (e.on ? "recording " : "recorded  ") + e.file;
    }
    std::string operator()(const event::CallPlayback &e) const { return verbose ? "played " + e.file : ""; }
    std::string operator()(const event::CallStep &e) const {
        if (e.ok) return verbose ? "step      " + e.step : "";
        return "step      " + e.step + ": " + e.error;
    }
    std::string operator()(const event::CallEnded &e) const { return how_it_ended(e); }
    std::string operator()(const event::AudioLost &e) const {
        return "sound device " + e.device + " lost: " + e.error;
    }
    std::string operator()(const event::AudioRestored &e) const {
        return "sound device " + e.device + " is back";
    }
    std::string operator()(const event::MessageReceived &e) const {
        std::string out =
            "message from " + (e.from_name.empty() ? e.from : "\"" + e.from_name + "\" " + e.from) + ": ";
        for (const char c : e.text) // its further lines are no lines of ours
            out += c == '\n' ? std::string("\n    ") : std::string(1, c);
        return out;
    }
    std::string operator()(const event::MessageSent &e) const {
        if (e.code == 0) return "message not sent: " + e.reason;
        return "message " + std::string(e.code < 300 ? "accepted" : "refused") + ": " +
               std::to_string(e.code) + " " + e.reason;
    }
    std::string operator()(const event::NotifyReceived &) const {
        return "";
    } // `watch` prints it as a result
    std::string operator()(const event::NotifyEnded &e) const {
        if (e.retry_ms < 0) return ""; // the command tells
        return e.reason + ", subscribing again in " + format_span(Duration{e.retry_ms});
    }
    std::string operator()(const event::Log &e) const { return e.level + ": " + e.text; }
};

} // namespace

std::string describe_media(const media::LegStats &stats) {
    std::string out = direction("received  ", stats.received) + "\n" + direction("sent      ", stats.sent);
    if (stats.round_trip_ms >= 0) out += ", round trip " + format_number(stats.round_trip_ms, 0) + " ms";
    return out;
}

std::string narrate(const Event &event, bool verbose) {
    std::string out;
    for (const auto &line : split(std::visit(Words{verbose}, event), '\n'))
        out += (out.empty() ? "" : "\n") + sanitise(line);
    return out;
}

} // namespace offhook::cmd
