#include "bridge/interwork.hpp"

#include <algorithm>

#include "sip/headers.hpp"

namespace offhook::bridge {

namespace {

using media::Direction;
using media::Sdp;
using media::SdpMedia;

constexpr std::size_t most_lines = 8;

Failure no_codec() {
    return fail(Errc::media, "no codec in common", 488);
}

} // namespace

Direction legal_answer(Direction answer, Direction offered) {
    const bool may_send = offered == Direction::sendrecv || offered == Direction::recvonly;
    const bool may_receive = offered == Direction::sendrecv || offered == Direction::sendonly;
    const bool sends = may_send && (answer == Direction::sendrecv || answer == Direction::sendonly);
    const bool receives = may_receive && (answer == Direction::sendrecv || answer == Direction::recvonly);
    if (sends && receives) return Direction::sendrecv;
    if (sends) return Direction::sendonly;
    return receives ? Direction::recvonly : Direction::inactive;
}

Result<std::string> Interwork::offer(End from, std::string_view text) {
    auto sdp = Sdp::parse(text);
    if (!sdp) return fail(Errc::parse, sdp.error().what, 400);
    if (sdp->media.empty() || sdp->media.size() > most_lines)
        return fail(Errc::media, "the offer has " + std::to_string(sdp->media.size()) + " media lines", 488);
    if (!before_) before_ = lines_;
    read_session(from, text, *sdp);
    asked_ = sdp->media.size();
    // A phone may leave lines out that it has no more use for; a browser would refuse a description with
    // fewer.
    for (std::size_t i = asked_; i < lines_.size(); ++i) {
        SdpMedia gone;
        gone.type = lines_[i].type;
        gone.protocol = lines_[i].at(from).profile;
        sdp->media.push_back(std::move(gone));
    }
    lines_.resize(sdp->media.size());
    bool any = false;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        read_line(lines_[i], from, *sdp, sdp->media[i]);
        if (auto keys = read_keys(lines_[i], i, from, sdp->media[i], false); !keys) {
            roll_back();
            return fail(keys.error());
        }
        any |= !lines_[i].at(from).rejected;
    }
    if (!any && before_->empty()) {
        roll_back();
        return no_codec();
    }
    for (auto &line : lines_)
        options_.same_numbers ? pass_numbers(line, from) : keep_numbers(line, other(from));
    return write(other(from), false);
}

Result<std::string> Interwork::answer(End from, std::string_view text) {
    auto sdp = Sdp::parse(text);
    if (!sdp) return fail(Errc::parse, sdp.error().what, 400);
    read_session(from, text, *sdp);
    bool any = false, offered = false;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        Line &line = lines_[i];
        const LineEnd &asked = line.at(other(from));
        offered |= !asked.rejected;
        if (i >= sdp->media.size()) {
            line.at(from).rejected = true;
            continue;
        }
        const auto used = line.at(from).used; // an answer does not renumber what we offered
        const std::string type = line.type;
        read_line(line, from, *sdp, sdp->media[i]);
        line.type = type;
        if (!line.at(from).rejected && line.at(from).setup == "passive") { // nobody would begin
            roll_back();
            return fail(Errc::media, "the answer has a=setup:passive, and so has the bridge", 488);
        }
        line.answered_by = from;
        for (const auto &[key, number] : used)
            line.at(from).used[key] = number;
        auto &formats = line.at(from).formats;
        const bool events = std::ranges::any_of(asked.formats, &Format::is_event);
        const auto common = [&](const Format &f) {
            return std::ranges::find(asked.formats, f.key(), &Format::key) != asked.formats.end();
        };
        // What an end names first it will speak.
        const auto first = std::ranges::find_if(formats, [](const Format &f) { return !f.is_event(); });
        line.transcoded =
            can_transcode(line) && first != formats.end() && !common(*first) && first->codec() != nullptr &&
            std::ranges::any_of(asked.formats, [](const Format &f) { return f.codec() != nullptr; });
        std::erase_if(formats, [&](const Format &f) {
            if (f.is_event()) return !events;
            return !common(f) && !(line.transcoded && f.codec() != nullptr);
        });
        if (i < kept_.size()) follow(line, from, kept_[i]);
        if (options_.same_numbers) pass_numbers(line, from);
        const bool real = std::ranges::any_of(formats, [](const Format &f) { return !f.is_event(); });
        if (!real || asked.rejected) line.at(from).rejected = true;
        if (auto keys = read_keys(line, i, from, sdp->media[i], true); !keys) {
            roll_back();
            return fail(keys.error());
        }
        any |= !line.at(from).rejected;
    }
    if (!any && offered) {
        roll_back();
        return no_codec();
    }
    before_.reset();
    return write(other(from), true);
}

std::optional<std::string> Interwork::restart(End from, std::string_view text) {
    const auto sdp = Sdp::parse(text);
    if (!own(from).web || before_ || !sdp || sdp->media.size() != lines_.size()) return {};
    const auto lines = lines_;
    const auto prints = fingerprints_;
    asked_ = lines_.size();
    bool anew = false, same = true;
    for (std::size_t i = 0; i < lines_.size(); ++i) {
        read_line(lines_[i], from, *sdp, sdp->media[i]);
        const LineEnd &was = lines[i].at(from), &now = lines_[i].at(from);
        anew |= now.ufrag != was.ufrag;
        same &= now.rejected == was.rejected && now.direction == was.direction;
        std::erase_if(lines_[i].at(other(from)).formats, [&](const Format &f) {
            return !f.is_event() &&
                   std::ranges::find(now.formats, f.key(), &Format::key) == now.formats.end();
        });
    }
    if (anew && same && prints == fingerprints_)
        if (auto answer = write(from, true)) return std::move(*answer);
    lines_ = lines;
    fingerprints_ = prints;
    return {};
}

void Interwork::roll_back() {
    if (!before_) return;
    // Lines stay (RFC 3264 §8: never fewer), but what the refused offer said about them is void.
    auto kept = std::move(*before_);
    before_.reset();
    lines_ = std::move(kept);
}

void Interwork::add_web_lines(SdpMedia &media, const OwnPlace &place, const Line &line, std::size_t index,
                              End to, bool answering) {
    const OwnEnd &mine = own(to);
    auto &lines = media.attributes;
    lines.push_back({"mid", line.at(to).mid});
    lines.push_back({"ice-ufrag", place.ufrag});
    lines.push_back({"ice-pwd", place.password});
    lines.push_back({"fingerprint", place.fingerprint});
    // Browsers keep the role of the first exchange: theirs is active, whoever offers.
    const bool settled = !fingerprints_[static_cast<std::size_t>(to)].empty();
    lines.push_back({"setup", answering || settled ? "passive" : "actpass"});
    lines.push_back({"rtcp-mux", ""});
    lines.push_back({"msid", "offhook offhook" + std::to_string(index)});
    if (index < mine.ssrcs.size())
        lines.push_back({"ssrc", std::to_string(mine.ssrcs[index]) + " cname:offhook"});
    for (const auto &candidate : place.candidates)
        lines.push_back({"candidate", candidate});
    lines.push_back({"end-of-candidates", ""});
}

// A phone that has told its profile is offered that again.
std::string Interwork::protocol_for(const Line &line, End to, bool answering) const {
    const OwnEnd &mine = *own_[index(to)];
    const std::string &theirs = line.at(to).profile;
    if (mine.web) return "UDP/TLS/RTP/SAVPF";
    if (answering) return theirs;
    const bool feedback = theirs.empty() ? mine.avpf && line.type == "video" : theirs.ends_with("AVPF");
    return feedback ? "RTP/AVPF" : "RTP/AVP";
}

Result<SdpMedia> Interwork::describe(const Line &line, std::size_t index, End to, bool answering) {
    const LineEnd &theirs = line.at(other(to)); // whom we speak for
    const LineEnd &there = line.at(to);
    const bool web = own(to).web;
    SdpMedia media;
    media.type = line.type;
    media.protocol = protocol_for(line, to, answering);
    OwnPlace place;
    if (!theirs.rejected && !(answering && there.rejected)) {
        auto found = own(to).place(index);
        if (!found) return tl::unexpected(found.error());
        place = std::move(*found);
    }
    if (place.port == 0) {
        media.protocol = there.profile.empty() ? media.protocol : there.profile;
        media.formats = {"0"};
        if (media.type == "application") media.formats = {"webrtc-datachannel"};
        if (web && !there.mid.empty()) media.attributes.push_back({"mid", there.mid});
        return media;
    }
    media.port = place.port;
    media.connection = place.connection;
    add_formats(media, line, to, answering);
    auto direction = theirs.direction;
    if (answering) direction = legal_answer(direction, there.direction);
    if (web) add_web_lines(media, place, line, index, to, answering);
    if (line.type == "audio" && !(web && theirs.ptime == 0))
        media.attributes.push_back({"ptime", web ? std::to_string(theirs.ptime) : "20"});
    if (!web) add_keys(media, place, line, index, to, answering);
    if (!web && answering && there.rtcp_mux && place.rtcp_mux) media.attributes.push_back({"rtcp-mux", ""});
    media.attributes.push_back({std::string(name(direction)), ""});
    if (web)
        for (const auto &extra : theirs.extras)
            media.attributes.push_back({extra, ""});
    return media;
}

Result<std::string> Interwork::write(End to, bool answering) {
    OwnEnd &mine = own(to);
    Sdp out;
    out.session_id = mine.session_id;
    out.origin = out.connection = mine.connection;
    std::string bundle;
    const std::size_t count = answering ? std::min(asked_, lines_.size()) : lines_.size();
    for (std::size_t i = 0; i < count; ++i) {
        auto &line = lines_[i];
        if (mine.web && line.at(to).mid.empty()) line.at(to).mid = std::to_string(i);
        auto media = describe(line, i, to, answering);
        if (!media) return fail(media.error());
        if (media->port != 0) bundle += " " + line.at(to).mid;
        out.media.push_back(std::move(*media));
    }
    if (mine.web) {
        if (mine.lite) out.attributes.push_back({"ice-lite", ""});
        if (mine.bundles && !bundle.empty()) out.attributes.push_back({"group", "BUNDLE" + bundle});
        out.attributes.push_back({"msid-semantic", " WMS offhook"});
        for (const auto &extra : extras_[index(other(to))])
            out.attributes.push_back({extra, ""});
    }
    out.version = mine.version;
    const auto &bandwidths = bandwidths_[index(other(to))];
    std::string text = bandwidths.put_into(out.encode());
    if (text != mine.last) { // RFC 3264 §8: one more for each change
        out.version = ++mine.version;
        text = bandwidths.put_into(out.encode());
        mine.last = text;
    }
    return text;
}

} // namespace offhook::bridge
