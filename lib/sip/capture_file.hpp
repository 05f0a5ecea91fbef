// The packets of a capture file: libpcap's format of 1998 (both byte orders, micro- and nanoseconds) and
// pcapng (draft-ietf-opsawg-pcapng). Knows nothing of what is in the packets. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace offhook::sip {

struct CapturedPacket {
    std::chrono::system_clock::time_point time;
    std::uint32_t link_type = 0; // LINKTYPE_*: 1 Ethernet, 101 raw IP …
    std::string_view bytes;      // as captured; may be shorter than the packet was
};

class CaptureFile {
public:
    static bool is_capture(std::string_view file) noexcept; // by its magic number
    // `file` must outlive this object and all packets. Errors: Errc::parse (no capture file, no whole
    // header).
    static Result<CaptureFile> open(std::string_view file);

    // Nothing at the end, and where the file makes no sense any more: then complaint() says why and where.
    std::optional<CapturedPacket> next();
    [[nodiscard]] const std::string &complaint() const noexcept { return complaint_; }

private:
    struct Interface {
        std::uint32_t link_type = 0, snap_length = 0;
        std::uint64_t ticks_per_second = 1'000'000;
        std::int64_t offset_s = 0;
    };
    explicit CaptureFile(std::string_view file) : file_(file) {}

    [[nodiscard]] std::uint32_t u32(std::size_t at) const noexcept; // `at` was checked
    [[nodiscard]] std::uint16_t u16(std::size_t at) const noexcept;
    [[nodiscard]] std::size_t left() const noexcept { return file_.size() - at_; }
    std::optional<CapturedPacket> next_of_pcap();
    std::optional<CapturedPacket> next_of_pcapng();
    std::optional<CapturedPacket> packet_of_block(std::uint32_t type, std::size_t body, std::size_t size);
    bool begin_section();
    void add_interface(std::size_t body, std::size_t size);
    std::nullopt_t complain(const std::string &what);

    std::string_view file_;
    std::size_t at_ = 0;
    bool swapped_ = false;    // the writer's byte order is not ours
    bool big_endian_ = false; // pcapng: the section is
    bool ng_ = false;
    std::vector<Interface> interfaces_; // pcap: exactly one
    std::string complaint_;
};

} // namespace offhook::sip
