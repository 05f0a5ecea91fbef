#include "media/offer_answer.hpp"

#include <algorithm>

#include "base/random.hpp"

namespace offhook::media {

namespace {

SdpMedia refused(const SdpMedia &media) {
    SdpMedia answer;
    answer.type = media.type;
    answer.protocol = media.protocol;
    answer.formats = media.formats;
    if (answer.formats.empty()) answer.formats.emplace_back("0"); // the grammar wants one
    answer.port = 0;
    return answer;
}

} // namespace

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
        codecs.emplace_back(current_.numbers.of(*codec), codec);
        opus = opus || codec->key == "opus";
        if (codec->clock_rate == noise_clock_rate) noise = current_.numbers.of(noise_key, noise_payload_type);
    }
    // RFC 4733 §2.1 wants the clock rate of the audio; many peers know 8000 only, whatever the codec.
    std::vector<std::pair<std::uint8_t, unsigned>> events;
    for (const unsigned rate : {48000U, 8000U})
        if (local_.telephone_event && (rate == 8000 || opus))
            events.emplace_back(current_.numbers.of_events(rate), rate);
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
    auto best = choose_audio(*sdp);
    if (!best) return fail(best.error());
    before_ = current_;
    pending_ = std::move(*best);
    current_.numbers.learn(sdp->media[pending_index_]);
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
