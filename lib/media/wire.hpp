// Network byte order, for RTP, RTCP and telephone-events. The caller has checked the size.
#pragma once

#include <cstdint>
#include <span>

namespace offhook::media {

inline std::uint16_t read_u16(std::span<const std::uint8_t> in, std::size_t at) noexcept {
    return static_cast<std::uint16_t>(in[at] << 8 | in[at + 1]);
}

inline std::uint32_t read_u32(std::span<const std::uint8_t> in, std::size_t at) noexcept {
    return std::uint32_t{read_u16(in, at)} << 16 | read_u16(in, at + 2);
}

inline void write_u16(std::span<std::uint8_t> out, std::size_t at, std::uint16_t value) noexcept {
    out[at] = static_cast<std::uint8_t>(value >> 8);
    out[at + 1] = static_cast<std::uint8_t>(value);
}

inline void write_u32(std::span<std::uint8_t> out, std::size_t at, std::uint32_t value) noexcept {
    write_u16(out, at, static_cast<std::uint16_t>(value >> 16));
    write_u16(out, at + 2, static_cast<std::uint16_t>(value));
}

} // namespace offhook::media
