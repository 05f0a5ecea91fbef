#include "bridge/anchor.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "base/random.hpp"
#include "bridge/interwork.hpp"
#include "bridge/relay.hpp"
#include "bridge/relay_plan.hpp"
#include "media/media_ports.hpp"
#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

constexpr std::size_t most_lines = 8;
constexpr std::uint32_t udp_priority = 2130706431; // RFC 8445 §5.1.2.1: a host candidate
constexpr std::uint32_t tcp_priority = 2124414975; // RFC 6544 §4.2: a passive one, behind UDP

// One end of a call: what its descriptions say about us, and where its sockets are.
struct Leg {
    Leg() = default;
    ~Leg() {
        if (gate) gate->remove(ufrag);
    }
    Leg(const Leg &) = delete;
    Leg &operator=(const Leg &) = delete;

    OwnEnd own;
    Address bind, signalling;
    std::string ufrag, password; // of browsers
    std::uint16_t tcp_port = 0;  // of a passive TCP candidate (RFC 6544); 0: none
    std::vector<std::uint16_t> ports;
    std::shared_ptr<IceGate> gate; // where it is known for TCP
};

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
        std::unique_ptr<Leg> leg;
        std::unique_ptr<Interwork> interwork;
    };
    // What worker callbacks may still reach after the session is gone.
    struct Link {
        MediaPlane::Listener *listener;
        TimePoint started;
        bool up = false;
    };

    std::unique_ptr<Leg> make_leg(unsigned id, bool web, const Address &remote);
    void offer_tcp(Leg &leg, unsigned id);
    Result<OwnPlace> place_of(Leg &leg, unsigned id, std::size_t line);
    Result<std::uint16_t> port_of(Leg &leg, unsigned id, std::size_t line);
    Result<std::uint16_t> web_port(Leg &leg, unsigned id);
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
    std::unique_ptr<Leg> caller_;
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
    place_.worker->post([relay = std::move(relay_)] { relay->close(); });
}

std::unique_ptr<Leg> AnchorSession::make_leg(unsigned id, bool web, const Address &remote) {
    auto leg = std::make_unique<Leg>();
    const auto &settings = *place_.settings;
    const Address anywhere = Address::parse("192.0.2.1").value(); // whatever the route, it tells our address
    const auto local = local_address_towards((remote.is_set() ? remote : anywhere).with_port(9));
    leg->bind = (local ? *local : Address::any(AF_INET)).with_port(0);
    leg->signalling = remote;
    leg->own.web = web;
    leg->own.connection = {leg->bind.ip(), leg->bind.family() == AF_INET6};
    if (!settings.public_address.empty()) {
        const auto shown = Address::parse(settings.public_address);
        leg->own.connection = {settings.public_address, shown && shown->family() == AF_INET6};
        leg->bind = Address::any(leg->own.connection.ipv6 ? AF_INET6 : AF_INET);
    }
    leg->own.srtp = settings.srtp;
    leg->own.session_id = std::to_string(random_u64() >> 2);
    for (std::size_t i = 0; i < most_lines; ++i)
        leg->own.ssrcs.push_back(random_u32());
    leg->own.place = [this, id, raw = leg.get()](std::size_t line) { return place_of(*raw, id, line); };
    if (!web) return leg;
    leg->ufrag = sip::random_token(8); // on a shared port and by TCP it is also the leg's name
    leg->password = sip::random_token(16);
    offer_tcp(*leg, id);
    return leg;
}

void AnchorSession::offer_tcp(Leg &leg, unsigned id) {
    leg.tcp_port = place_.gate->port_for(leg.bind);
    if (leg.tcp_port == 0) return;
    leg.gate = place_.gate;
    leg.gate->add({leg.ufrag, leg.password},
                  [worker = place_.worker, relay = std::weak_ptr(relay_),
                   id](Fd socket, const Address &remote, std::vector<std::uint8_t> bytes) {
                      worker->post([relay, id, fd = std::make_shared<Fd>(std::move(socket)), remote,
                                    bytes = std::move(bytes)] {
                          if (const auto known = relay.lock())
                              known->add_stream(id, std::move(*fd), remote, bytes);
                      });
                  });
}

Result<std::uint16_t> AnchorSession::web_port(Leg &leg, unsigned id) {
    std::shared_ptr<IcePort> shared;
    const auto own = std::make_shared<media::MediaPort>();
    if (place_.ports) {
        auto opened = place_.ports->on(leg.bind);
        if (!opened) return tl::unexpected(Error{Errc::network, opened.error().what, 503});
        shared = std::move(*opened);
        own->port = shared->address().port();
    } else {
        auto opened =
            media::open_media_port(leg.bind, place_.settings->rtp_min, place_.settings->rtp_max, false);
        if (!opened) return tl::unexpected(Error{Errc::network, opened.error().what, 503});
        *own = std::move(*opened);
    }
    in_worker([shared, own, id, worker = place_.worker.get(),
               shown = Address::parse(leg.own.connection.address, own->port).value_or(leg.bind),
               secrets = Relay::WebSecrets{leg.ufrag, leg.password, place_.identity},
               ssrcs = leg.own.ssrcs](Relay &relay) {
        relay.add_web(id, shared ? shared->path(secrets.ufrag) : own_path(*worker, std::move(own->rtp)),
                      shown, secrets, ssrcs);
    });
    return own->port;
}

Result<OwnPlace> AnchorSession::place_of(Leg &leg, unsigned id, std::size_t line) {
    auto port = port_of(leg, id, line);
    if (!port) return tl::unexpected(port.error());
    OwnPlace place;
    place.connection = leg.own.connection;
    place.port = *port;
    if (!leg.own.web) return place;
    place.ufrag = leg.ufrag;
    place.password = leg.password;
    place.fingerprint = place_.identity->fingerprint().encode();
    const std::string &ip = place.connection.address;
    place.candidates.push_back("1 1 udp " + std::to_string(udp_priority) + " " + ip + " " +
                               std::to_string(*port) + " typ host");
    if (leg.tcp_port != 0)
        place.candidates.push_back("2 1 tcp " + std::to_string(tcp_priority) + " " + ip + " " +
                                   std::to_string(leg.tcp_port) + " typ host tcptype passive");
    return place;
}

Result<std::uint16_t> AnchorSession::port_of(Leg &leg, unsigned id, std::size_t line) {
    const std::size_t slot = leg.own.web ? 0 : line;
    if (slot < leg.ports.size() && leg.ports[slot] != 0) return leg.ports[slot];
    if (leg.ports.size() <= slot) leg.ports.resize(slot + 1);
    if (leg.own.web) {
        auto port = web_port(leg, id);
        if (port) leg.ports[slot] = *port;
        return port;
    }
    auto opened = media::open_media_port(leg.bind, place_.settings->rtp_min, place_.settings->rtp_max, true);
    if (!opened) return tl::unexpected(Error{Errc::network, opened.error().what, 503});
    leg.ports[slot] = opened->port;
    const auto port = std::make_shared<media::MediaPort>(std::move(*opened));
    const Address shown = Address::parse(leg.own.connection.address, port->port).value_or(leg.bind);
    in_worker([port, shown, id, line, ssrc = leg.own.ssrcs[line]](Relay &relay) {
        relay.add_line(id, line, std::move(port->rtp), std::move(port->rtcp), shown, ssrc);
    });
    return leg.ports[slot];
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
    Leg &own = from == End::caller ? *caller_ : *known->leg;
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
