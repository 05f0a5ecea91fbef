// libsndfile, loaded when the first sound file is opened.
#pragma once

#include <sndfile.h>

#include "base/result.hpp"

namespace offhook::media {

struct SoundFileLibrary {
    decltype(&sf_open_fd) open_fd = nullptr;
    decltype(&sf_close) close = nullptr;
    decltype(&sf_readf_float) readf_float = nullptr;
    decltype(&sf_writef_short) writef_short = nullptr;
    decltype(&sf_seek) seek = nullptr;
    decltype(&sf_command) command = nullptr;
    decltype(&sf_format_check) format_check = nullptr;
    decltype(&sf_strerror) strerror = nullptr;
    decltype(&sf_version_string) version_string = nullptr;
};

// Null where it is not installed.
const SoundFileLibrary *sound_files() noexcept;
// Errors: Errc::device, saying so.
Result<const SoundFileLibrary *> need_sound_files();

} // namespace offhook::media
