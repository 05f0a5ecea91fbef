// A byte stream in pieces of any size gives what the whole gives. The first byte says how it is cut.
#include <string>

#include "sip/framer.hpp"
#include "tests/fuzz/body.hpp"

using namespace offhook;
using namespace offhook::fuzz;
using namespace offhook::sip;

namespace {

using Items = std::vector<std::pair<StreamFramer::Item::Kind, std::string>>;

// False: the stream is lost.
bool drain(StreamFramer &framer, Items &items) {
    while (true) {
        auto item = framer.next();
        if (!item) return false;
        if (!*item) return true;
        items.emplace_back((*item)->kind, std::move((*item)->bytes));
    }
}

} // namespace

FUZZ_BODY(framer) {
    Pieces pieces(input);
    std::uint32_t cut = pieces.byte();
    const auto bytes = text_of(pieces.rest());
    StreamFramer whole, cuts;
    Items at_once, in_parts;
    whole.push(bytes);
    const bool alive = drain(whole, at_once);
    bool cut_alive = true;
    for (std::size_t at = 0; at < bytes.size() && cut_alive;) {
        cut = cut * 1664525 + 1013904223;
        const std::size_t size = 1 + (cut >> 8) % (1 + cut % 97);
        cuts.push(bytes.substr(at, size));
        at += size;
        cut_alive = drain(cuts, in_parts);
    }
    std::size_t total = 0;
    for (const auto &[kind, text] : at_once) {
        total += text.size();
        require(text.size() <= 65536 && (kind != StreamFramer::Item::Kind::message || !text.empty()));
    }
    require(total <= bytes.size());
    require(alive == cut_alive);
    // Pings may be told as two pongs when they come in pieces; messages are the same.
    std::erase_if(at_once, [](const auto &item) { return item.first != StreamFramer::Item::Kind::message; });
    std::erase_if(in_parts, [](const auto &item) { return item.first != StreamFramer::Item::Kind::message; });
    require(at_once == in_parts);
}
