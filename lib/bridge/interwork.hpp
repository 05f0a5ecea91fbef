// Session descriptions between a browser and a phone, pure: the tables T1 to T4 of the bridge. Each end sees
// a session of its own with us: its ports, its ICE and DTLS values, its payload numbers. No attribute crosses
// unless it is listed here; b= does (but for RTCP, RFC 3556, which ends here), and a=X-… of phones.
//
// What differs from what other gateways do, and why:
// - comfort noise (13) is not offered: its packets would not be passed on, and silence is not sent for it;
// - telephone-event/48000 goes to phones beside Opus, and browsers get the one event of their codec's clock:
//   Chromium ends digits of the other one early;
// - of H.264 phones are offered the packetization modes that the browser has, not one of our own;
// - a phone is offered again the profile that it answered with, AVPF or AVP.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "bridge/media_plane.hpp"
#include "bridge/settings.hpp"
#include "media/codec.hpp"
#include "media/sdes.hpp"
#include "media/sdp.hpp"
#include "media/sdp_bandwidth.hpp"

namespace offhook::bridge {

// Where an end reaches us with one media line.
struct OwnPlace {
    media::SdpConnection connection; // the public address where one is set
    std::uint16_t port = 0;          // 0: the line is refused
    // Browsers only; constant as long as the leg lives.
    std::string ufrag, password, fingerprint; // "sha-256 AB:CD…"
    std::vector<std::string> candidates;      // values of a=candidate
    // Phones only.
    bool rtcp_mux = true;            // possible
    std::vector<std::string> crypto; // values of a=crypto, where the keys are made elsewhere
};

// Our side towards one end. Shared by all branches of a call for the caller's end: browsers must see the same
// transport in every description (one ICE and DTLS session for all forks).
struct OwnEnd {
    bool web = false;
    media::SdpConnection connection; // of the whole description
    // Of media line `line`; the same for all when web, unless it does not bundle. Errors: Errc::network.
    std::function<Result<OwnPlace>(std::size_t line)> place;
    // Browsers only.
    bool lite = true;                 // ICE-lite
    bool bundles = true;              // all lines by one transport (RFC 8843)
    std::vector<std::uint32_t> ssrcs; // of each line; not announced where there is none
    // Phones only: SDES (RFC 4568). Whoever offers it gets it; this says what we offer.
    PlainSrtp srtp = PlainSrtp::off;
    bool avpf = false;                          // video is offered with feedback (RFC 4585)
    bool keys_elsewhere = false;                // who makes them speaks for us: OwnPlace::crypto
    std::map<std::size_t, media::SrtpKey> keys; // by line; the same for all forks and repeated offers
    std::string session_id;
    std::uint64_t version = 0;
    std::string last; // the last description, to count versions
};

struct Format {
    std::uint8_t number = 0;
    std::string name; // as written: "PCMU", "telephone-event"
    unsigned clock = 8000, channels = 1;
    std::string fmtp;
    // What makes two formats the same codec: "pcmu/8000", "h264/90000/1" (packetization mode).
    [[nodiscard]] std::string key() const;
    [[nodiscard]] bool is_event() const noexcept;
    [[nodiscard]] const media::CodecInfo *codec() const noexcept; // null: it can only be passed on
    friend bool operator==(const Format &, const Format &) = default;
};

// Of one media line, as one end described it last.
struct LineEnd {
    Address remote, remote_rtcp; // of phones; unset when it gave none
    media::Direction direction = media::Direction::sendrecv;
    bool rejected = true;
    bool rtcp_mux = false;
    bool feedback = false; // takes requests for key frames by RTCP (RFC 4585, RFC 5104)
    unsigned ptime = 0;    // of phones: milliseconds in a packet that it wants, up to 60; 0: any
    std::string profile, mid, ufrag, setup;
    std::optional<media::CryptoLine> crypto;  // the peer's line that was chosen
    std::vector<std::string> extras;          // of phones: a=X-… as written
    std::vector<Format> formats;              // it can receive these, by its own numbers
    std::map<std::string, std::uint8_t> used; // our numbers in descriptions for it: it sends these
};

// Audio as one end sends it → as the other wants it.
struct Recode {
    std::uint8_t from_number = 0, to_number = 0;
    const media::CodecInfo *from = nullptr, *to = nullptr;
    std::string fmtp; // of the other end
};

struct Line {
    std::string type = "audio";
    std::array<LineEnd, 2> ends;   // by End
    End answered_by = End::callee; // whose order of formats decides
    bool transcoded = false;       // the ends speak different codecs
    [[nodiscard]] LineEnd &at(End end) { return ends[static_cast<std::size_t>(end)]; }
    [[nodiscard]] const LineEnd &at(End end) const { return ends[static_cast<std::size_t>(end)]; }
    // Numbers as `from` sends them → as the other end wants them.
    [[nodiscard]] std::map<std::uint8_t, std::uint8_t> numbers(End from) const;
    // The clock of the codec that is spoken: the timestamps of all packets count in it, telephone-events too.
    [[nodiscard]] unsigned spoken_clock(End end) const;
    // The codec of an end that is transcoded for; null: none, or as it is.
    [[nodiscard]] const Format *target(End end) const;
    [[nodiscard]] std::vector<Recode> recodes(End from) const; // empty unless `transcoded`
    // Numbers by which `from` sends telephone-events → the clock that their durations count in.
    [[nodiscard]] std::map<std::uint8_t, unsigned> event_clocks(End from) const;
    // telephone-event as `to` wants it: number and clock.
    [[nodiscard]] std::optional<Format> event_for(End to) const;
};

// What an end was told about one line by an answer that it keeps.
struct KeptLine {
    bool rejected = true;
    media::Direction direction = media::Direction::sendrecv;
    std::vector<std::string> codecs; // keys of formats, in order; the first is spoken
    bool events = false;             // telephone-event among them
};
// Does what one answer said hold for another?
bool still_holds(const std::vector<KeptLine> &kept, const std::vector<KeptLine> &answer);

// "packetization-mode=1;profile-level-id=42e01f" → "1"; empty when it is not there.
std::string fmtp_parameter(std::string_view fmtp, std::string_view name);
std::string without_parameter(std::string_view fmtp, std::string_view name);

// What may answer `offered`: Chrome drops calls whose answer breaks RFC 3264 §6.1.
media::Direction legal_answer(media::Direction answer, media::Direction offered);

class Interwork {
public:
    struct Options {
        std::vector<std::string> codecs; // lower-case names that may pass, besides telephone-event
        bool transcode = false;          // audio codecs that are not in common are made to meet
        bool same_numbers = false;       // nobody changes the payload numbers of packets on their way
    };
    Interwork(OwnEnd &caller, OwnEnd &callee, Options options)
        : own_{&caller, &callee}, options_(std::move(options)) {}

    // The offer of `from`, for the other end. Errors: Errc::media with sip = 488, Errc::parse with 400.
    Result<std::string> offer(End from, std::string_view sdp);
    // The answer of `from`, for the other end.
    Result<std::string> answer(End from, std::string_view sdp);
    // Answers of `from` from now on: the other end has been told `lines` by another fork and goes on speaking
    // so where that is possible. `transcode`: also where codecs are to be changed for it.
    void keep(std::vector<KeptLine> lines, bool transcode);
    [[nodiscard]] std::vector<KeptLine> told(End to) const; // by the last answer
    // The answer to an offer of the browser `from` that starts ICE anew (RFC 8445 §9) and changes nothing
    // else.
    std::optional<std::string> restart(End from, std::string_view sdp);
    void roll_back(); // the open offer was refused: as if it had not been made

    [[nodiscard]] const std::vector<Line> &lines() const noexcept { return lines_; }
    [[nodiscard]] bool web(End end) const noexcept { return own_[static_cast<std::size_t>(end)]->web; }
    // Of the browser at `end`: from its last description. Empty: it gave none.
    [[nodiscard]] const std::string &fingerprint(End end) const {
        return fingerprints_[static_cast<std::size_t>(end)];
    }
    // SDES keys of a phone's line; nothing while it is in the clear.
    [[nodiscard]] std::optional<media::SrtpKeys> keys(End end, std::size_t line) const;
    [[nodiscard]] bool open_offer() const noexcept { return before_.has_value(); }

private:
    [[nodiscard]] OwnEnd &own(End end) { return *own_[static_cast<std::size_t>(end)]; }
    void read_session(End from, std::string_view text, const media::Sdp &sdp);
    [[nodiscard]] std::string protocol_for(const Line &line, End to, bool answering) const;
    void read_line(Line &line, End from, const media::Sdp &sdp, const media::SdpMedia &media);
    [[nodiscard]] bool allowed(const Format &format, bool web) const;
    void keep_numbers(Line &line, End to);
    void pass_numbers(Line &line, End from) const;
    Result<> read_keys(Line &line, std::size_t index, End from, const media::SdpMedia &media, bool answer);
    void add_keys(media::SdpMedia &media, const OwnPlace &place, const Line &line, std::size_t index, End to,
                  bool answering);
    const media::SrtpKey &own_key(End end, std::size_t line, media::SrtpSuite suite);
    [[nodiscard]] bool number_taken(End to, const Line &line, std::uint8_t number,
                                    const std::string &key) const;
    Result<media::SdpMedia> describe(const Line &line, std::size_t index, End to, bool answering);
    Result<std::string> write(End to, bool answering);
    void follow(Line &line, End from, const KeptLine &kept) const;
    [[nodiscard]] bool can_transcode(const Line &line) const;
    [[nodiscard]] std::vector<Format> with_more(const Line &line, std::vector<Format> formats) const;
    [[nodiscard]] std::vector<Format> audio_for(const Line &line, End to, bool answering) const;
    [[nodiscard]] std::vector<Format> formats_for(const Line &line, End to, bool answering) const;
    void add_web_lines(media::SdpMedia &media, const OwnPlace &place, const Line &line, std::size_t index,
                       End to, bool answering);
    void add_formats(media::SdpMedia &media, const Line &line, End to, bool answering) const;

    std::array<OwnEnd *, 2> own_;
    Options options_;
    std::vector<Line> lines_;
    std::optional<std::vector<Line>> before_; // while an offer is open
    std::size_t asked_ = 0;                   // how many lines it has: its answer has no more
    std::array<std::string, 2> fingerprints_;
    std::array<media::SdpBandwidths, 2> bandwidths_; // by the End that wrote them last
    std::array<std::vector<std::string>, 2> extras_; // of its session, as of its lines
    std::vector<KeptLine> kept_;
    bool kept_by_transcoding_ = false;
};

} // namespace offhook::bridge
