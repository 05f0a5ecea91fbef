#include "sip/capture.hpp"

#include <map>
#include <set>

#include "sip/capture_file.hpp"
#include "sip/tcp_stream.hpp"
#include "sip/trace_file.hpp"

namespace offhook::sip {

namespace {

constexpr std::size_t most_streams = 65536;

class PacketReader {
public:
    explicit PacketReader(const CaptureSink &sink) : sink_(sink) {}

    void take(const CapturedPacket &packet) {
        ++report_.packets;
        time_ = packet.time;
        if (!is_known_link(packet.link_type)) {
            strange_links_.insert(packet.link_type);
            return;
        }
        auto ip = ip_packet(packet.link_type, packet.bytes);
        if (ip && ip->is_fragment()) ip = fragments_.add(*ip);
        if (!ip) return;
        if (const auto datagram = udp_datagram(*ip)) udp(*datagram);
        if (const auto segment = tcp_segment(*ip)) tcp(*segment);
    }

    CaptureReport finish() {
        std::size_t tls = 0;
        for (auto &[key, stream] : streams_) {
            stream.tcp.flush(teller(stream));
            tls += stream.tcp.is_tls() ? 1 : 0;
        }
        for (const auto link : strange_links_)
            report_.warnings.push_back(
                "packets of link type " + std::to_string(link) +
                " were left out (expected Ethernet, raw IP, loopback or Linux cooked)");
        if (tls > 0)
            report_.warnings.push_back(std::to_string(tls) +
                                       " TLS streams cannot be read (offhook --pcap writes them decrypted)");
        return std::move(report_);
    }

private:
    struct Stream {
        Address from, to;
        TcpStream tcp;
    };

    void udp(const Datagram &datagram) {
        if (looks_like_sip(datagram.payload))
            tell(TransportKind::udp, datagram.from, datagram.to, std::string(datagram.payload));
        else if (sink_.datagram)
            sink_.datagram(time_, datagram.from, datagram.to, datagram.payload);
    }

    void tcp(const TcpSegment &segment) {
        const auto key = std::pair(segment.from.to_string(), segment.to.to_string());
        if (streams_.size() >= most_streams && !streams_.contains(key)) return;
        auto &stream = streams_[key];
        stream.from = segment.from;
        stream.to = segment.to;
        stream.tcp.add(segment, teller(stream));
    }

    TcpStream::OnMessage teller(const Stream &stream) {
        return [this, from = stream.from, to = stream.to](std::string bytes) {
            tell(TransportKind::tcp, from, to, std::move(bytes));
        };
    }

    void tell(TransportKind kind, const Address &from, const Address &to, std::string bytes) const {
        if (sink_.message) sink_.message({time_, kind, from, to, std::move(bytes)});
    }

    const CaptureSink &sink_;
    std::chrono::system_clock::time_point time_;
    Defragmenter fragments_;
    std::map<std::pair<std::string, std::string>, Stream> streams_;
    std::set<std::uint32_t> strange_links_;
    CaptureReport report_;
};

} // namespace

Result<CaptureReport> read_capture(std::string_view file, const CaptureSink &sink) {
    if (!CaptureFile::is_capture(file)) return read_trace_file(file, sink);
    auto capture = CaptureFile::open(file);
    if (!capture) return fail(capture.error());
    PacketReader reader(sink);
    while (const auto packet = capture->next())
        reader.take(*packet);
    auto report = reader.finish();
    if (!capture->complaint().empty()) report.warnings.insert(report.warnings.begin(), capture->complaint());
    return report;
}

} // namespace offhook::sip
