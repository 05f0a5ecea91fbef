#include "phone/event_json.hpp"

#include <cmath>

namespace offhook {

namespace {

Json or_null(std::int64_t value) {
    return value < 0 ? Json{} : Json(value);
}

Json rounded(double value) {
    return std::round(value * 100) / 100;
}

Json direction(const media::DirectionStats &stats) {
    Json out = Json::object();
    out.add("packets", stats.packets).add("lost", stats.lost).add("jitter_ms", rounded(stats.jitter_ms));
    out.add("mos", stats.mos > 0 ? rounded(stats.mos) : Json{});
    return out;
}

void add_stats(Json &line, const media::LegStats &stats) {
    Json sent = direction(stats.sent);
    sent.add("rtt_ms", stats.round_trip_ms < 0 ? Json{} : rounded(stats.round_trip_ms));
    Json received = direction(stats.received);
    received.add("missing_percent", rounded(stats.received.missing_percent))
        .add("burst_ratio", rounded(stats.received.burst_ratio))
        .add("buffer_ms", rounded(stats.jitter_buffer_ms))
        .add("concealed_ms", rounded(stats.concealed_ms));
    line.add("rx", std::move(received)).add("tx", std::move(sent));
}

Json srtp(const CallView &call) {
    return call.srtp.empty() ? Json("off") : Json(call.srtp);
}

// One overload per event: its own members, after the head and the call.
struct Members {
    Json &line;

    void account(const std::string &name, const std::string &aor) const {
        line.add("account", name).add("aor", aor);
    }

    void operator()(const event::AccountRegistering &e) const {
        account(e.account, e.aor);
        line.add("registrar", e.registrar);
    }
    void operator()(const event::AccountRegistered &e) const {
        account(e.account, e.aor);
        line.add("contact", e.contact).add("transport", e.transport).add("expires_ms", e.expires_s * 1000);
        line.add("flow", e.flow);
    }
    void operator()(const event::AccountFailed &e) const {
        account(e.account, e.aor);
        line.add("code", e.code)
            .add("reason", e.reason)
            .add("exit", e.exit)
            .add("retry_ms", or_null(e.retry_ms));
    }
    void operator()(const event::AccountUnregistered &e) const { account(e.account, e.aor); }
    void operator()(const event::CallIncoming &e) const {
        line.add("remote_name", e.call.remote_name).add("user_agent", e.user_agent);
        line.add("subject", e.subject).add("source", e.source);
        if (!e.asserted.empty()) line.add("asserted_identity", e.asserted);
        if (e.wants_privacy) line.add("privacy", true);
        if (e.diverted.empty()) return;
        Json::Array diversions;
        for (std::size_t i = 0; i < e.diverted.size(); ++i)
            diversions.push_back(Json::object().add("from", e.diverted[i]).add("reason", e.diverted_why[i]));
        line.add("diversion", std::move(diversions));
    }
    void operator()(const event::CallOutgoing &e) const { line.add("target", e.target); }
    void operator()(const event::CallTrying &) const {}
    void operator()(const event::CallRinging &e) const { line.add("code", e.code).add("reason", e.reason); }
    void operator()(const event::CallEarly &e) const { line.add("code", e.code).add("codec", e.call.codec); }
    void operator()(const event::CallAnswered &e) const {
        line.add("codec", e.call.codec).add("srtp", srtp(e.call));
        line.add("pdd_ms", or_null(e.pdd_ms))
            .add("setup_ms", or_null(e.setup_ms))
            .add("user_agent", e.user_agent);
    }
    void operator()(const event::CallHeld &) const {}
    void operator()(const event::CallResumed &) const {}
    void operator()(const event::CallRemoteHold &e) const { line.add("on", e.on); }
    void operator()(const event::CallDtmf &e) const {
        line.add("digit", std::string(1, e.digit)).add("sent", e.sent).add("method", e.method);
        line.add("length_ms", e.length_ms);
    }
    void operator()(const event::CallMedia &e) const {
        line.add("what", e.what).add("codec", e.call.codec).add("local_rtp", e.local_rtp);
        line.add("remote_rtp", e.remote_rtp).add("silent_ms", e.silent_ms);
        line.add("one_way", e.one_way);
    }
    void operator()(const event::CallQuality &e) const {
        add_stats(line, e.stats);
        Json interval = Json::object();
        interval.add("packets", e.interval.packets).add("missing", e.interval.missing);
        interval.add("burst_ratio", rounded(e.interval.burst_ratio));
        interval.add("mos", e.interval.mos > 0 ? rounded(e.interval.mos) : Json{});
        line.add("interval", std::move(interval));
    }
    void operator()(const event::CallTransfer &e) const {
        line.add("role", name(e.role)).add("kind", e.attended ? "attended" : "blind");
        line.add("target", e.target).add("code", e.code).add("reason", e.reason);
        if (e.asks) line.add("asks", true);
        line.add("done", e.done).add("exit", e.done ? Json(e.exit) : Json{});
        line.add("next_call", e.next ? Json(to_string(*e.next)) : Json{});
    }
    void operator()(const event::CallRecording &e) const {
        line.add("file", e.file).add("on", e.on).add("error", e.error.empty() ? Json{} : Json(e.error));
    }
    void operator()(const event::CallPlayback &e) const { line.add("file", e.file); }
    void operator()(const event::CallStep &e) const {
        line.add("step", e.step).add("ok", e.ok).add("error", e.error.empty() ? Json{} : Json(e.error));
    }
    void operator()(const event::CallEnded &e) const { add_ending(line, e); }
    void operator()(const event::AudioLost &e) const { line.add("device", e.device).add("error", e.error); }
    void operator()(const event::AudioRestored &e) const { line.add("device", e.device); }
    void operator()(const event::MessageReceived &e) const {
        line.add("account", e.account).add("from", e.from).add("from_name", e.from_name).add("to", e.to);
        line.add("text", e.text).add("source", e.source);
    }
    void operator()(const event::MessageSent &e) const {
        line.add("account", e.account).add("to", e.to).add("code", e.code).add("reason", e.reason);
        line.add("exit", e.exit);
    }
    void operator()(const event::NotifyReceived &e) const {
        line.add("watch", "w" + std::to_string(static_cast<std::uint32_t>(e.watch)))
            .add("account", e.account);
        line.add("target", e.target).add("package", e.package).add("state", e.state).add("reason", e.reason);
        line.add("summary", e.summary).add("content", e.content);
    }
    void operator()(const event::NotifyEnded &e) const {
        line.add("watch", "w" + std::to_string(static_cast<std::uint32_t>(e.watch)))
            .add("account", e.account);
        line.add("target", e.target).add("package", e.package).add("code", e.code).add("reason", e.reason);
        line.add("exit", e.exit).add("retry_ms", or_null(e.retry_ms));
    }
    void operator()(const event::Log &e) const { line.add("level", e.level).add("text", e.text); }
};

void add_call(Json &line, const CallView &call) {
    line.add("call", to_string(call.id)).add("account", call.account);
    line.add("direction", name(call.direction)).add("local", call.local).add("remote", call.remote);
    line.add("sip_call_id", call.sip_call_id);
}

} // namespace

Json json_head(std::uint64_t seq, std::chrono::system_clock::time_point when, std::string_view name) {
    return Json::object().add("seq", seq).add("ts", format_utc(when)).add("event", name);
}

Json to_json(const Event &event, std::uint64_t seq, std::chrono::system_clock::time_point when) {
    Json line = json_head(seq, when, name(event));
    if (const auto *call = call_of(event)) add_call(line, *call);
    std::visit(Members{line}, event);
    return line;
}

void add_ending(Json &line, const event::CallEnded &ended) {
    line.add("code", ended.code)
        .add("reason", ended.reason)
        .add("by", name(ended.by))
        .add("exit", ended.exit);
    line.add("answered", ended.answered)
        .add("pdd_ms", or_null(ended.pdd_ms))
        .add("setup_ms", or_null(ended.setup_ms));
    line.add("talk_ms", ended.talk_ms).add("codec", ended.call.codec).add("srtp", srtp(ended.call));
    add_stats(line, ended.stats);
    if (!ended.reason_header.empty()) line.add("reason_header", ended.reason_header);
    if (!ended.redirect.empty()) line.add("redirect", ended.redirect);
}

} // namespace offhook
