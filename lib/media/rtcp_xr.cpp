#include "media/rtcp_xr.hpp"

#include <algorithm>
#include <cmath>

#include "media/wire.hpp"

namespace offhook::media {

namespace {

constexpr std::uint8_t packet_type = 207, block_type = 7, unknown = 127, gmin = 16;
constexpr std::size_t block_size = 36, block_header = 4, most_blocks = 16;

std::uint8_t share(double value) {
    return static_cast<std::uint8_t>(std::clamp(std::lround(value * 256), 0L, 255L));
}

std::uint16_t ms(unsigned value) {
    return static_cast<std::uint16_t>(std::min(value, 0xFFFFU));
}

std::uint8_t level(const std::optional<int> &dbm0) { // two's complement
    return dbm0 ? static_cast<std::uint8_t>(static_cast<std::int8_t>(std::clamp(*dbm0, -127, 0))) : unknown;
}

std::uint8_t score(const std::optional<double> &mos) { // ten times
    return mos ? static_cast<std::uint8_t>(std::clamp(std::lround(*mos * 10), 10L, 50L)) : unknown;
}

std::optional<int> read_level(std::uint8_t value) {
    return value == unknown ? std::nullopt : std::optional<int>(static_cast<std::int8_t>(value));
}

std::optional<double> read_score(std::uint8_t value) {
    return value < 10 || value > 50 ? std::nullopt : std::optional<double>(value / 10.0);
}

VoipMetrics read_block(Bytes in) {
    VoipMetrics out;
    out.ssrc = read_u32(in, 4);
    out.loss_rate = in[8] / 256.0;
    out.discard_rate = in[9] / 256.0;
    out.burst_density = in[10] / 256.0;
    out.gap_density = in[11] / 256.0;
    out.burst_ms = read_u16(in, 12);
    out.gap_ms = read_u16(in, 14);
    out.round_trip_ms = read_u16(in, 16);
    out.end_system_ms = read_u16(in, 18);
    out.signal_dbm0 = read_level(in[20]);
    out.noise_dbm0 = read_level(in[21]);
    if (in[24] <= 100) out.r_factor = in[24];
    out.mos_lq = read_score(in[26]);
    out.mos_cq = read_score(in[27]);
    out.adaptive = (in[28] >> 4 & 3) == 3;
    out.buffer_ms = read_u16(in, 30);
    out.buffer_most_ms = read_u16(in, 32);
    out.buffer_limit_ms = read_u16(in, 34);
    return out;
}

} // namespace

void append_voip_metrics(std::vector<std::uint8_t> &compound, std::uint32_t sender_ssrc,
                         const VoipMetrics &metrics) {
    const std::size_t start = compound.size();
    const std::size_t at = start + 8;
    compound.resize(at + block_size);
    compound[start] = 0x80;
    compound[start + 1] = packet_type;
    write_u16(compound, start + 2, (8 + block_size) / 4 - 1);
    write_u32(compound, start + 4, sender_ssrc);
    compound[at] = block_type;
    write_u16(compound, at + 2, block_size / 4 - 1);
    write_u32(compound, at + 4, metrics.ssrc);
    compound[at + 8] = share(metrics.loss_rate);
    compound[at + 9] = share(metrics.discard_rate);
    compound[at + 10] = share(metrics.burst_density);
    compound[at + 11] = share(metrics.gap_density);
    write_u16(compound, at + 12, ms(metrics.burst_ms));
    write_u16(compound, at + 14, ms(metrics.gap_ms));
    write_u16(compound, at + 16, ms(metrics.round_trip_ms));
    write_u16(compound, at + 18, ms(metrics.end_system_ms));
    compound[at + 20] = level(metrics.signal_dbm0);
    compound[at + 21] = level(metrics.noise_dbm0);
    compound[at + 22] = unknown; // RERL: what the echo canceller leaves is not measured
    compound[at + 23] = gmin;
    compound[at + 24] = static_cast<std::uint8_t>(std::min(metrics.r_factor.value_or(unknown), 127U));
    compound[at + 25] = unknown; // external R factor
    compound[at + 26] = score(metrics.mos_lq);
    compound[at + 27] = score(metrics.mos_cq);
    constexpr std::uint8_t standard_plc = 3 << 6;
    constexpr std::uint8_t adaptive = 3 << 4;
    constexpr std::uint8_t fixed = 2 << 4;
    compound[at + 28] = standard_plc | (metrics.adaptive ? adaptive : fixed);
    write_u16(compound, at + 30, ms(metrics.buffer_ms));
    write_u16(compound, at + 32, ms(metrics.buffer_most_ms));
    write_u16(compound, at + 34, ms(metrics.buffer_limit_ms));
}

std::vector<VoipMetrics> voip_metrics_of(Bytes compound) {
    std::vector<VoipMetrics> out;
    while (compound.size() >= 4) {
        const std::size_t size =
            std::min<std::size_t>((std::size_t{read_u16(compound, 2)} + 1) * 4, compound.size());
        if (compound[1] == packet_type)
            if (const auto blocks = read_voip_metrics(compound.first(size).subspan(4)))
                out.insert(out.end(), blocks->begin(), blocks->end());
        compound = compound.subspan(size);
    }
    return out;
}

std::optional<std::vector<VoipMetrics>> read_voip_metrics(Bytes body) {
    if (body.size() < 4) return std::nullopt;
    std::vector<VoipMetrics> out;
    for (body = body.subspan(4); !body.empty() && out.size() < most_blocks;) {
        if (body.size() < block_header) return std::nullopt;
        const std::size_t size = (std::size_t{read_u16(body, 2)} + 1) * 4;
        if (size > body.size()) return std::nullopt;
        if (body[0] == block_type) {
            if (size != block_size) return std::nullopt;
            out.push_back(read_block(body));
        }
        body = body.subspan(size);
    }
    return out;
}

} // namespace offhook::media
