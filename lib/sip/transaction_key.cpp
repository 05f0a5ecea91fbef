#include "sip/transaction_key.hpp"

#include <algorithm>
#include <cctype>

namespace offhook::sip {

namespace {

constexpr std::string_view magic_cookie = "z9hG4bK";

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

// Line feeds cannot occur in header values, so that no two lists of parts give one key.
std::string join(std::initializer_list<std::string_view> parts) {
    std::string key;
    for (auto part : parts)
        key.append(part).push_back('\n');
    return key;
}

} // namespace

bool has_magic_cookie(std::string_view branch) noexcept {
    return branch.size() > magic_cookie.size() &&
           iequals(branch.substr(0, magic_cookie.size()), magic_cookie);
}

std::string client_key(std::string_view branch, std::string_view method) {
    return join({branch, method});
}

Result<std::string> server_key(const Message &request) {
    const auto via = request.top_via();
    if (!via) return fail(via.error());
    const bool of_invite = request.method() == Method::ack || request.method() == Method::cancel;
    const std::string_view method = of_invite ? name(Method::invite) : request.method_token();
    if (has_magic_cookie(via->branch()))
        return join({via->branch(), lower(via->host), std::to_string(via->port), method});
    const auto from = request.from();
    if (!from) return fail(from.error());
    const auto cseq = request.cseq();
    if (!cseq) return fail(cseq.error());
    return join({"2543", request.request_uri(), from->tag(), request.call_id(), std::to_string(cseq->number),
                 method, via->encode()});
}

} // namespace offhook::sip
