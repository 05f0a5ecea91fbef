#include "bridge/anchor.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "bridge/anchor_leg.hpp"
#include "bridge/interwork.hpp"
#include "bridge/relay.hpp"
#include "bridge/relay_plan.hpp"
#include "media/media_ports.hpp"

namespace offhook::bridge {

namespace {

class AnchorSession final : public MediaSession, public std::enable_shared_from_this<AnchorSession> {
public:
    struct Place { // what the plane gives to its sessions
        const Settings *settings;
        std::shared_ptr<const media::DtlsIdentity> identity;
        std::shared_ptr<LoopMailbox> mailbox;
        std::shared_ptr<MediaWorker> worker;
        std::shared_ptr<IcePorts> ports; // null: each leg has its own
        std::shared_ptr<IceGate> gate;
        std::shared_ptr<PacketLog> log; // may be null
        TranscodeLimit *transcoding;    // outlives them
    };

    AnchorSession(Place place, bool caller_web, const Address &caller, MediaPlane::Listener &listener);
    ~AnchorSession() override;
    AnchorSession(const AnchorSession &) = delete;
    AnchorSession &operator=(const AnchorSession &) = delete;

    void add_branch(unsigned branch, bool web, const Address &remote) override;
    void offer(End from, unsigned branch, const std::string &sdp, Done done) override;
    void answer(End from, unsigned branch, const std::string &sdp, Done done) override;
    void keep_answer(unsigned branch, bool only) override;
    [[nodiscard]] bool answer_holds(unsigned branch) const override;
    std::optional<std::string> restart(End from, unsigned branch, const std::string &sdp) override;
    void roll_back(unsigned branch) override;
    void settle(unsigned branch) override;
    void release(unsigned branch) override;
    bool send_digit(End to, char digit, Duration length) override;
    bool request_key_frame(End to) override;
    void impatient(End end, bool on) override;
    [[nodiscard]] MediaFacts facts(End end) const override;

private:
    struct Branch {
        std::unique_ptr<AnchorLeg> leg;
        std::unique_ptr<Interwork> interwork;
    };
    // What worker callbacks may still reach after the session is gone.
    struct Link {
        MediaPlane::Listener *listener;
        TimePoint started;
        bool up = false;
    };

    [[nodiscard]] std::unique_ptr<AnchorLeg> make_leg(unsigned id, bool web, const Address &remote) const;
    void in_worker(std::function<void(Relay &)> task) const {
        place_.worker->post([relay = relay_, task = std::move(task)] { task(*relay); });
    }
    void tell_fingerprints(unsigned branch);
    bool admit_transcoding(const Interwork &interwork); // false: there are too many already
    void configure(unsigned branch);
    [[nodiscard]] Branch *find(unsigned branch);

    Place place_;
    std::shared_ptr<Link> link_;
    std::shared_ptr<RelayCounters> counters_ = std::make_shared<RelayCounters>();
    std::shared_ptr<Relay> relay_;
    std::unique_ptr<AnchorLeg> caller_;
    std::vector<Branch> branches_;
    std::vector<KeptLine> kept_; // what the caller was told first, while forks may answer
    unsigned settled_ = 0;
    bool transcodes_ = false; // and has its place
};

AnchorSession::AnchorSession(Place place, bool caller_web, const Address &caller,
                             MediaPlane::Listener &listener)
    : place_(std::move(place)),
      link_(std::make_shared<Link>(Link{&listener, std::chrono::steady_clock::now(), false})) {
    // The listener is told from the loop, and only while the session lives.
    const auto post = [mailbox = place_.mailbox, link = link_](std::function<void(Link &)> tell) {
        mailbox->post([link, tell = std::move(tell)] {
            if (link->listener != nullptr) tell(*link);
        });
    };
    Relay::Events events;
    events.up = [post] {
        post([](Link &link) {
            if (std::exchange(link.up, true)) return;
            link.listener->on_media_up(
                std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - link.started));
        });
    };
    events.lost = [post](End end, const std::string &why) {
        post([end, why](Link &link) { link.listener->on_media_lost(end, why); });
    };
    events.key_frame = [post](End from) {
        post([from](Link &link) { link.listener->on_key_frame_wanted(from); });
    };
    relay_ = std::make_shared<Relay>(*place_.worker, counters_, std::move(events), place_.log);
    in_worker([](Relay &relay) { relay.start(); });
    caller_ = make_leg(0, caller_web, caller);
}

AnchorSession::~AnchorSession() {
    if (transcodes_) place_.transcoding->give_back();
    link_->listener = nullptr;
    caller_.reset(); // the relay ends in its worker
    branches_.clear();
    place_.worker->post([relay = std::move(relay_)] { relay->close(); });
}

std::unique_ptr<AnchorLeg> AnchorSession::make_leg(unsigned id, bool web, const Address &remote) const {
    return std::make_unique<AnchorLeg>(
        AnchorLeg::Ground{place_.settings, place_.identity, place_.worker, place_.ports, place_.gate, relay_},
        id, web, remote);
}

void AnchorSession::add_branch(unsigned branch, bool web, const Address &remote) {
    if (branches_.size() <= branch) branches_.resize(branch + 1);
    Branch &added = branches_[branch];
    added.leg = make_leg(branch + 1, web, remote);
    const bool transcode = transcodes_ || place_.transcoding->room();
    added.interwork = std::make_unique<Interwork>(caller_->own, added.leg->own,
                                                  Interwork::Options{place_.settings->codecs, transcode});
}

AnchorSession::Branch *AnchorSession::find(unsigned branch) {
    return branch < branches_.size() && branches_[branch].interwork ? &branches_[branch] : nullptr;
}

void AnchorSession::tell_fingerprints(unsigned branch) {
    for (const End end : {End::caller, End::callee})
        if (const auto &print = branches_[branch].interwork->fingerprint(end); !print.empty())
            in_worker([id = end == End::caller ? 0 : branch + 1, print](Relay &relay) {
                relay.set_fingerprint(id, print);
            });
}

bool AnchorSession::admit_transcoding(const Interwork &interwork) {
    if (transcodes_ || std::ranges::none_of(interwork.lines(), &Line::transcoded)) return true;
    if (!place_.transcoding->room()) return false;
    place_.transcoding->take();
    return transcodes_ = true;
}

void AnchorSession::offer(End from, unsigned branch, const std::string &sdp, Done done) {
    Branch *known = find(branch);
    if (known == nullptr) return done(fail(Errc::internal, "no such branch", 500));
    auto out = known->interwork->offer(from, sdp);
    // A port for the answer, too: known now, and not when somebody has answered.
    AnchorLeg &own = from == End::caller ? *caller_ : *known->leg;
    const auto &lines = known->interwork->lines();
    for (std::size_t i = 0; out && i < lines.size(); ++i)
        if (!lines[i].at(from).rejected)
            if (auto place = own.own.place(i); !place) out = tl::unexpected(place.error());
    if (out) {
        tell_fingerprints(branch);
    } else {
        known->interwork->roll_back();
        if (out.error().code == Errc::network) log_warning("bridge: a call is refused: " + out.error().what);
    }
    done(std::move(out));
}

void AnchorSession::answer(End from, unsigned branch, const std::string &sdp, Done done) {
    Branch *known = find(branch);
    if (known == nullptr) return done(fail(Errc::internal, "no such branch", 500));
    auto out = known->interwork->answer(from, sdp);
    if (out && !admit_transcoding(*known->interwork))
        out = fail(Errc::media,
                   "no codec in common, and no more than " + std::to_string(place_.transcoding->most()) +
                       " calls are transcoded",
                   488);
    if (out) {
        tell_fingerprints(branch);
        configure(branch);
    }
    done(std::move(out));
}

void AnchorSession::keep_answer(unsigned branch, bool only) {
    if (find(branch) == nullptr) return;
    kept_ = branches_[branch].interwork->told(End::caller);
    for (auto &other : branches_)
        if (other.interwork) other.interwork->keep(kept_, only);
}

bool AnchorSession::answer_holds(unsigned branch) const {
    return kept_.empty() || still_holds(kept_, branches_[branch].interwork->told(End::caller));
}

std::optional<std::string> AnchorSession::restart(End from, unsigned branch, const std::string &sdp) {
    Branch *known = find(branch); // the relay takes checks of any candidate pair and stays with the last
    return known == nullptr ? std::nullopt : known->interwork->restart(from, sdp);
}

void AnchorSession::configure(unsigned branch) {
    in_worker([branch, plan = plan_of(*branches_[branch].interwork), caller = caller_->signalling,
               callee = branches_[branch].leg->signalling](Relay &relay) mutable {
        relay.configure(branch, std::move(plan), caller, callee);
    });
}

void AnchorSession::roll_back(unsigned branch) {
    if (Branch *known = find(branch)) known->interwork->roll_back();
}

void AnchorSession::settle(unsigned branch) {
    settled_ = branch;
    kept_.clear();
    if (Branch *known = find(branch)) known->interwork->keep({}, false);
    in_worker([branch](Relay &relay) { relay.settle(branch); });
}

void AnchorSession::release(unsigned branch) {
    in_worker([branch](Relay &relay) { relay.release(branch); });
}

bool AnchorSession::send_digit(End to, char digit, Duration length) {
    Branch *known = find(settled_);
    if (known == nullptr) return false;
    const auto &lines = known->interwork->lines();
    const bool possible =
        std::ranges::any_of(lines, [&](const Line &line) { return line.event_for(to).has_value(); });
    if (possible) in_worker([to, digit, length](Relay &relay) { relay.send_digit(to, digit, length); });
    return possible;
}

bool AnchorSession::request_key_frame(End to) {
    in_worker([to](Relay &relay) { relay.request_key_frame(to); });
    return true;
}

void AnchorSession::impatient(End end, bool on) {
    in_worker([end, on](Relay &relay) { relay.impatient(end, on); });
}

MediaFacts AnchorSession::facts(End end) const {
    const auto &side = counters_->ends[static_cast<std::size_t>(end)];
    return {side.in.load(), side.out.load(), 0, side.rejected.load()};
}

} // namespace

AnchorPlane::AnchorPlane(const Settings &settings, std::shared_ptr<const media::DtlsIdentity> identity,
                         std::shared_ptr<PacketLog> log)
    : settings_(settings), identity_(std::move(identity)), log_(std::move(log)),
      mailbox_(std::make_shared<LoopMailbox>()), transcoding_(settings.transcode) {}

AnchorPlane::~AnchorPlane() = default;

Result<std::unique_ptr<AnchorPlane>> AnchorPlane::open(const Settings &settings,
                                                       std::shared_ptr<PacketLog> log) {
    auto identity = media::DtlsIdentity::of_process();
    if (!identity) return fail(identity.error());
    std::unique_ptr<AnchorPlane> plane(new AnchorPlane(settings, std::move(*identity), std::move(log)));
    for (unsigned i = 0; i < std::max(1U, settings.media_workers); ++i) {
        auto worker = MediaWorker::start();
        if (!worker) return fail(worker.error());
        if (settings.ice_port != 0) {
            const auto port = static_cast<std::uint16_t>(settings.ice_port + i);
            // Known now rather than with the first call, when the addresses are known.
            if (auto free = media::open_shared_port(Address::any(AF_INET, port)); !free)
                return fail(free.error());
            plane->ports_.push_back(std::make_shared<IcePorts>(**worker, port, plane->strangers_));
        }
        plane->workers_.push_back(std::move(*worker));
    }
    return plane;
}

void AnchorPlane::accept_tcp(const sip::Transports &transports, sip::WebServer &server) {
    std::vector<Address> listeners = transports.local_addresses(sip::TransportKind::wss);
    std::ranges::copy(transports.local_addresses(sip::TransportKind::ws), std::back_inserter(listeners));
    gate_->set_listeners(std::move(listeners));
    server.set_guest(gate_.get());
}

Result<std::unique_ptr<MediaSession>> AnchorPlane::open(const std::string &, bool caller_web,
                                                        const Address &caller, Listener &listener) {
    const std::size_t at = next_worker_++ % workers_.size();
    return std::unique_ptr<MediaSession>(std::make_unique<AnchorSession>(
        AnchorSession::Place{&settings_, identity_, mailbox_, workers_[at],
                             ports_.empty() ? nullptr : ports_[at], gate_, log_, &transcoding_},
        caller_web, caller, listener));
}

} // namespace offhook::bridge
