// The descriptions of one fork whose media is on rtpengine: what the ends are told is written by the same
// tables as for media in the bridge, around rtpengine's ports, ICE, DTLS and SDES values. Pure.
//
// rtpengine 10.5 decides where the tables give way:
// - it passes packets as they are, so each end is told the other's payload numbers (T1, T3: telephone-event
//   keeps its number, and numbers of several lines may be the same);
// - it knows no BUNDLE: each line has a transport of its own, no a=group is written, and `bundle-only` lines
//   of a browser are refused;
// - it keeps the SSRCs of whoever sends: none is announced.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/bencode.hpp"
#include "bridge/interwork.hpp"

namespace offhook::bridge {

// rtpengine's side towards one end: of the caller the same for all forks.
struct NgSide {
    // `signalling`: where the end's comes from. `srtp`, `avpf`: offered to a phone.
    NgSide(bool web, const Address &signalling, PlainSrtp srtp, bool avpf = false);
    NgSide(const NgSide &) = delete;
    NgSide &operator=(const NgSide &) = delete;

    OwnEnd own;
    Address signalling;
    std::vector<OwnPlace> places; // as rtpengine told last
};

class NgDescriptions {
public:
    struct Options {
        std::vector<std::string> codecs; // as of Interwork
        PlainSrtp srtp = PlainSrtp::off; // offered to phones
        bool avpf = false;               // as of OwnEnd
    };
    // `caller` outlives it.
    NgDescriptions(NgSide &caller, bool callee_web, const Address &callee, const Options &options);
    NgDescriptions(const NgDescriptions &) = delete;
    NgDescriptions &operator=(const NgDescriptions &) = delete;

    // The dictionary that goes to rtpengine with a description for `to`, without command, tags and sdp.
    [[nodiscard]] Bencode::Dict offer_flags(End to) const;
    [[nodiscard]] Bencode::Dict answer_flags(End to) const;
    // What rtpengine is given for the description of `from`: as many lines as the other end knows of, and
    // only those that it can serve. Errors: Errc::parse with sip = 400.
    [[nodiscard]] Result<std::string> question(End from, std::string_view sdp, bool answering) const;
    // What the other end is told, once rtpengine has written `engine`. Errors: as of Interwork, and
    // Errc::media with sip = 503 where `engine` cannot be used.
    Result<std::string> offer(End from, std::string_view sdp, std::string_view engine);
    Result<std::string> answer(End from, std::string_view sdp, std::string_view engine);
    void roll_back() { work_.roll_back(); }
    // As of Interwork.
    void keep(std::vector<KeptLine> lines) { work_.keep(std::move(lines), false); }
    [[nodiscard]] std::vector<KeptLine> told(End to) const { return work_.told(to); }

private:
    [[nodiscard]] NgSide &side(End end) noexcept { return end == End::caller ? caller_ : callee_; }
    [[nodiscard]] const NgSide &side(End end) const noexcept {
        return end == End::caller ? caller_ : callee_;
    }
    Result<> take(End to, std::string_view engine);

    NgSide &caller_;
    NgSide callee_;
    Interwork work_;
};

} // namespace offhook::bridge
