// What the relay's packets will read, told to the worker ahead of them.
#include <algorithm>

#include "bridge/relay.hpp"

namespace offhook::bridge {

void Relay::expect() {
    if (active_ >= branches_.size() || active_ + 1 >= ends_.size()) return;
    const EndPoint &caller = end(0), &callee = end(active_ + 1);
    const auto &plan = branches_[active_].plan;
    for (std::size_t line = 0; line < plan.size(); ++line) {
        expect(caller, line, callee, plan[line].from_caller);
        expect(callee, line, caller, plan[line].from_callee);
    }
}

// In the order of use: what does not fit is what comes last. A browser's lines share a socket; the first, its
// sound, counts.
void Relay::expect(const EndPoint &from, std::size_t line, const EndPoint &to, const Way &way) {
    const bool heard =
        from.web ? line == 0 && from.path != nullptr : line < from.lines.size() && from.lines[line].rtp;
    if (!heard || line >= from.out.size() || line >= to.out.size()) return;
    Touched memory;
    memory.add(this, sizeof *this);
    memory.add(&from, Touched::line);
    memory.add(&from.heard);
    memory.add(&from.line_of);
    if (from.web)
        from.channel.touched(memory);
    else
        memory.add(&from.lines[line], sizeof(Plain));
    const auto used =
        std::ranges::find_if(way.of, [](const auto &number) { return number.out != no_number; });
    if (used != way.of.end()) memory.add(&*used);
    memory.add(&way.codecs);
    memory.add(&from.out[line].heard, sizeof(media::ReceiverStats));
    memory.add(&to, Touched::line);
    memory.add(&to.out[line].stream, sizeof to.out[line].stream);
    if (to.web)
        to.channel.touched(memory);
    else if (line < to.lines.size())
        to.lines[line].channel.touched(memory);
    if (from.web)
        from.path->expect(memory);
    else
        worker_.expect(from.lines[line].rtp.get(), memory);
}

} // namespace offhook::bridge
