#include <algorithm>
#include <span>

#include "sip/challenges.hpp"
#include "sip/request.hpp"

namespace offhook::sip {

namespace {

constexpr std::size_t max_known = 8; // realms an account meets; a server that invents more gets no room
constexpr std::size_t max_tried_calls = 32; // requests under way at once

// The strongest challenge of each realm.
std::vector<Challenge> best_per_realm(const std::vector<Challenge> &challenges, bool proxy) {
    std::vector<Challenge> ours;
    std::vector<Challenge> best;
    std::copy_if(challenges.begin(), challenges.end(), std::back_inserter(ours),
                 [proxy](const Challenge &challenge) { return challenge.proxy == proxy; });
    for (const auto &challenge : ours) {
        const bool seen = std::any_of(best.begin(), best.end(),
                                      [&](const Challenge &other) { return other.realm == challenge.realm; });
        if (seen) continue;
        std::vector<Challenge> same;
        std::copy_if(ours.begin(), ours.end(), std::back_inserter(same),
                     [&](const Challenge &other) { return other.realm == challenge.realm; });
        if (auto one = strongest(same)) best.push_back(std::move(*one));
    }
    return best;
}

} // namespace

std::vector<Challenge> challenges_of(const Message &response) {
    std::vector<Challenge> out;
    for (const auto &header : response.headers()) {
        const bool proxy = header.id == HeaderId::proxy_authenticate;
        if (!proxy && header.id != HeaderId::www_authenticate) continue;
        if (auto challenge = Challenge::parse(header.value, proxy)) out.push_back(std::move(*challenge));
    }
    return out;
}

bool Authenticator::acceptable(const Challenge &challenge) const {
    if (!options_.realm.empty() && challenge.realm != options_.realm) return false;
    const bool weak =
        challenge.algorithm == DigestAlgorithm::md5 && !challenge.qop_auth && !challenge.qop_auth_int;
    return options_.allow_weak || !weak;
}

// True when this request may answer the challenge: for the first time, or because only the nonce was old.
bool Authenticator::learn(const Challenge &challenge, std::string_view call_id) {
    auto known = std::find_if(known_.begin(), known_.end(), [&](const Known &k) {
        return k.challenge.realm == challenge.realm && k.challenge.proxy == challenge.proxy;
    });
    if (known == known_.end()) {
        if (known_.size() >= max_known) known_.erase(known_.begin());
        known = known_.insert(known_.end(), Known{challenge, {}, {}});
    }
    const bool tried = std::find(known->tried.begin(), known->tried.end(), call_id) != known->tried.end();
    if (tried && !challenge.stale) return false;
    if (known->challenge.nonce != challenge.nonce) known->nonce = {};
    known->challenge = challenge;
    if (known->tried.size() >= max_tried_calls) known->tried.erase(known->tried.begin());
    if (!tried) known->tried.emplace_back(call_id);
    return true;
}

bool Authenticator::answer(const Message &response, bool trusted, Draft &request) {
    if (!trusted || options_.credentials.user.empty()) return false;
    auto challenges = challenges_of(response);
    std::erase_if(challenges, [this](const Challenge &challenge) { return !acceptable(challenge); });
    const std::string call_id(request.get("Call-ID"));
    bool answered = false;
    for (bool proxy : {false, true})
        for (const auto &challenge : best_per_realm(challenges, proxy))
            answered = learn(challenge, call_id) || answered;
    if (answered) apply_cached(trusted, request); // all of them: each nonce count moves on with every request
    return answered;
}

void Authenticator::apply_cached(bool trusted, Draft &request) {
    if (!trusted || known_.empty()) return;
    request.erase("Authorization").erase("Proxy-Authorization");
    for (auto &known : known_)
        request.add(known.challenge.proxy ? "Proxy-Authorization" : "Authorization",
                    authorize(known.challenge, options_.credentials, request.method, request.uri,
                              request.body, known.nonce));
}

void Authenticator::begin() {
    for (auto &known : known_)
        known.tried.clear();
}

} // namespace offhook::sip
