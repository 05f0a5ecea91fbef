#include "media/offer_answer.hpp"

#include <algorithm>
#include <charconv>

#include "base/random.hpp"

namespace offhook::media {

namespace {

constexpr std::uint8_t opus_type = 96, l16_type = 98, event_8k_type = 101, event_48k_type = 103;
constexpr int first_dynamic_type = 96;
const std::string event_encoding = "telephone-event";
const std::string noise_encoding = "CN";
const std::string noise_key = "cn/8000"; // Format::key()
constexpr unsigned noise_clock_rate = 8000;
constexpr std::uint8_t noise_type = 13;                   // RFC 3551, static
constexpr std::string_view voip_metrics = "voip-metrics"; // RFC 3611 §5.1

bool same(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::optional<unsigned> number(std::string_view text) {
    unsigned value = 0;
    const auto [end, err] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (err != std::errc{} || end == text.data()) return std::nullopt;
    return value;
}

// The value of "a=NAME:PT rest" for that payload type.
std::string_view for_payload_type(const SdpMedia &media, std::string_view name,
                                  std::string_view payload_type) {
    for (const SdpAttribute &attribute : media.attributes) {
        if (attribute.name != name) continue;
        const std::string_view value = attribute.value;
        const std::size_t space = value.find(' ');
        if (space != std::string_view::npos && value.substr(0, space) == payload_type)
            return value.substr(space + 1);
    }
    return {};
}

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

SdpMedia refused(const SdpMedia &media) {
    SdpMedia answer;
    answer.type = media.type;
    answer.protocol = media.protocol;
    answer.formats = media.formats;
    if (answer.formats.empty()) answer.formats.emplace_back("0"); // the grammar wants one
    answer.port = 0;
    return answer;
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char &c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
}

bool multicast(const Address &address) {
    const std::string ip = address.ip();
    if (address.family() == AF_INET6) return lower(ip).starts_with("ff");
    return number(ip).value_or(0) >= 224; // 224.0.0.0/4, and 255.255.255.255 with what lies between
}

} // namespace

std::string OfferAnswer::Format::key() const {
    std::string text = lower(encoding) + "/" + std::to_string(clock_rate);
    if (channels > 1 && text != "opus/48000") text += "/" + std::to_string(channels);
    return text;
}

// "opus/48000" without its "/2" is met and meant.
bool OfferAnswer::Format::is(const CodecInfo &codec) const {
    const bool right_channels = channels == codec.channels || (channels == 1 && codec.channels == 2);
    return same(encoding, codec.encoding) && clock_rate == codec.clock_rate && right_channels;
}

std::vector<OfferAnswer::Format> OfferAnswer::formats_of(const SdpMedia &media) {
    std::vector<Format> formats;
    for (const std::string &text : media.formats) {
        const auto type = number(text);
        if (!type || *type > 127) continue;
        Format format{
            static_cast<std::uint8_t>(*type), {}, 0, 1, std::string(for_payload_type(media, "fmtp", text))};
        const std::string_view map = for_payload_type(media, "rtpmap", text);
        if (!map.empty()) {
            const std::size_t slash = map.find('/');
            format.encoding = map.substr(0, slash);
            const std::string_view rate = slash == std::string_view::npos ? "" : map.substr(slash + 1);
            format.clock_rate = number(rate).value_or(0);
            if (const std::size_t second = rate.find('/'); second != std::string_view::npos)
                format.channels = number(rate.substr(second + 1)).value_or(1);
        } else { // RFC 3551 static types need no rtpmap
            for (const CodecInfo &row : codec_table())
                if (row.static_payload_type == static_cast<int>(*type)) {
                    format.encoding = row.encoding;
                    format.clock_rate = row.clock_rate;
                }
            if (*type == noise_type) {
                format.encoding = noise_encoding;
                format.clock_rate = noise_clock_rate;
            }
        }
        if (!format.encoding.empty()) formats.push_back(std::move(format));
    }
    return formats;
}

// The number that the session knows the format by, else the preferred or the next one that is free.
std::uint8_t OfferAnswer::number_for(const std::string &key, int preferred) {
    auto &numbers = current_.numbers;
    const auto known = std::ranges::find(numbers, key, &std::pair<std::string, std::uint8_t>::first);
    if (known != numbers.end()) return known->second;
    int type = preferred;
    const auto taken = [&](const auto &entry) { return entry.second == type; };
    for (int next = first_dynamic_type; std::ranges::any_of(numbers, taken) && next <= 127; ++next)
        type = next;
    return numbers.emplace_back(key, static_cast<std::uint8_t>(type)).second;
}

std::uint8_t OfferAnswer::number_for(const CodecInfo &codec) {
    const int dynamic = codec.key == "opus" ? opus_type : l16_type;
    return number_for(lower(codec.encoding) + "/" + std::to_string(codec.clock_rate),
                      codec.static_payload_type >= 0 ? codec.static_payload_type : dynamic);
}

void OfferAnswer::learn_numbers(const SdpMedia &media) {
    auto &numbers = current_.numbers;
    for (const Format &format : formats_of(media)) {
        const std::string key = format.key();
        std::erase_if(numbers, [&](const auto &known) {
            return known.first == key || known.second == format.payload_type;
        });
        numbers.emplace_back(key, format.payload_type);
    }
}

SdpMedia OfferAnswer::own_audio() const {
    SdpMedia media;
    media.port = local_.rtp.port();
    return media;
}

void OfferAnswer::add_formats(SdpMedia &media,
                              const std::vector<std::pair<std::uint8_t, const CodecInfo *>> &codecs,
                              std::optional<std::uint8_t> noise,
                              const std::vector<std::pair<std::uint8_t, unsigned>> &events) const {
    for (const auto &[type, codec] : codecs) {
        const std::string text = std::to_string(type);
        media.formats.push_back(text);
        std::string map = text + " " + std::string(codec->encoding) + "/" + std::to_string(codec->clock_rate);
        if (codec->channels > 1) map += "/" + std::to_string(codec->channels);
        media.attributes.push_back({"rtpmap", map});
        if (codec->key == "opus")
            media.attributes.push_back(
                {"fmtp", text + " useinbandfec=1;stereo=0" + (local_.pauses ? ";usedtx=1" : "")});
    }
    if (noise) {
        const std::string text = std::to_string(*noise);
        media.formats.push_back(text);
        media.attributes.push_back({"rtpmap", text + " CN/8000"});
    }
    for (const auto &[type, rate] : events) {
        const std::string text = std::to_string(type);
        media.formats.push_back(text);
        media.attributes.push_back({"rtpmap", text + " telephone-event/" + std::to_string(rate)});
        media.attributes.push_back({"fmtp", text + " 0-15"});
    }
    media.attributes.push_back({"ptime", std::to_string(local_.ptime_ms)});
    media.attributes.push_back({"rtcp-xr", std::string(voip_metrics)});
}

// The whole body around the audio line; o= grows only when something changed (RFC 3264 §8).
std::string OfferAnswer::describe(SdpMedia audio) {
    Sdp sdp;
    if (session_id_ == 0) session_id_ = version_ = 1 + random_below(0x7FFFFFFF);
    sdp.session_id = std::to_string(session_id_);
    sdp.connection.address = local_.public_ip.empty() ? local_.rtp.ip() : local_.public_ip;
    sdp.connection.ipv6 = sdp.connection.address.find(':') != std::string::npos;
    sdp.origin = sdp.connection;
    const auto &layout = state_ == State::remote_offer ? pending_layout_ : current_.layout;
    const std::size_t index = state_ == State::remote_offer ? pending_index_ : current_.audio_index;
    for (std::size_t i = 0; i < std::max<std::size_t>(layout.size(), 1); ++i)
        sdp.media.push_back(i == index ? std::move(audio) : refused(layout[i]));
    sdp.version = version_;
    std::string body = sdp.encode();
    if (!last_body_.empty() && body != last_body_) {
        sdp.version = ++version_;
        body = sdp.encode();
    }
    last_body_ = body;
    return body;
}

void OfferAnswer::set_transport(const Address &rtp, std::optional<IceDescription> ice,
                                const std::optional<Address> &rtcp) {
    local_.rtp = rtp;
    transport_.set_ice(std::move(ice), rtcp);
}

Result<std::string> OfferAnswer::make_offer() {
    if (state_ == State::local_offer || state_ == State::remote_offer)
        return fail(Errc::internal, "an offer is already under way", 491);
    before_ = current_;
    SdpMedia audio = own_audio();
    transport_.write_offer(audio);
    std::vector<std::pair<std::uint8_t, const CodecInfo *>> codecs;
    bool opus = false;
    std::optional<std::uint8_t> noise;
    for (const CodecInfo *codec : local_.codecs) {
        codecs.emplace_back(number_for(*codec), codec);
        opus = opus || codec->key == "opus";
        if (noise_with(*codec)) noise = number_for(noise_key, noise_type);
    }
    // RFC 4733 §2.1 wants the clock rate of the audio; many peers know 8000 only, whatever the codec.
    std::vector<std::pair<std::uint8_t, unsigned>> events;
    if (local_.telephone_event && opus)
        events.emplace_back(number_for(event_encoding + "/48000", event_48k_type), 48000);
    if (local_.telephone_event)
        events.emplace_back(number_for(event_encoding + "/8000", event_8k_type), 8000);
    add_formats(audio, codecs, noise, events);
    const bool remote_held = negotiated_ && negotiated_->remote_hold;
    const Direction direction = !hold_        ? Direction::sendrecv
                                : remote_held ? Direction::inactive
                                              : Direction::sendonly;
    audio.attributes.push_back({std::string(name(direction)), ""});
    std::string body = describe(std::move(audio));
    state_ = State::local_offer;
    return body;
}

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
        if (const auto port = number(*rtcp); port && *port > 0 && *port < 65536)
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
    const std::vector<Format> formats = formats_of(remote_media);
    Negotiated agreed;
    const auto consider = [&](const Format &format, const CodecInfo *codec) {
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
    const std::string *xr = remote_media.attribute("rtcp-xr");
    agreed.voip_metrics = xr != nullptr && xr->find(voip_metrics) != std::string::npos;
    if (const std::string *ptime = remote_media.attribute("ptime"))
        if (const auto ms = number(*ptime); ms && *ms >= 10 && *ms <= 60 && *ms % 10 == 0)
            agreed.ptime_ms = *ms;
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
void OfferAnswer::agree_events(const std::vector<Format> &formats, Negotiated &out) const {
    if (!local_.telephone_event) return;
    std::vector<unsigned> rates{out.codec->clock_rate};
    if (rates.front() != 8000) rates.push_back(8000);
    for (const unsigned rate : rates) {
        const auto found = std::ranges::find_if(formats, [&](const Format &format) {
            return same(format.encoding, event_encoding) && format.clock_rate == rate;
        });
        if (found == formats.end()) continue;
        out.receive_events.emplace_back(found->payload_type, rate);
        if (out.send_event_payload_type) continue;
        out.send_event_payload_type = found->payload_type;
        out.event_clock_rate = rate;
    }
}

void OfferAnswer::agree_noise(const std::vector<Format> &formats, Negotiated &out) {
    const auto fits = [](const auto &entry) { return noise_with(*entry.second); };
    const auto found = std::ranges::find(formats, noise_key, &Format::key);
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

// RFC 3264 §6.1: the answer's numbers are for what we send; the peer sends with those of our offer. Codecs by
// the answer's numbers are taken too, where those mean nothing else.
void OfferAnswer::receive_by_own_numbers(Negotiated &agreed) {
    const auto theirs = std::exchange(agreed.receivable, {});
    for (const CodecInfo *codec : local_.codecs)
        agreed.receivable.emplace_back(number_for(*codec), codec);
    agreed.receive_payload_type = number_for(*agreed.codec);
    if (!agreed.receive_events.empty()) { // whichever we offered may come, though one be answered
        agreed.receive_events.clear();
        for (const unsigned rate : {8000U, 48000U}) {
            const auto known =
                std::ranges::find(current_.numbers, event_encoding + "/" + std::to_string(rate),
                                  &std::pair<std::string, std::uint8_t>::first);
            if (known != current_.numbers.end()) agreed.receive_events.emplace_back(known->second, rate);
        }
    }
    const auto noise =
        std::ranges::find(current_.numbers, noise_key, &std::pair<std::string, std::uint8_t>::first);
    if (noise != current_.numbers.end()) agreed.receive_noise_payload_type = noise->second;
    for (const auto &entry : theirs)
        if (std::ranges::none_of(current_.numbers,
                                 [&](const auto &known) { return known.second == entry.first; }))
            agreed.receivable.push_back(entry);
}

Result<> OfferAnswer::apply_answer(std::string_view body) {
    if (state_ != State::local_offer) return fail(Errc::internal, "no offer is under way");
    auto sdp = Sdp::parse(body);
    if (!sdp) return fail(sdp.error());
    const std::size_t index = current_.audio_index;
    if (sdp->media.size() <= index || sdp->media[index].type != "audio")
        return fail(Errc::media, "the answer has no audio line", 488);
    if (sdp->media[index].port == 0) return fail(Errc::media, "the peer refused the audio", 488);
    auto agreed = agree(sdp->media[index], *sdp, true);
    if (!agreed) return fail(agreed.error());
    receive_by_own_numbers(*agreed);
    current_.layout = std::move(sdp->media);
    current_.hold = hold_;
    negotiated_ = current_.negotiated = std::move(*agreed);
    transport_.agreed(negotiated_->transport);
    state_ = State::stable;
    return {};
}

Result<> OfferAnswer::apply_offer(std::string_view body) {
    if (state_ == State::local_offer || state_ == State::remote_offer)
        return fail(Errc::internal, "an offer is already under way", 491);
    auto sdp = Sdp::parse(body);
    if (!sdp) return fail(Errc::parse, sdp.error().what, 400);
    Failure why = fail(Errc::media, "no RTP audio is offered", 488);
    std::optional<Negotiated> best;
    for (std::size_t i = 0; i < sdp->media.size(); ++i) {
        if (sdp->media[i].type != "audio" || sdp->media[i].port == 0) continue;
        auto agreed = agree(sdp->media[i], *sdp, false);
        if (!agreed) {
            if (!best) why = fail(agreed.error());
            continue;
        }
        // Some offer the same stream twice, in the clear and encrypted.
        if (best && (best->transport.encrypted() || !agreed->transport.encrypted())) continue;
        best = std::move(*agreed);
        pending_index_ = i;
    }
    if (!best) return why;
    before_ = current_;
    pending_ = std::move(best);
    learn_numbers(sdp->media[pending_index_]);
    pending_layout_ = std::move(sdp->media);
    state_ = State::remote_offer;
    return {};
}

Result<std::string> OfferAnswer::make_answer() {
    if (state_ != State::remote_offer) return fail(Errc::internal, "no offer to answer");
    SdpMedia audio = own_audio();
    audio.protocol = pending_layout_[pending_index_].protocol;
    transport_.write_answer(audio, pending_->transport);
    add_formats(audio, pending_->receivable, pending_->receive_noise_payload_type, pending_->receive_events);
    audio.attributes.push_back({std::string(name(pending_->local_direction)), ""});
    std::string body = describe(std::move(audio));
    current_.layout = std::move(pending_layout_);
    current_.audio_index = pending_index_;
    current_.hold = hold_;
    negotiated_ = current_.negotiated = std::exchange(pending_, std::nullopt);
    transport_.agreed(negotiated_->transport);
    state_ = State::stable;
    return body;
}

void OfferAnswer::roll_back() {
    if (state_ == State::local_offer || state_ == State::remote_offer) current_ = before_;
    negotiated_ = current_.negotiated;
    hold_ = current_.hold;
    pending_.reset();
    state_ = negotiated_ ? State::stable : State::idle;
}

} // namespace offhook::media
