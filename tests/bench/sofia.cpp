// sofia-sip's parser, away from libre's headers: both have a macro or a function of the same name.
#include <string>

extern "C" {
#include <sofia-sip/msg_parser.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>
}

bool parse_with_sofia(const std::string &bytes);

bool parse_with_sofia(const std::string &bytes) {
    msg_t *message = msg_make(sip_default_mclass(), 0, bytes.data(), static_cast<ssize_t>(bytes.size()));
    if (message == nullptr) return false;
    const sip_t *sip = sip_object(message);
    const bool good = sip != nullptr && sip->sip_error == nullptr && sip->sip_cseq != nullptr;
    msg_destroy(message);
    return good;
}
