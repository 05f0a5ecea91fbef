#include "bridge/gatekeeper.hpp"

#include <algorithm>
#include <charconv>

#include <openssl/crypto.h>

#include "base/random.hpp"
#include "bridge/flow_token.hpp"
#include "sip/digest.hpp"
#include "sip/grammar.hpp"

namespace offhook::bridge {

namespace {

constexpr std::size_t most_counts = 10'000, most_nonces = 4'096;
constexpr std::size_t nonce_payload = 12, nonce_mac = 16;

std::int64_t milliseconds(TimePoint when) {
    return std::chrono::duration_cast<Duration>(when.time_since_epoch()).count();
}

std::string source_key(const std::string &source) {
    return "\n" + source;
}

} // namespace

bool GuessLock::locked(const std::string &user, const std::string &source, TimePoint now) const {
    const auto shut = [&](const std::string &key) {
        const auto found = counts_.find(key);
        return found != counts_.end() && now < found->second.until;
    };
    return shut(user + "\n" + source) || shut(source_key(source));
}

bool GuessLock::count(const std::string &key, unsigned limit, TimePoint now) {
    Count &entry = counts_[key];
    if (now - entry.since > window)
        entry = {0, now - entry.until > longest_lock ? 0 : entry.locks, now, entry.until};
    if (++entry.failures < limit) return false;
    const Duration lock = std::min(longest_lock, first_lock * (1 << std::min(entry.locks, 4U)));
    entry.failures = 0;
    ++entry.locks;
    entry.until = now + lock;
    return true;
}

bool GuessLock::failed(const std::string &user, const std::string &source, TimePoint now) {
    if (counts_.size() >= most_counts) forget_some(now);
    const bool user_locked = count(user + "\n" + source, per_user, now);
    return count(source_key(source), per_source, now) || user_locked;
}

void GuessLock::succeeded(const std::string &user, const std::string &source) {
    counts_.erase(user + "\n" + source);
}

// Locks that are over go first; when an attacker fills the table with live ones, the address locks stay.
void GuessLock::forget_some(TimePoint now) {
    std::erase_if(counts_, [&](const auto &entry) {
        return now >= entry.second.until && now - entry.second.since > window;
    });
    if (counts_.size() < most_counts) return;
    std::erase_if(counts_, [](const auto &entry) { return entry.first.front() != '\n'; });
    if (counts_.size() >= most_counts) counts_.clear();
}

Gatekeeper::Gatekeeper(std::string realm, const std::vector<UserSettings> &users, std::string secret)
    : realm_(std::move(realm)), secret_(secret.empty() ? sip::random_token(32) : std::move(secret)) {
    for (const auto &user : users)
        users_.emplace(user.name, &user);
    nobody_.password = sip::random_token(32);
}

const UserSettings *Gatekeeper::user(std::string_view name) const noexcept {
    const auto found = users_.find(name);
    return found == users_.end() ? nullptr : found->second;
}

std::string Gatekeeper::make_nonce(TimePoint now) const {
    const auto time = static_cast<std::uint64_t>(milliseconds(now));
    std::string bytes;
    for (int shift = 56; shift >= 0; shift -= 8)
        bytes += static_cast<char>(time >> shift & 255);
    for (int i = 0; i < 4; ++i)
        bytes += static_cast<char>(random_u32() & 255);
    return base64url(bytes + mac(secret_, realm_ + bytes, nonce_mac));
}

Gatekeeper::Outcome Gatekeeper::check_nonce(const std::string &nonce, std::string_view nc, TimePoint now) {
    const auto bytes = from_base64url(nonce);
    if (!bytes || bytes->size() != nonce_payload + nonce_mac) return Outcome::challenge;
    const std::string payload = bytes->substr(0, nonce_payload);
    const std::string expected = mac(secret_, realm_ + payload, nonce_mac);
    if (CRYPTO_memcmp(expected.data(), bytes->data() + nonce_payload, nonce_mac) != 0)
        return Outcome::challenge;
    std::uint64_t made = 0;
    for (std::size_t i = 0; i < 8; ++i)
        made = made << 8 | static_cast<unsigned char>(payload[i]);
    const std::int64_t age = milliseconds(now) - static_cast<std::int64_t>(made);
    if (age < 0 || age > nonce_life.count()) return Outcome::stale;
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(nc.data(), nc.data() + nc.size(), number, 16);
    if (error != std::errc() || end != nc.data() + nc.size() || number == 0) return Outcome::challenge;
    return fresh_count(nonce, number) ? Outcome::ok : Outcome::stale;
}

// RFC 7616 §3.4: a count seen before is a replay. Those of nonces fallen out of the table are only bounded by
// the life of the nonce.
bool Gatekeeper::fresh_count(const std::string &nonce, std::uint32_t nc) {
    const auto [entry, added] = counts_.try_emplace(nonce);
    Seen &seen = entry->second;
    if (added) {
        order_.push_back(nonce);
        if (order_.size() > most_nonces) {
            counts_.erase(order_.front());
            order_.pop_front();
        }
    }
    if (nc > seen.newest) {
        const std::uint32_t ahead = nc - seen.newest;
        seen.mask = (ahead < 64 ? seen.mask << ahead : 0) | 1;
        seen.newest = nc;
        return true;
    }
    const std::uint32_t behind = seen.newest - nc;
    if (behind >= 64 || (seen.mask >> behind & 1) != 0) return false;
    seen.mask |= std::uint64_t{1} << behind;
    return true;
}

Gatekeeper::Verdict Gatekeeper::judge(const sip::Message &request, bool proxy, std::string_view claimed,
                                      const std::string &source, TimePoint now) {
    const std::string name(claimed);
    const auto id = proxy ? sip::HeaderId::proxy_authorization : sip::HeaderId::authorization;
    for (const auto &header : request.headers()) {
        if (header.id != id) continue;
        const auto given = sip::AuthParams::parse(header.value);
        if (!given || given->params.get("realm") != realm_) continue;
        if (lock_.locked(name, source, now)) return {Outcome::locked};
        // Without a password to try, nothing was guessed; the account may be somebody else's, too.
        const UserSettings *known = user(claimed);
        const bool has_secret = known != nullptr && !(known->password.empty() && known->ha1.empty());
        const UserSettings &against = has_secret ? *known : nobody_;
        const bool named = given->params.get("username") == claimed;
        const bool right =
            against.ha1.empty()
                ? sip::verify(*given, {name, against.password}, request.method_token(), request.body())
                : sip::verify_ha1(*given, name, against.ha1, request.method_token(), request.body());
        if (!right || !named || known == nullptr || given->params.get("qop").empty()) {
            const bool locked = lock_.failed(name, source, now);
            return {Outcome::challenge, nullptr, locked};
        }
        const Outcome nonce =
            check_nonce(std::string(given->params.get("nonce")), given->params.get("nc"), now);
        if (nonce != Outcome::ok) return {Outcome::stale};
        lock_.succeeded(name, source);
        return {Outcome::ok, known};
    }
    return {lock_.locked(name, source, now) ? Outcome::locked : Outcome::challenge};
}

sip::Draft Gatekeeper::challenge(const sip::Message &request, bool proxy, std::string_view claimed,
                                 bool stale, TimePoint now) const {
    auto draft = sip::Draft::response(request, proxy ? 407 : 401, {}, sip::random_token(8));
    const UserSettings *known = user(claimed);
    const DigestOffer offer = known != nullptr ? known->digest : DigestOffer::both;
    const bool md5_only = known != nullptr && !known->ha1.empty();
    const std::string start = "Digest realm=" + sip::grammar::quote(realm_) + ", nonce=\"" + make_nonce(now) +
                              R"(", qop="auth")" + (stale ? ", stale=true" : "") + ", algorithm=";
    const char *header = proxy ? "Proxy-Authenticate" : "WWW-Authenticate";
    if (offer != DigestOffer::md5 && !md5_only) draft.add(header, start + "SHA-256");
    if (offer != DigestOffer::sha256 || md5_only) draft.add(header, start + "MD5");
    return draft;
}

} // namespace offhook::bridge
