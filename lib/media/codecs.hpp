// What codec.cpp knows of the single codecs, one .cpp each.
#pragma once

#include "media/codec.hpp"

namespace offhook::media {

std::unique_ptr<Encoder> make_g711_encoder(bool alaw);
std::unique_ptr<Decoder> make_g711_decoder(bool alaw);
Result<std::unique_ptr<Encoder>> make_g722_encoder(); // Errors: not_supported in a build without spandsp
Result<std::unique_ptr<Decoder>> make_g722_decoder();
std::unique_ptr<Encoder> make_l16_encoder();
std::unique_ptr<Decoder> make_l16_decoder();
Result<std::unique_ptr<Encoder>> make_opus_encoder(const CodecParams &params);
Result<std::unique_ptr<Decoder>> make_opus_decoder(const CodecParams &params);

} // namespace offhook::media
