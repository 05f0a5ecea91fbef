// The media of a call as the signalling sees it: descriptions go in, descriptions for the other end come out.
// In process (anchor.hpp) or on an external rtpengine (ng.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/address.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"

namespace offhook::bridge {

enum class End : std::uint8_t { caller, callee };
constexpr End other(End end) noexcept {
    return end == End::caller ? End::callee : End::caller;
}

constexpr std::size_t index(End end) noexcept {
    return static_cast<std::size_t>(end);
}

struct MediaFacts { // one end of one call, for status and events
    std::uint64_t packets_in = 0, packets_out = 0, lost = 0, rejected = 0;
};

class MediaSession {
public:
    using Done = std::function<void(Result<std::string> sdp)>;

    virtual ~MediaSession() = default;
    // A fork of the callee side: a browser, or a phone that our address towards `remote` can reach.
    virtual void add_branch(unsigned branch, bool web, const Address &remote) = 0;
    // An offer that `from` made, rewritten for the other end (of `branch`). `done` may be called at once.
    // Errors: Errc::media with sip = 488 (no codec in common), Errc::parse with sip = 400.
    virtual void offer(End from, unsigned branch, const std::string &sdp, Done done) = 0;
    // The answer of `from` to the offer it got.
    virtual void answer(End from, unsigned branch, const std::string &sdp, Done done) = 0;
    // The caller has the answer of `branch` that was made last, and keeps it: the answers of other forks
    // follow it as far as they can. `only`: it is the only one that the caller will ever take.
    virtual void keep_answer(unsigned branch, bool only) = 0;
    // Does the answer that the caller keeps serve for what `branch` has answered since?
    [[nodiscard]] virtual bool answer_holds(unsigned branch) const = 0;
    // The answer to an offer of `from` that does nothing but start ICE anew, which concerns nobody else.
    // Nothing: it does more, and goes the usual way.
    virtual std::optional<std::string> restart(End from, unsigned branch, const std::string &sdp) = 0;
    virtual void roll_back(unsigned branch) = 0; // the open offer was refused
    virtual void settle(unsigned branch) = 0;    // answered: the other branches are released
    virtual void release(unsigned branch) = 0;   // this branch failed
    // A digit as telephone-event towards `to`. False: that end knows no telephone-event.
    virtual bool send_digit(End to, char digit, Duration length) = 0;
    virtual bool request_key_frame(End to) = 0;   // by RTCP. False: this is not for us
    virtual void impatient(End end, bool on) = 0; // its signalling is gone (or back): silence means the end
    [[nodiscard]] virtual MediaFacts facts(End end) const = 0;
};

class MediaPlane {
public:
    struct Listener {
        virtual void on_media_up(Duration after_start) = 0; // both ways may flow now
        // Nothing more comes from that end; `why` is for people.
        virtual void on_media_lost(End end, const std::string &why) = 0;
        virtual void on_key_frame_wanted(End from) = 0; // by INFO, where RTCP feedback is not spoken

    protected:
        ~Listener() = default;
    };

    struct Traffic {                 // since the start
        std::uint64_t strangers = 0; // datagrams to the browsers' common port that were nobody's
        std::uint64_t tcp_taken = 0, tcp_refused = 0; // connections for media
        Address stranger{}, tcp_stranger{};           // the last of either
    };

    virtual ~MediaPlane() = default;
    // Errors: Errc::network (no port free).
    virtual Result<std::unique_ptr<MediaSession>> open(const std::string &call_id, bool caller_web,
                                                       const Address &caller, Listener &listener) = 0;
    [[nodiscard]] virtual Traffic traffic() const { return {}; }
};

} // namespace offhook::bridge
