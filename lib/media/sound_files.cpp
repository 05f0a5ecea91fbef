#include "media/sound_files.hpp"

#include "base/shared_library.hpp"

namespace offhook::media {

namespace {

constexpr const char *soname = "libsndfile.so.1";

const SoundFileLibrary *load() noexcept {
    static SoundFileLibrary library;
    SharedLibrary shared(soname);
    shared.bind(library.open_fd, "sf_open_fd");
    shared.bind(library.close, "sf_close");
    shared.bind(library.readf_float, "sf_readf_float");
    shared.bind(library.writef_short, "sf_writef_short");
    shared.bind(library.seek, "sf_seek");
    shared.bind(library.command, "sf_command");
    shared.bind(library.format_check, "sf_format_check");
    shared.bind(library.strerror, "sf_strerror");
    shared.bind(library.version_string, "sf_version_string");
    return shared.complete() ? &library : nullptr;
}

} // namespace

const SoundFileLibrary *sound_files() noexcept {
    static const SoundFileLibrary *const library = load();
    return library;
}

Result<const SoundFileLibrary *> need_sound_files() {
    if (const auto *library = sound_files()) return library;
    return fail(Errc::device, std::string("sound files need ") + soname + ", which is not installed");
}

} // namespace offhook::media
