#include "sip/framing.hpp"

namespace offhook::sip {

Result<std::optional<Framing::Item>> SipFraming::next(std::span<char> &bytes) {
    if (!bytes.empty()) framer_.push({bytes.data(), bytes.size()});
    bytes = {};
    return framer_.next();
}

} // namespace offhook::sip
