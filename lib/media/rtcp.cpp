#include <algorithm>
#include <chrono>

#include "media/rtp.hpp"
#include "media/wire.hpp"

namespace offhook::media {

namespace {

constexpr std::uint8_t type_sr = 200, type_rr = 201, type_sdes = 202, type_bye = 203;
constexpr std::size_t header_size = 4, sender_info_size = 20, block_size = 24, max_count = 31;
constexpr std::uint64_t ntp_epoch_offset = 2208988800; // 1900-01-01 to 1970-01-01, in s

ReportBlock read_block(Bytes in) {
    ReportBlock block;
    block.ssrc = read_u32(in, 0);
    block.fraction_lost = in[4];
    block.cumulative_lost = static_cast<std::int32_t>(read_u32(in, 4) << 8) >> 8; // 24 bits with sign
    block.extended_sequence = read_u32(in, 8);
    block.jitter = read_u32(in, 12);
    block.last_sr = read_u32(in, 16);
    block.delay_since_sr = read_u32(in, 20);
    return block;
}

// SR or RR; `body` starts behind the common header.
bool read_report(RtcpReport &report, bool sender, std::size_t count, Bytes body) {
    const std::size_t blocks = 4 + (sender ? sender_info_size : 0);
    if (body.size() < blocks + count * block_size) return false;
    report.sender_ssrc = read_u32(body, 0);
    if (sender) {
        const std::uint64_t seconds = read_u32(body, 4);
        report.sender = {seconds << 32 | read_u32(body, 8), read_u32(body, 12), read_u32(body, 16),
                         read_u32(body, 20)};
    }
    for (std::size_t i = 0; i < count; ++i)
        report.blocks.push_back(read_block(body.subspan(blocks + i * block_size, block_size)));
    return true;
}

bool read_byes(RtcpReport &report, std::size_t count, Bytes body) {
    if (body.size() < 4 * count) return false;
    for (std::size_t i = 0; i < count; ++i)
        report.byes.push_back(read_u32(body, 4 * i));
    return true;
}

// Appends a packet of the compound; the caller fills the body. Returns where the body starts.
std::size_t append(std::vector<std::uint8_t> &out, std::uint8_t type, std::size_t count, std::size_t body) {
    const std::size_t at = out.size();
    out.resize(at + header_size + body);
    out[at] = static_cast<std::uint8_t>(0x80 | count);
    out[at + 1] = type;
    write_u16(out, at + 2, static_cast<std::uint16_t>((header_size + body) / 4 - 1));
    return at + header_size;
}

void write_block(std::vector<std::uint8_t> &out, std::size_t at, const ReportBlock &block) {
    const std::int32_t lost = std::clamp(block.cumulative_lost, -0x800000, 0x7fffff);
    write_u32(out, at, block.ssrc);
    write_u32(out, at + 4, static_cast<std::uint32_t>(lost) & 0xffffff);
    out[at + 4] = block.fraction_lost;
    write_u32(out, at + 8, block.extended_sequence);
    write_u32(out, at + 12, block.jitter);
    write_u32(out, at + 16, block.last_sr);
    write_u32(out, at + 20, block.delay_since_sr);
}

void append_report(std::vector<std::uint8_t> &out, const RtcpReport &report) {
    const std::size_t count = std::min(report.blocks.size(), max_count);
    const std::size_t fixed = 4 + (report.sender ? sender_info_size : 0);
    const std::size_t at = append(out, report.sender ? type_sr : type_rr, count, fixed + count * block_size);
    write_u32(out, at, report.sender_ssrc);
    if (report.sender) {
        write_u32(out, at + 4, static_cast<std::uint32_t>(report.sender->ntp >> 32));
        write_u32(out, at + 8, static_cast<std::uint32_t>(report.sender->ntp));
        write_u32(out, at + 12, report.sender->rtp_timestamp);
        write_u32(out, at + 16, report.sender->packets);
        write_u32(out, at + 20, report.sender->octets);
    }
    for (std::size_t i = 0; i < count; ++i)
        write_block(out, at + fixed + i * block_size, report.blocks[i]);
}

void append_cname(std::vector<std::uint8_t> &out, std::uint32_t ssrc, const std::string &cname) {
    const std::size_t length = std::min<std::size_t>(cname.size(), 255);
    const std::size_t chunk = (4 + 2 + length + 1 + 3) / 4 * 4; // ends with at least one null octet
    const std::size_t at = append(out, type_sdes, 1, chunk);
    write_u32(out, at, ssrc);
    out[at + 4] = 1; // CNAME
    out[at + 5] = static_cast<std::uint8_t>(length);
    std::copy_n(cname.begin(), length, out.begin() + static_cast<std::ptrdiff_t>(at + 6));
}

} // namespace

std::optional<RtcpReport> parse_rtcp(Bytes compound) noexcept {
    if (!looks_like_rtcp(compound)) return std::nullopt;
    RtcpReport report;
    while (!compound.empty()) {
        if (!looks_like_rtcp(compound)) return std::nullopt;
        const std::size_t size = (read_u16(compound, 2) + 1U) * 4;
        if (size > compound.size()) return std::nullopt;
        const std::size_t count = compound[0] & 0x1f;
        const Bytes body = compound.subspan(header_size, size - header_size);
        const std::uint8_t type = compound[1];
        bool good = true;
        if (type == type_sr || type == type_rr) good = read_report(report, type == type_sr, count, body);
        if (type == type_bye) good = read_byes(report, count, body);
        if (!good) return std::nullopt;
        compound = compound.subspan(size);
    }
    return report;
}

std::vector<std::uint8_t> build_rtcp(const RtcpReport &report, const std::string &cname, bool bye) {
    std::vector<std::uint8_t> out;
    out.reserve(128);
    append_report(out, report);
    append_cname(out, report.sender_ssrc, cname);
    if (bye) append_bye(out, report.sender_ssrc);
    return out;
}

void append_bye(std::vector<std::uint8_t> &compound, std::uint32_t ssrc) {
    const std::size_t at = append(compound, type_bye, 1, 4);
    write_u32(compound, at, ssrc);
}

// The wall clock as it was at the first call, carried on by the monotonic clock: a step of the wall clock
// must not look like a round trip of an hour.
std::uint64_t ntp_now() noexcept {
    using namespace std::chrono;
    static const auto wall = system_clock::now().time_since_epoch();
    static const auto start = steady_clock::now();
    const auto now =
        duration_cast<nanoseconds>(wall) + duration_cast<nanoseconds>(steady_clock::now() - start);
    const auto ns = static_cast<std::uint64_t>(now.count());
    const std::uint64_t seconds = ns / 1'000'000'000 + ntp_epoch_offset;
    const std::uint64_t fraction = ((ns % 1'000'000'000) << 32) / 1'000'000'000;
    return seconds << 32 | fraction;
}

std::uint32_t ntp_middle(std::uint64_t ntp) noexcept {
    return static_cast<std::uint32_t>(ntp >> 16);
}

} // namespace offhook::media
