// What the peer's description and our capabilities have in common.
#include <algorithm>
#include <utility>

#include "media/offer_answer.hpp"

namespace offhook::media {

namespace {

const SdpAttribute *find_direction(const std::vector<SdpAttribute> &attributes) {
    const auto found = std::find_if(attributes.begin(), attributes.end(), [](const SdpAttribute &a) {
        return a.name == "sendrecv" || a.name == "sendonly" || a.name == "recvonly" || a.name == "inactive";
    });
    return found == attributes.end() ? nullptr : &*found;
}

Direction both(Direction a, Direction b) { // what both allow
    const auto sends = [](Direction d) { return d == Direction::sendrecv || d == Direction::sendonly; };
    const auto receives = [](Direction d) { return d == Direction::sendrecv || d == Direction::recvonly; };
    const bool send = sends(a) && sends(b), receive = receives(a) && receives(b);
    if (send) return receive ? Direction::sendrecv : Direction::sendonly;
    return receive ? Direction::recvonly : Direction::inactive;
}

bool noise_with(const CodecInfo &codec) {
    return codec.clock_rate == noise_clock_rate;
}

bool multicast(const Address &address) {
    const std::string ip = address.ip();
    if (address.family() == AF_INET6) return ip.starts_with("ff");
    return sdp_number(ip).value_or(0) >= 224; // 224.0.0.0/4, and 255.255.255.255 with what lies between
}

void read_parameters(const SdpMedia &media, Negotiated &out) {
    const std::string *xr = media.attribute("rtcp-xr");
    out.voip_metrics = xr != nullptr && xr->find(voip_metrics) != std::string::npos;
    if (const std::string *ptime = media.attribute("ptime"))
        if (const auto ms = sdp_number(*ptime); ms && *ms >= 10 && *ms <= 60 && *ms % 10 == 0)
            out.ptime_ms = *ms;
}

} // namespace

// Where the peer receives. Nothing that could not be reached is agreed to, and nothing that would make us
// send a stream to a whole network.
Result<> OfferAnswer::read_addresses(const SdpMedia &media, const Sdp &sdp, Negotiated &out) const {
    const std::string &host =
        media.connection.address.empty() ? sdp.connection.address : media.connection.address;
    const auto address = Address::parse(host, media.port);
    if (!address) return fail(Errc::media, "the peer's SDP has no IP address to send to", 488);
    if (multicast(*address)) return fail(Errc::media, "the peer wants its media sent to " + host, 488);
    if (!address->is_any() && local_.rtp.is_set() && address->family() != local_.rtp.family())
        return fail(Errc::media, "the peer's media address " + host + " is of another IP version than ours",
                    488);
    out.rtp = *address;
    out.rtcp = out.rtp.with_port(static_cast<std::uint16_t>(media.port + 1));
    if (const std::string *rtcp = media.attribute("rtcp"))
        if (const auto port = sdp_number(*rtcp); port && *port > 0 && *port < 65536)
            out.rtcp = out.rtp.with_port(static_cast<std::uint16_t>(*port));
    return {};
}

Direction OfferAnswer::direction_of(const SdpMedia &media, const Sdp &sdp) noexcept {
    const SdpAttribute *found = find_direction(media.attributes);
    if (found == nullptr) found = find_direction(sdp.attributes);
    if (found == nullptr) return Direction::sendrecv;
    for (Direction d : {Direction::sendonly, Direction::recvonly, Direction::inactive})
        if (found->name == name(d)) return d;
    return Direction::sendrecv;
}

// What their audio line and our capabilities have in common: in our order of preference when they offer, in
// theirs when they answer (RFC 3264 §7: the first format of the answer is the one to send).
Result<Negotiated> OfferAnswer::agree_formats(const SdpMedia &remote_media, bool answer) const {
    const std::vector<SdpFormat> formats = formats_of(remote_media);
    Negotiated agreed;
    const auto consider = [&](const SdpFormat &format, const CodecInfo *codec) {
        const auto known = [&](const auto &entry) { return entry.second == codec; };
        if (!format.is(*codec) || std::ranges::any_of(agreed.receivable, known)) return;
        if (agreed.codec == nullptr) {
            agreed.codec = codec;
            agreed.send_payload_type = agreed.receive_payload_type = format.payload_type;
            agreed.fmtp = format.fmtp;
        }
        agreed.receivable.emplace_back(format.payload_type, codec);
    };
    const std::size_t codecs = local_.codecs.size();
    for (std::size_t i = 0; i < formats.size() * codecs; ++i)
        if (answer)
            consider(formats[i / codecs], local_.codecs[i % codecs]);
        else
            consider(formats[i % formats.size()], local_.codecs[i / formats.size()]);
    if (agreed.codec == nullptr) return fail(Errc::media, "no common codec", 488);
    agree_events(formats, agreed);
    agree_noise(formats, agreed);
    agreed.peer_pauses = local_.pauses && agreed.codec->key == "opus";
    read_parameters(remote_media, agreed);
    return agreed;
}

Result<Negotiated> OfferAnswer::agree(const SdpMedia &remote_media, const Sdp &remote, bool answer) {
    auto transport =
        answer ? transport_.read_answer(remote_media, remote) : transport_.read_offer(remote_media, remote);
    if (!transport) return fail(transport.error());
    auto formats = agree_formats(remote_media, answer);
    if (!formats) return formats;
    Negotiated agreed = std::move(*formats);
    agreed.transport = std::move(*transport);
    if (auto read = read_addresses(remote_media, remote, agreed); !read) return fail(read.error());
    if (agreed.transport.rtcp_mux) agreed.rtcp = agreed.rtp;
    agree_direction(remote_media, remote, agreed);
    return agreed;
}

// What is sent: at the codec's clock rate if the peer takes that, else at 8000. What arrives: at either.
void OfferAnswer::agree_events(const std::vector<SdpFormat> &formats, Negotiated &out) const {
    if (!local_.telephone_event) return;
    std::vector<unsigned> rates{out.codec->clock_rate};
    if (rates.front() != 8000) rates.push_back(8000);
    for (const unsigned rate : rates) {
        const auto found =
            std::ranges::find_if(formats, [&](const SdpFormat &format) { return format.is_event(rate); });
        if (found == formats.end()) continue;
        out.receive_events.emplace_back(found->payload_type, rate);
        if (out.send_event_payload_type) continue;
        out.send_event_payload_type = found->payload_type;
        out.event_clock_rate = rate;
    }
}

void OfferAnswer::agree_noise(const std::vector<SdpFormat> &formats, Negotiated &out) {
    const auto fits = [](const auto &entry) { return noise_with(*entry.second); };
    const auto found = std::ranges::find(formats, noise_key, &SdpFormat::key);
    if (found == formats.end() || std::ranges::none_of(out.receivable, fits)) return;
    out.receive_noise_payload_type = found->payload_type;
    if (noise_with(*out.codec)) out.send_noise_payload_type = found->payload_type;
}

void OfferAnswer::agree_direction(const SdpMedia &media, const Sdp &sdp, Negotiated &out) const {
    const Direction theirs = direction_of(media, sdp);
    const bool void_address = out.rtp.is_any() && !out.transport.ice; // RFC 2543 hold
    out.remote_hold = theirs == Direction::sendonly || theirs == Direction::inactive || void_address;
    out.local_direction = both(hold_ ? Direction::sendonly : Direction::sendrecv, reversed(theirs));
    if (void_address) out.local_direction = both(out.local_direction, Direction::recvonly);
}

// The one audio section that is spoken on. Some offer the same stream twice, in the clear and encrypted.
Result<Negotiated> OfferAnswer::choose_audio(const Sdp &sdp) {
    Failure why = fail(Errc::media, "no RTP audio is offered", 488);
    std::optional<Negotiated> best;
    for (std::size_t i = 0; i < sdp.media.size(); ++i) {
        if (sdp.media[i].type != "audio" || sdp.media[i].port == 0) continue;
        auto agreed = agree(sdp.media[i], sdp, false);
        if (!agreed) {
            why = fail(agreed.error());
            continue;
        }
        if (best && (best->transport.encrypted() || !agreed->transport.encrypted())) continue;
        best = std::move(*agreed);
        pending_index_ = i;
    }
    if (!best) return why;
    return std::move(*best);
}

// RFC 3264 §6.1: the answer's numbers are for what we send; the peer sends with those of our offer. Codecs by
// the answer's numbers are taken too, where those mean nothing else.
void OfferAnswer::receive_by_own_numbers(Negotiated &agreed) {
    const auto theirs = std::exchange(agreed.receivable, {});
    auto &numbers = current_.numbers;
    for (const CodecInfo *codec : local_.codecs)
        agreed.receivable.emplace_back(numbers.of(*codec), codec);
    agreed.receive_payload_type = numbers.of(*agreed.codec);
    if (!agreed.receive_events.empty()) { // whichever we offered may come, though one be answered
        agreed.receive_events.clear();
        for (const unsigned rate : {8000U, 48000U})
            if (const auto known = numbers.known_events(rate))
                agreed.receive_events.emplace_back(*known, rate);
    }
    if (const auto noise = numbers.known(noise_key)) agreed.receive_noise_payload_type = noise;
    for (const auto &entry : theirs)
        if (!numbers.taken(entry.first)) agreed.receivable.push_back(entry);
}

} // namespace offhook::media
