// A stream of framed packets as a browser's TCP connection carries it, cut in two ways, into the
// demultiplexer of a shared port.
#include <algorithm>

#include "media/ice_demux.hpp"
#include "media/tcp_framing.hpp"
#include "tests/fuzz/body.hpp"

using namespace offhook;
using namespace offhook::fuzz;
using namespace offhook::media;

namespace {

using Packets = std::vector<std::vector<std::uint8_t>>;

Packets cut(Input input, std::size_t piece) {
    TcpDeframer deframer;
    Packets out;
    while (!input.empty()) {
        Bytes bytes = input.first(std::min(piece, input.size()));
        input = input.subspan(bytes.size());
        while (const auto packet = deframer.next(bytes)) {
            require(!packet->empty() && packet->size() <= TcpDeframer::largest);
            out.emplace_back(packet->begin(), packet->end());
            std::fill_n(packet->data(), packet->size() + TcpDeframer::tail_room, std::uint8_t{0xEE});
        }
        require(bytes.empty());
    }
    return out;
}

} // namespace

FUZZ_BODY(ice_tcp) {
    const Packets whole = cut(input, input.size() + 1);
    require(whole == cut(input, 1));
    require(whole == cut(input, 13));
    const TimePoint now{std::chrono::seconds(1000)};
    const Address from = Address::parse("192.0.2.7", 7000).value();
    IceDemux demux;
    require(demux.add(1, "evtj") && demux.add(2, "other"));
    TcpSendQueue queue(4'096);
    for (const auto &packet : whole) {
        const auto agent = demux.find(packet, from, now);
        if (agent) require(demux.claim(*agent, from, now) || demux.find({}, from, now) != agent);
        require(demux.addresses() <= 1);
        (void)queue.push(packet);
        require(queue.waiting().size() <= 4'096);
        queue.sent(packet.size() / 2);
    }
}
