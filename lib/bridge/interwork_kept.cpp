// Several forks answer one offer, and the offerer takes the first answer only: the others follow it.
#include <algorithm>

#include "bridge/interwork.hpp"

namespace offhook::bridge {

namespace {

void move_to_front(std::vector<Format> &formats, const std::string &key) {
    const auto found = std::ranges::find(formats, key, &Format::key);
    if (found != formats.end()) std::rotate(formats.begin(), found, found + 1);
}

} // namespace

bool still_holds(const std::vector<KeptLine> &kept, const std::vector<KeptLine> &answer) {
    return std::ranges::equal(kept, answer, [](const KeptLine &a, const KeptLine &b) {
        if (a.rejected || b.rejected) return a.rejected == b.rejected;
        const bool codec = !a.codecs.empty() && !b.codecs.empty() && a.codecs.front() == b.codecs.front();
        return codec && a.direction == b.direction && (a.events || !b.events);
    });
}

void Interwork::keep(std::vector<KeptLine> lines, bool transcode) {
    kept_ = std::move(lines);
    kept_by_transcoding_ = transcode;
}

std::vector<KeptLine> Interwork::told(End to) const {
    std::vector<KeptLine> out;
    for (const auto &line : lines_) {
        const LineEnd &theirs = line.at(other(to)), &there = line.at(to);
        KeptLine kept;
        kept.rejected = theirs.rejected || there.rejected;
        kept.direction = legal_answer(theirs.direction, there.direction);
        for (const auto &format : formats_for(line, to, true))
            if (format.is_event())
                kept.events = true;
            else
                kept.codecs.push_back(format.key());
        out.push_back(std::move(kept));
    }
    return out;
}

// The codecs of the kept answer come first, in its order. Where this end has none of them, they are made.
void Interwork::follow(Line &line, End from, const KeptLine &kept) const {
    auto &formats = line.at(from).formats;
    if (kept.rejected || kept.codecs.empty()) return;
    for (auto key = kept.codecs.rbegin(); key != kept.codecs.rend(); ++key)
        move_to_front(formats, *key);
    const auto first = std::ranges::find_if(formats, [](const Format &f) { return !f.is_event(); });
    if (first == formats.end()) return;
    const bool common = std::ranges::find(kept.codecs, first->key()) != kept.codecs.end();
    auto &asked = line.at(other(from)).formats;
    const auto spoken = std::ranges::find(asked, kept.codecs.front(), &Format::key);
    const bool makeable = kept_by_transcoding_ && can_transcode(line) && first->codec() != nullptr &&
                          spoken != asked.end() && spoken->codec() != nullptr;
    if (!line.transcoded && (common || !makeable)) return;
    line.transcoded = true;
    move_to_front(asked, kept.codecs.front());
}

} // namespace offhook::bridge
