#include "cmd/libraries.hpp"

#include <alsa/version.h>
#include <openssl/crypto.h>
#include <opus/opus.h>

#include "base/re.hpp"
#include "media/codec.hpp"
#include "media/sound_files.hpp"
#include "media/voice.hpp"
#include "sip/sctp.hpp"

namespace offhook::cmd {

std::vector<std::pair<std::string, std::string>> libraries() {
    std::vector<std::pair<std::string, std::string>> out{
        {"libre", sys_libre_version_get()},
        {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)},
        {"opus", opus_get_version_string()},
        {"sndfile",
         media::sound_files() != nullptr ? media::sound_files()->version_string() : "not installed"},
        {"alsa", SND_LIB_VERSION_STR},
    };
    std::string codecs;
    for (const auto &codec : media::codec_table())
        codecs += (codecs.empty() ? "" : " ") + std::string(codec.key);
    out.emplace_back("codecs", codecs);
    const bool g722 = media::find_codec("g722") != nullptr;
    out.emplace_back("spandsp", g722 ? "yes (G.722, DTMF in band)"
                                     : "no (G.722 and DTMF in band need libspandsp-dev at build time)");
    out.emplace_back("sctp", sip::kernel_has_sctp() ? "the kernel's"
                             : sip::has_usrsctp()   ? "usrsctp, in UDP"
                                                    : "no (needs libusrsctp-dev at build time)");
    const auto echo = media::echo_canceller_name();
    out.emplace_back("echo cancellation", echo.empty()
                                              ? "no (needs libwebrtc-audio-processing-dev at build time)"
                                              : std::string(echo));
    return out;
}

} // namespace offhook::cmd
