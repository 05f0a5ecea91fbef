#include "media/offer_answer.hpp"

#include <algorithm>
#include <charconv>

#include "base/random.hpp"

namespace offhook::media {

namespace {

// All different modulo 4, so that the spare types for them never meet.
constexpr std::uint8_t opus_type = 96, l16_type = 98, event_8k_type = 101, event_48k_type = 103;
constexpr std::uint8_t first_spare_type = 104, last_type = 127;

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

bool plain_rtp(const SdpMedia &media) {
    return media.type == "audio" && (media.protocol == "RTP/AVP" || media.protocol == "RTP/AVPF");
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

SdpMedia refused(const SdpMedia &media) {
    SdpMedia answer;
    answer.type = media.type;
    answer.protocol = media.protocol;
    answer.formats = media.formats;
    answer.port = 0;
    return answer;
}

} // namespace

std::vector<OfferAnswer::Format> OfferAnswer::formats_of(const SdpMedia &media) {
    std::vector<Format> formats;
    for (const std::string &text : media.formats) {
        const auto type = number(text);
        if (!type || *type > 127) continue;
        Format format{
            static_cast<std::uint8_t>(*type), {}, 0, std::string(for_payload_type(media, "fmtp", text))};
        const std::string_view map = for_payload_type(media, "rtpmap", text);
        if (!map.empty()) {
            const std::size_t slash = map.find('/');
            format.encoding = map.substr(0, slash);
            if (slash != std::string_view::npos) {
                const std::string_view numbers = map.substr(slash + 1);
                format.clock_rate = number(numbers).value_or(0);
                if (const std::size_t next = numbers.find('/'); next != std::string_view::npos)
                    format.channels = number(numbers.substr(next + 1)).value_or(0);
            }
        } else { // RFC 3551 static types need no rtpmap
            for (const CodecInfo &row : codec_table())
                if (row.static_payload_type == static_cast<int>(*type)) {
                    format.encoding = row.encoding;
                    format.clock_rate = row.clock_rate;
                }
        }
        if (!format.encoding.empty()) formats.push_back(std::move(format));
    }
    return formats;
}

// RFC 3264 §8.3.2: what a payload type once named it names for the rest of the session.
bool OfferAnswer::taken(std::uint8_t type) const noexcept {
    if (!negotiated_) return false;
    const auto is_type = [type](const auto &entry) { return entry.first == type; };
    return negotiated_->receive_event_payload_type == type ||
           std::any_of(negotiated_->receivable.begin(), negotiated_->receivable.end(), is_type);
}

std::uint8_t OfferAnswer::free_type(std::uint8_t wanted) const noexcept {
    if (!taken(wanted)) return wanted;
    std::uint8_t type = first_spare_type; // beyond the four numbers of our own
    while (type < last_type && (taken(type) || type % 4 != wanted % 4))
        ++type;
    return type;
}

std::uint8_t OfferAnswer::own_payload_type(const CodecInfo &codec) const noexcept {
    if (negotiated_)
        for (const auto &[type, known] : negotiated_->receivable)
            if (known == &codec) return type;
    if (codec.static_payload_type >= 0) return static_cast<std::uint8_t>(codec.static_payload_type);
    return free_type(codec.key == "opus" ? opus_type : l16_type);
}

std::uint8_t OfferAnswer::own_event_type(unsigned clock_rate) const noexcept {
    if (negotiated_ && negotiated_->receive_event_payload_type && negotiated_->event_clock_rate == clock_rate)
        return *negotiated_->receive_event_payload_type;
    return free_type(clock_rate == 48000 ? event_48k_type : event_8k_type);
}

SdpMedia OfferAnswer::own_audio() const {
    SdpMedia media;
    media.port = local_.rtp.port();
    media.protocol = "RTP/AVP";
    return media;
}

void OfferAnswer::add_formats(SdpMedia &media,
                              const std::vector<std::pair<std::uint8_t, const CodecInfo *>> &codecs,
                              const std::vector<std::pair<std::uint8_t, unsigned>> &events) const {
    for (const auto &[type, codec] : codecs) {
        const std::string text = std::to_string(type);
        media.formats.push_back(text);
        std::string map = text + " " + std::string(codec->encoding) + "/" + std::to_string(codec->clock_rate);
        if (codec->channels > 1) map += "/" + std::to_string(codec->channels);
        media.attributes.push_back({"rtpmap", map});
        if (codec->key == "opus") media.attributes.push_back({"fmtp", text + " useinbandfec=1;stereo=0"});
    }
    for (const auto &[type, rate] : events) {
        const std::string text = std::to_string(type);
        media.formats.push_back(text);
        media.attributes.push_back({"rtpmap", text + " telephone-event/" + std::to_string(rate)});
        media.attributes.push_back({"fmtp", text + " 0-15"});
    }
    media.attributes.push_back({"ptime", std::to_string(local_.ptime_ms)});
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

Result<std::string> OfferAnswer::make_offer() {
    if (state_ == State::local_offer || state_ == State::remote_offer)
        return fail(Errc::internal, "an offer is already under way", 491);
    before_ = current_;
    SdpMedia audio = own_audio();
    std::vector<std::pair<std::uint8_t, const CodecInfo *>> codecs;
    bool opus = false, other = false;
    for (const CodecInfo *codec : local_.codecs) {
        codecs.emplace_back(own_payload_type(*codec), codec);
        (codec->key == "opus" ? opus : other) = true;
    }
    std::vector<std::pair<std::uint8_t, unsigned>> events;
    if (local_.telephone_event && opus) events.emplace_back(own_event_type(48000), 48000);
    if (local_.telephone_event && other) events.emplace_back(own_event_type(8000), 8000);
    add_formats(audio, codecs, events);
    const bool remote_held = negotiated_ && negotiated_->remote_hold;
    const Direction direction = !hold_        ? Direction::sendrecv
                                : remote_held ? Direction::inactive
                                              : Direction::sendonly;
    audio.attributes.push_back({std::string(name(direction)), ""});
    std::string body = describe(std::move(audio));
    state_ = State::local_offer;
    return body;
}

void OfferAnswer::read_addresses(const SdpMedia &media, const Sdp &sdp, Negotiated &out) {
    const std::string &host =
        media.connection.address.empty() ? sdp.connection.address : media.connection.address;
    if (auto address = Address::parse(host, media.port)) out.rtp = *address;
    out.rtcp = out.rtp.with_port(static_cast<std::uint16_t>(media.port + 1));
    if (const std::string *rtcp = media.attribute("rtcp"))
        if (const auto port = number(*rtcp); port && *port > 0 && *port < 65536)
            out.rtcp = out.rtp.with_port(static_cast<std::uint16_t>(*port));
}

Direction OfferAnswer::direction_of(const SdpMedia &media, const Sdp &sdp) noexcept {
    const SdpAttribute *found = find_direction(media.attributes);
    if (found == nullptr) found = find_direction(sdp.attributes);
    if (found == nullptr) return Direction::sendrecv;
    for (Direction d : {Direction::sendonly, Direction::recvonly, Direction::inactive})
        if (found->name == name(d)) return d;
    return Direction::sendrecv;
}

// What their audio line and our capabilities have in common, in our order of preference.
Result<Negotiated> OfferAnswer::agree(const SdpMedia &remote_media, const Sdp &remote) const {
    const std::vector<Format> formats = formats_of(remote_media);
    Negotiated agreed;
    for (const CodecInfo *codec : local_.codecs)
        for (const Format &format : formats) {
            if (!same(format.encoding, codec->encoding) || format.clock_rate != codec->clock_rate) continue;
            // Opus says "/2" whatever it sends (RFC 7587 §7), and phones forget it; of all others two would
            // be real.
            if (format.channels != 1 && format.channels != codec->channels) continue;
            if (agreed.codec == nullptr) {
                agreed.codec = codec;
                agreed.send_payload_type = agreed.receive_payload_type = format.payload_type;
                agreed.fmtp = format.fmtp;
            }
            agreed.receivable.emplace_back(format.payload_type, codec);
            break;
        }
    if (agreed.codec == nullptr) return fail(Errc::media, "no common codec", 488);
    for (unsigned rate : {agreed.codec->clock_rate, 8000U})
        for (const Format &format : formats)
            if (local_.telephone_event && same(format.encoding, "telephone-event") &&
                format.clock_rate == rate && !agreed.send_event_payload_type) {
                agreed.send_event_payload_type = agreed.receive_event_payload_type = format.payload_type;
                agreed.event_clock_rate = rate;
            }
    if (const std::string *ptime = remote_media.attribute("ptime"))
        if (const auto ms = number(*ptime); ms && *ms >= 10 && *ms <= 60 && *ms % 10 == 0)
            agreed.ptime_ms = *ms;
    read_addresses(remote_media, remote, agreed);
    const Direction theirs = direction_of(remote_media, remote);
    const bool void_address = agreed.rtp.is_any(); // RFC 2543 hold
    agreed.remote_hold = theirs == Direction::sendonly || theirs == Direction::inactive || void_address;
    const Direction ours = hold_ ? Direction::sendonly : Direction::sendrecv;
    agreed.local_direction = both(ours, reversed(theirs));
    if (void_address) agreed.local_direction = both(agreed.local_direction, Direction::recvonly);
    return agreed;
}

Result<> OfferAnswer::apply_answer(std::string_view body) {
    if (state_ != State::local_offer) return fail(Errc::internal, "no offer is under way");
    auto sdp = Sdp::parse(body);
    if (!sdp) return fail(sdp.error());
    const std::size_t index = current_.audio_index;
    if (sdp->media.size() <= index || sdp->media[index].type != "audio")
        return fail(Errc::media, "the answer has no audio line", 488);
    if (sdp->media[index].port == 0) return fail(Errc::media, "the peer refused the audio", 488);
    auto agreed = agree(sdp->media[index], *sdp);
    if (!agreed) return fail(agreed.error());
    // RFC 3264 §6.1: the answerer may number as it likes for what we send; we receive by our own numbers,
    // which every known phone mirrors. Both are accepted.
    for (const CodecInfo *codec : local_.codecs) {
        const std::uint8_t type = own_payload_type(*codec);
        const bool taken = std::any_of(agreed->receivable.begin(), agreed->receivable.end(),
                                       [&](const auto &entry) { return entry.first == type; });
        if (!taken && agreed->send_event_payload_type != type) agreed->receivable.emplace_back(type, codec);
    }
    current_.layout = std::move(sdp->media);
    current_.hold = hold_;
    negotiated_ = current_.negotiated = std::move(*agreed);
    state_ = State::stable;
    return {};
}

Result<> OfferAnswer::apply_offer(std::string_view body) {
    if (state_ == State::local_offer || state_ == State::remote_offer)
        return fail(Errc::internal, "an offer is already under way", 491);
    auto sdp = Sdp::parse(body);
    if (!sdp) return fail(Errc::parse, sdp.error().what, 400);
    Failure why = fail(Errc::media, "no plain RTP audio is offered", 488);
    for (std::size_t i = 0; i < sdp->media.size(); ++i) {
        const SdpMedia &media = sdp->media[i];
        if (!plain_rtp(media) || media.port == 0) continue;
        auto agreed = agree(media, *sdp);
        if (!agreed) {
            why = fail(agreed.error());
            continue;
        }
        before_ = current_;
        pending_ = std::move(*agreed);
        pending_index_ = i;
        pending_layout_ = std::move(sdp->media);
        state_ = State::remote_offer;
        return {};
    }
    return why;
}

Result<std::string> OfferAnswer::make_answer() {
    if (state_ != State::remote_offer) return fail(Errc::internal, "no offer to answer");
    SdpMedia audio = own_audio();
    audio.protocol = pending_layout_[pending_index_].protocol;
    std::vector<std::pair<std::uint8_t, unsigned>> events;
    if (pending_->receive_event_payload_type)
        events.emplace_back(*pending_->receive_event_payload_type, pending_->event_clock_rate);
    add_formats(audio, pending_->receivable, events);
    audio.attributes.push_back({std::string(name(pending_->local_direction)), ""});
    std::string body = describe(std::move(audio));
    current_.layout = std::move(pending_layout_);
    current_.audio_index = pending_index_;
    current_.hold = hold_;
    negotiated_ = current_.negotiated = std::exchange(pending_, std::nullopt);
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
