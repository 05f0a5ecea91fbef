// An ICE-lite agent (RFC 8445 §2.5) for one component, pure: for sockets that everybody can reach. It answers
// checks, takes the pair that the peer nominates, and knows when the peer's consent (RFC 7675) has run out.
// The caller sends what it returns and gives it the time.
#pragma once

#include "base/clock.hpp"
#include "media/ice.hpp"

namespace offhook::media {

class IceLite {
public:
    static constexpr Duration consent_lasts{30'000};

    struct Outcome {
        std::vector<std::uint8_t> reply; // to `from`; empty: say nothing
        bool accepted = false;           // an authenticated check: `from` is validated
        bool moved = false;              // selected() is another address now
    };

    explicit IceLite(IceCredentials local) : local_(std::move(local)) {}

    // The peer's ufrag, once its description is there: checks that name another are refused from then on.
    void set_remote(std::string ufrag) { remote_ufrag_ = std::move(ufrag); }
    // ICE restart (RFC 8445 §9): new credentials. The old ones serve until a pair is nominated by the new
    // ones.
    void restart(IceCredentials local);

    // Any STUN datagram. What is not a Binding request with our credentials changes nothing.
    // `path`: which of the caller's sockets it came by, where it has several; addresses of one are not those
    // of another.
    Outcome received(const Address &from, Bytes datagram, TimePoint now, std::uint32_t path = 0);

    [[nodiscard]] const IceCredentials &local() const noexcept { return local_; }
    // Where the peer wants its media, by its last nomination. Media and DTLS come from there and nowhere
    // else.
    [[nodiscard]] const std::optional<Address> &selected() const noexcept { return selected_; }
    [[nodiscard]] bool is_selected(const Address &address, std::uint32_t path = 0) const noexcept {
        return path == path_ && selected_ == address;
    }
    // No authenticated check for consent_lasts, counted from the first nomination.
    [[nodiscard]] bool consent_lost(TimePoint now) const noexcept {
        return selected_ && now - last_check_ >= consent_lasts;
    }

private:
    IceCredentials local_;
    std::optional<IceCredentials> before_; // while a restart is under way
    std::string remote_ufrag_;
    std::optional<Address> selected_;
    std::uint32_t path_ = 0;
    TimePoint last_check_{};
};

} // namespace offhook::media
