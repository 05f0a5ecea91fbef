#include "media/codec.hpp"

#include <algorithm>
#include <array>

#include "media/codecs.hpp"

namespace offhook::media {

namespace {

// Ie and Bpl: G.113 Appendix I for G.711 with packet-loss concealment. It has no figures for the others on
// the narrow-band scale; none of them is worse than that, so they share the row and MOS stays comparable.
constexpr double plc_bpl = 25.1;

constexpr std::array table{
    CodecInfo{"opus", "opus", 48000, 48000, 2, -1, 0, plc_bpl},
#ifdef HAVE_SPANDSP
    CodecInfo{"g722", "G722", 16000, 8000, 1, 9, 0, plc_bpl},
#endif
    CodecInfo{"pcma", "PCMA", 8000, 8000, 1, 8, 0, plc_bpl},
    CodecInfo{"pcmu", "PCMU", 8000, 8000, 1, 0, 0, plc_bpl},
    CodecInfo{"l16", "L16", 16000, 16000, 1, -1, 0, plc_bpl},
};

std::string known_codecs() {
    std::string names;
    for (const auto &row : table)
        names += (names.empty() ? "" : ", ") + std::string(row.key);
    return names;
}

Failure unknown(std::string_view key) {
    return fail(Errc::invalid_argument,
                "unknown codec \"" + std::string(key) + "\"; known are " + known_codecs());
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ')
        text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ')
        text.remove_suffix(1);
    return text;
}

} // namespace

std::span<const CodecInfo> codec_table() noexcept {
    return table;
}

const CodecInfo *find_codec(std::string_view key) noexcept {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    const auto found = std::ranges::find_if(
        table, [&](const CodecInfo &row) { return std::ranges::equal(row.key, key, {}, {}, lower); });
    return found == table.end() ? nullptr : &*found;
}

Result<std::vector<const CodecInfo *>> parse_codec_list(std::string_view list) {
    std::vector<const CodecInfo *> codecs;
    while (true) {
        const std::size_t comma = std::min(list.find(','), list.size());
        const std::string_view key = trimmed(list.substr(0, comma));
        const CodecInfo *info = find_codec(key);
        if (info == nullptr) return unknown(key);
        if (std::ranges::find(codecs, info) == codecs.end()) codecs.push_back(info);
        if (comma == list.size()) return codecs;
        list.remove_prefix(comma + 1);
    }
}

Result<std::unique_ptr<Encoder>> make_encoder(const CodecInfo &info, const CodecParams &params) {
    if (info.key == "opus") return make_opus_encoder(params);
    if (info.key == "g722") return make_g722_encoder();
    if (info.key == "l16") return make_l16_encoder();
    return make_g711_encoder(info.key == "pcma");
}

Result<std::unique_ptr<Decoder>> make_decoder(const CodecInfo &info, const CodecParams &params) {
    if (info.key == "opus") return make_opus_decoder(params);
    if (info.key == "g722") return make_g722_decoder();
    if (info.key == "l16") return make_l16_decoder();
    return make_g711_decoder(info.key == "pcma");
}

} // namespace offhook::media
