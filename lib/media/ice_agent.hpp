// A full ICE agent (RFC 8445) for one media stream of one or two components, with consent (RFC 7675) and
// restart. Pure: datagrams and time in, datagrams and news out. The caller owns the sockets ("bases": a UDP
// socket, or an allocation on a TURN server) and calls tick() at next_tick().
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "media/ice.hpp"

namespace offhook::media {

struct IceBase {
    unsigned component = 1;
    Address
        address; // as the peer would see it without a NAT; of a relayed base: the server's relayed address
    bool relayed = false;
    std::uint16_t preference = 65535; // among bases of its kind (RFC 8445 §5.1.2.1)
};

class IceAgent {
public:
    struct Timing {
        Duration pace{20};        // between new checks (Ta)
        Duration nominate{150};   // a better pair is waited for so long after the first good one
        Duration give_up{15'000}; // no pair for every component until then: failed
        Duration consent{5'000};  // between consent checks, times 0.8 to 1.2
        Duration consent_lasts{30'000};
    };
    struct Send {
        std::size_t base = 0;
        Address to;
        std::vector<std::uint8_t> bytes;
    };
    struct Selected {
        std::size_t base = 0;
        Address remote;
        friend bool operator==(const Selected &, const Selected &) = default;
    };
    struct Step {
        std::vector<Send> send;
        bool selected = false;       // selected() of some component is new or another
        bool faltering = false;      // a third of consent_lasts is over without an answer: time for a restart
        std::optional<Error> failed; // Errc::media; told once
    };

    IceAgent(std::vector<IceBase> bases, IceCredentials local, bool controlling, Timing timing);

    [[nodiscard]] const IceCredentials &local() const noexcept { return local_; }
    [[nodiscard]] bool controlling() const noexcept { return controlling_; }
    // Our side of a restart (RFC 8445 §9). The selected pairs carry on until the new checks have found
    // theirs.
    void restart(IceCredentials local);
    // The peer's description, `components` 1 with rtcp-mux. Another ufrag or password than before is its side
    // of a restart; the same again changes nothing.
    Step set_remote(const IceDescription &remote, unsigned components, TimePoint now);

    // Another candidate of the peer, of the description set last: its address was not known then.
    void add_remote(const IceCandidate &candidate);

    // Any STUN datagram that came to a base.
    Step received(std::size_t base, const Address &from, Bytes datagram, TimePoint now);
    Step tick(TimePoint now);
    [[nodiscard]] std::optional<TimePoint> next_tick() const;

    [[nodiscard]] const std::optional<Selected> &selected(unsigned component) const noexcept {
        return chosen_.at(component - 1).pair;
    }
    [[nodiscard]] bool complete() const noexcept; // every component has its pair
    // `from` has proved to be the peer, by a check of its own or an answer to ours: media may come from
    // there.
    [[nodiscard]] bool validated(const Address &from) const noexcept;

private:
    enum class State : std::uint8_t { waiting, in_progress, succeeded, failed };
    struct Remote {
        Address address;
        unsigned component = 1;
        std::uint32_t priority = 0;
    };
    struct Pair {
        std::size_t base = 0;
        Remote remote;
        State state = State::waiting;
        bool nominate = false;  // the check says USE-CANDIDATE
        bool nominated = false; // the peer said so
        bool triggered = false; // goes before the others
        StunTransaction transaction{};
        unsigned sent = 0;
        TimePoint resend{};
    };
    struct Early { // a check that came before the peer's description
        std::size_t base = 0;
        Address from;
        std::uint32_t priority = 0;
        bool use_candidate = false;
    };
    struct Chosen { // of one component
        std::optional<Selected> pair;
        IceCredentials local,
            remote; // that consent is asked with: an old session's until a restart is through
        TimePoint asked{}, next{}, heard{};
        std::array<StunTransaction, 4> asking{}; // the last ones
        std::size_t asks = 0;
        bool faltering = false;
    };

    [[nodiscard]] std::uint64_t priority(const Pair &pair) const noexcept;
    [[nodiscard]] static std::uint32_t base_priority(const IceBase &base) noexcept;
    Pair *find_pair(std::size_t base, const Address &remote) noexcept;
    Pair *add_pair(std::size_t base, const Remote &remote);
    void pair_up(const Remote &remote);
    void checked_by_peer(const Early &check, Step &step, TimePoint now);
    void answer_request(const StunMessage &message, std::size_t base, const Address &from, Step &step,
                        TimePoint now);
    bool resolve_conflict(const IceCheck &check) noexcept; // false: the peer has to change its role
    void take_response(const StunMessage &message, std::size_t base, const Address &from, Step &step,
                       TimePoint now);
    bool take_consent(const StunMessage &message, const Address &from, TimePoint now) noexcept;
    void succeed(Pair &pair, Step &step, TimePoint now);
    void select(Pair &pair, Step &step, TimePoint now);
    void send_check(Pair &pair, Step &step, TimePoint now);
    void retransmit(Step &step, TimePoint now);
    void start_next(Step &step, TimePoint now);
    void nominate(TimePoint now);
    [[nodiscard]] Pair *best_valid(unsigned component) noexcept;
    [[nodiscard]] bool better_pending(const Pair &than) const noexcept;
    void ask_consent(Step &step, TimePoint now);
    void fail_with(Step &step, std::string why);
    [[nodiscard]] std::vector<std::uint8_t> check_packet(const StunTransaction &transaction,
                                                         const IceBase &base, const IceCredentials &local,
                                                         const IceCredentials &remote,
                                                         bool use_candidate) const;

    std::vector<IceBase> bases_;
    IceCredentials local_;
    std::optional<IceCredentials> local_before_; // during a restart
    bool controlling_;
    std::uint64_t tie_breaker_;
    Timing timing_;
    std::optional<IceCredentials> remote_;
    bool checking_ = false; // checks are under way
    bool failed_ = false;
    unsigned components_ = 1;
    std::vector<Pair> pairs_;
    std::vector<Early> early_;
    std::vector<Address> validated_;
    std::array<Chosen, 2> chosen_;
    TimePoint started_{}, next_start_{};
    std::optional<TimePoint> first_valid_;
    bool patience_over_ = false; // with better pairs
};

} // namespace offhook::media
