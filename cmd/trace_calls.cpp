#include "cmd/trace_calls.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "media/sdp.hpp"
#include "sip/message.hpp"

namespace offhook::cmd {

namespace {

constexpr std::size_t most_streams = 4096;

std::string plain_uri(const Result<sip::NameAddr> &address) {
    if (!address) return "?";
    sip::Uri uri = address->uri;
    uri.params = {};
    uri.headers.clear();
    return sanitise(uri.encode());
}

bool same(const TracedMessage &a, const TracedMessage &b) {
    return a.hash == b.hash && a.entry.from == b.entry.from && a.entry.to == b.entry.to;
}

// RFC 3551 §6, of those that still live.
std::optional<std::pair<const char *, unsigned>> static_payload(unsigned type) {
    switch (type) {
    case 0:
        return std::pair("PCMU", 8000U);
    case 3:
        return std::pair("GSM", 8000U);
    case 8:
        return std::pair("PCMA", 8000U);
    case 9:
        return std::pair("G722", 8000U);
    case 13:
        return std::pair("CN", 8000U);
    case 18:
        return std::pair("G729", 8000U);
    default:
        return std::nullopt;
    }
}

TimePoint steady(std::chrono::system_clock::time_point time) { // the statistics only look at differences
    return TimePoint(std::chrono::duration_cast<TimePoint::duration>(time.time_since_epoch()));
}

} // namespace

double TracedCall::seconds() const {
    if (messages.empty()) return 0;
    return std::chrono::duration<double>(messages.back().entry.time - messages.front().entry.time).count();
}

void CallSorter::add(const sip::CapturedMessage &captured) {
    const auto message = sip::Message::parse(captured.bytes);
    TracedMessage traced;
    traced.entry = {captured.time, captured.from.to_string(), captured.to.to_string(),
                    sip::ladder_label(captured.bytes)};
    traced.transport = sip::uri_token(captured.kind);
    if (message) {
        traced.call_id = message->call_id();
        traced.status = message->status();
        const auto cseq = message->cseq();
        traced.method = message->is_request() ? std::string(message->method_token())
                        : cseq                ? cseq->method
                                              : "";
        learn_media(message->body());
    }
    const auto [at, fresh] = by_id_.emplace(traced.call_id, calls_.size());
    if (fresh) {
        calls_.emplace_back();
        auto &call = calls_.back();
        call.id = sanitise(traced.call_id);
        call.method = traced.method;
        call.from = message ? plain_uri(message->from()) : "?";
        call.to = message ? plain_uri(message->to()) : "?";
    }
    auto &call = calls_[at->second];
    if (traced.status >= 200 && traced.method == call.method) call.status = traced.status;
    traced.hash = std::hash<std::string>{}(captured.bytes);
    // Only near ones: a retransmission comes few messages later.
    const std::size_t from = call.messages.size() > 32 ? call.messages.size() - 32 : 0;
    traced.repeated =
        std::any_of(call.messages.begin() + static_cast<std::ptrdiff_t>(from), call.messages.end(),
                    [&](const TracedMessage &earlier) { return same(earlier, traced); });
    call.messages.push_back(std::move(traced));
}

void CallSorter::learn_media(std::string_view body) {
    if (!body.starts_with("v=0")) return;
    const auto sdp = media::Sdp::parse(body);
    if (!sdp) return;
    for (const auto &section : sdp->media) {
        const auto &connection = section.connection.address.empty() ? sdp->connection : section.connection;
        const auto address = Address::parse(connection.address, section.port);
        if (!address || section.port == 0 || announced_.size() >= most_streams) continue;
        auto &codecs = announced_[address->to_string()];
        for (const auto &attribute : section.attributes) {
            if (attribute.name != "rtpmap") continue;
            const auto space = attribute.value.find(' ');
            const auto type = sip::parse_number(attribute.value.substr(0, space));
            if (space == std::string::npos || !type || *type > 127) continue;
            const auto parts = split(attribute.value.substr(space + 1), '/');
            const auto rate = parts.size() > 1 ? sip::parse_number(parts[1]) : std::nullopt;
            codecs[static_cast<unsigned>(*type)] = {
                sanitise(parts[0]), static_cast<unsigned>(std::min<std::uint64_t>(
                                        std::max<std::uint64_t>(rate.value_or(8000), 1), 192'000))};
        }
    }
}

// RTP is what goes to a place that an SDP named.
void CallSorter::add_datagram(std::chrono::system_clock::time_point time, const Address &from,
                              const Address &to, std::string_view payload) {
    const auto known = announced_.find(to.to_string());
    if (known == announced_.end()) return;
    const media::Bytes bytes(reinterpret_cast<const std::uint8_t *>(payload.data()), payload.size());
    if (media::looks_like_rtcp(bytes)) return;
    const auto packet = media::parse_rtp(bytes);
    if (!packet) return;
    const auto &header = packet->header;
    const std::string key = from.to_string() + " " + known->first + " " + std::to_string(header.ssrc);
    if (streams_.size() >= most_streams && !stream_by_key_.contains(key)) return;
    const auto [at, fresh] = stream_by_key_.emplace(key, streams_.size());
    if (fresh) {
        Codec codec{"payload type " + std::to_string(header.payload_type)};
        if (const auto fixed = static_payload(header.payload_type)) codec = {fixed->first, fixed->second};
        if (const auto named = known->second.find(header.payload_type); named != known->second.end())
            codec = named->second;
        streams_.push_back(
            {from.to_string(), known->first, codec.name, media::ReceiverStats(codec.rate), time, time});
    }
    auto &stream = streams_[at->second];
    stream.stats.received(header, packet->payload.size(), steady(time));
    stream.last = time;
}

std::vector<TracedStream> CallSorter::streams() const {
    std::vector<TracedStream> out;
    std::copy_if(streams_.begin(), streams_.end(), std::back_inserter(out),
                 [](const TracedStream &stream) { return stream.stats.packets() > 1; });
    return out;
}

} // namespace offhook::cmd
