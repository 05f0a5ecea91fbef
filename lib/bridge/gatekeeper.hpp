// Who may come in: digest authentication of the users (RFC 3261 §22, RFC 7616, RFC 8760) with nonces that
// need no memory, and a lock against guessing. Pure: the time is given.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "bridge/settings.hpp"
#include "sip/draft.hpp"
#include "sip/headers.hpp"

namespace offhook::bridge {

// Wrong answers in a row cost time: 5 for one user from one address, 20 from one address, then 60 s, doubled
// with each further lock, at most 15 min. Remembers at most 10,000 pairs.
class GuessLock {
public:
    static constexpr Duration window{60'000}, first_lock{60'000}, longest_lock{900'000};
    static constexpr unsigned per_user = 5, per_source = 20;

    [[nodiscard]] bool locked(const std::string &user, const std::string &source, TimePoint now) const;
    // True when this failure locked somebody out.
    bool failed(const std::string &user, const std::string &source, TimePoint now);
    void succeeded(const std::string &user, const std::string &source);

private:
    struct Count {
        unsigned failures = 0, locks = 0;
        TimePoint since{}, until{};
    };
    bool count(const std::string &key, unsigned limit, TimePoint now);
    void forget_some(TimePoint now);
    std::unordered_map<std::string, Count> counts_;
};

class Gatekeeper {
public:
    enum class Outcome : std::uint8_t { ok, challenge, stale, locked };
    struct Verdict {
        Outcome outcome = Outcome::challenge;
        const UserSettings *user = nullptr; // with ok
        bool now_locked = false;            // this attempt was the one too many
        std::optional<std::int64_t> until;  // with ok: the proof is good until then, seconds since 1970
    };

    static constexpr Duration nonce_life{300'000};

    // `users` outlive it unchanged.
    Gatekeeper(std::string realm, const std::vector<UserSettings> &users, std::string secret);

    [[nodiscard]] const UserSettings *user(std::string_view name) const noexcept;
    // Judges Authorization (or Proxy-Authorization when `proxy`) of `request`. `claimed`: the user the
    // request says it comes from; another one's password does not do.
    Verdict judge(const sip::Message &request, bool proxy, std::string_view claimed,
                  const std::string &source, TimePoint now);
    // 401 or 407 with the challenges for `claimed`, MD5 last (JavaScript libraries take the last).
    [[nodiscard]] sip::Draft challenge(const sip::Message &request, bool proxy, std::string_view claimed,
                                       bool stale, TimePoint now) const;

private:
    [[nodiscard]] std::string make_nonce(TimePoint now) const;
    [[nodiscard]] Outcome check_nonce(const std::string &nonce, std::string_view nc, TimePoint now);
    bool fresh_count(const std::string &nonce, std::uint32_t nc);

    struct Seen { // a window of nonce counts, newest in bit 0
        std::uint32_t newest = 0;
        std::uint64_t mask = 0;
    };

    std::string realm_, secret_;
    std::unordered_map<std::string_view, const UserSettings *> users_;
    UserSettings nobody_;
    GuessLock lock_;
    std::unordered_map<std::string, Seen> counts_; // by nonce
    std::deque<std::string> order_;                // of counts_, oldest first
};

} // namespace offhook::bridge
