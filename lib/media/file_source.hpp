#pragma once

#include "media/device.hpp"

namespace offhook::media {

// A sink that writes what it gets into a mono sound file at 48 kHz, for --audio file:,OUT.
Result<std::unique_ptr<Sink>> open_file_sink(const std::string &path);

// Errors of sound files always end so.
inline constexpr const char *expected_formats = "; WAV, FLAC or Ogg expected";

} // namespace offhook::media
