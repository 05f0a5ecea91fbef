#include "sip/identity_headers.hpp"

#include <algorithm>

namespace offhook::sip {

namespace {

constexpr std::size_t most_diversions = 8;

// One of the headers behind the '?' of a URI, unescaped.
std::string uri_header(std::string_view headers, std::string_view wanted) {
    while (!headers.empty()) {
        const auto one = headers.substr(0, headers.find('&'));
        headers.remove_prefix(std::min(one.size() + 1, headers.size()));
        const auto equals = one.find('=');
        if (equals != std::string_view::npos && iequals(one.substr(0, equals), wanted))
            return unescape(one.substr(equals + 1));
    }
    return {};
}

// History-Info tells where a request went: the last entry is where it is now, those before it sent it on, for
// the Reason in their URI.
std::vector<Diversion> from_history(const Message &request) {
    std::vector<Diversion> diversions;
    const auto entries = request.list(HeaderId::history_info);
    for (std::size_t i = 0; i + 1 < entries.size() && diversions.size() < most_diversions; ++i) {
        auto entry = NameAddr::parse(entries[i]);
        if (!entry) continue;
        Diversion diversion;
        diversion.reason = uri_header(entry->uri.headers, "Reason");
        entry->uri.headers.clear();
        diversion.from = std::move(*entry);
        diversions.insert(diversions.begin(), std::move(diversion));
    }
    return diversions;
}

} // namespace

CallerFacts caller_facts(const Message &request) {
    CallerFacts facts;
    for (const std::string_view value : request.list(HeaderId::p_asserted_identity))
        if (auto identity = NameAddr::parse(value); identity && facts.asserted.size() < 2)
            facts.asserted.push_back(std::move(*identity));
    const std::string_view privacy = trim(request.value(HeaderId::privacy));
    facts.wants_privacy = !privacy.empty() && !iequals(privacy, "none");
    for (const std::string_view value : request.list(HeaderId::diversion)) {
        auto from = NameAddr::parse(value);
        if (!from || facts.diversions.size() >= most_diversions) continue;
        Diversion diversion;
        diversion.reason = from->params.get("reason");
        diversion.from = std::move(*from);
        facts.diversions.push_back(std::move(diversion));
    }
    if (facts.diversions.empty()) facts.diversions = from_history(request);
    return facts;
}

} // namespace offhook::sip
