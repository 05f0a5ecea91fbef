// header_id(): the names of RFC 3261 §20 and its extensions in a hash table made by the compiler.
#include <array>

#include "sip/grammar.hpp"
#include "sip/message.hpp"

namespace offhook::sip {

namespace {

struct Name {
    std::string_view text; // lower case
    HeaderId id;
};

constexpr Name names[] = {
    {"via", HeaderId::via},
    {"v", HeaderId::via},
    {"from", HeaderId::from},
    {"f", HeaderId::from},
    {"to", HeaderId::to},
    {"t", HeaderId::to},
    {"call-id", HeaderId::call_id},
    {"i", HeaderId::call_id},
    {"cseq", HeaderId::cseq},
    {"contact", HeaderId::contact},
    {"m", HeaderId::contact},
    {"max-forwards", HeaderId::max_forwards},
    {"content-length", HeaderId::content_length},
    {"l", HeaderId::content_length},
    {"content-type", HeaderId::content_type},
    {"c", HeaderId::content_type},
    {"content-encoding", HeaderId::content_encoding},
    {"e", HeaderId::content_encoding},
    {"content-disposition", HeaderId::content_disposition},
    {"route", HeaderId::route},
    {"record-route", HeaderId::record_route},
    {"require", HeaderId::require},
    {"proxy-require", HeaderId::proxy_require},
    {"supported", HeaderId::supported},
    {"k", HeaderId::supported},
    {"unsupported", HeaderId::unsupported},
    {"allow", HeaderId::allow},
    {"accept", HeaderId::accept},
    {"accept-encoding", HeaderId::accept_encoding},
    {"expires", HeaderId::expires},
    {"min-expires", HeaderId::min_expires},
    {"www-authenticate", HeaderId::www_authenticate},
    {"proxy-authenticate", HeaderId::proxy_authenticate},
    {"authorization", HeaderId::authorization},
    {"proxy-authorization", HeaderId::proxy_authorization},
    {"authentication-info", HeaderId::authentication_info},
    {"retry-after", HeaderId::retry_after},
    {"reason", HeaderId::reason},
    {"warning", HeaderId::warning},
    {"date", HeaderId::date},
    {"user-agent", HeaderId::user_agent},
    {"server", HeaderId::server},
    {"subject", HeaderId::subject},
    {"s", HeaderId::subject},
    {"alert-info", HeaderId::alert_info},
    {"call-info", HeaderId::call_info},
    {"refer-to", HeaderId::refer_to},
    {"r", HeaderId::refer_to},
    {"referred-by", HeaderId::referred_by},
    {"b", HeaderId::referred_by},
    {"replaces", HeaderId::replaces},
    {"event", HeaderId::event},
    {"o", HeaderId::event},
    {"subscription-state", HeaderId::subscription_state},
    {"allow-events", HeaderId::allow_events},
    {"u", HeaderId::allow_events},
    {"rseq", HeaderId::rseq},
    {"rack", HeaderId::rack},
    {"session-expires", HeaderId::session_expires},
    {"x", HeaderId::session_expires},
    {"min-se", HeaderId::min_se},
    {"path", HeaderId::path},
    {"service-route", HeaderId::service_route},
    {"p-asserted-identity", HeaderId::p_asserted_identity},
    {"privacy", HeaderId::privacy},
    {"diversion", HeaderId::diversion},
    {"history-info", HeaderId::history_info},
};

constexpr std::size_t slots = 256;

constexpr std::size_t slot_of(std::string_view name) noexcept {
    const auto code = [](char c) { return std::size_t{static_cast<unsigned char>(grammar::lower(c))}; };
    return (name.size() * 37 + code(name.front()) * 5 + code(name.back()) * 11 +
            code(name[name.size() / 2]) * 3) %
           slots;
}

// Index into names + 1; 0 is empty. Open addressing; at most a quarter of the slots is in use.
consteval std::array<std::uint8_t, slots> make_table() {
    std::array<std::uint8_t, slots> table{};
    std::uint8_t number = 0;
    for (const Name &name : names) {
        std::size_t slot = slot_of(name.text);
        while (table[slot] != 0)
            slot = (slot + 1) % slots;
        table[slot] = ++number;
    }
    return table;
}
constexpr std::array<std::uint8_t, slots> table = make_table();

} // namespace

HeaderId header_id(std::string_view name) noexcept {
    if (name.empty()) return HeaderId::other;
    for (std::size_t slot = slot_of(name); table[slot] != 0; slot = (slot + 1) % slots)
        if (const Name &candidate = names[table[slot] - 1]; iequals(candidate.text, name))
            return candidate.id;
    return HeaderId::other;
}

} // namespace offhook::sip
