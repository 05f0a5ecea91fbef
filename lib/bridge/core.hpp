// What the parts of the bridge's signalling share: the layers below, the tables, and who listens.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.hpp"
#include "base/loop.hpp"
#include "base/observers.hpp"
#include "bridge/flow_token.hpp"
#include "bridge/gatekeeper.hpp"
#include "bridge/hidden_forks.hpp"
#include "bridge/location.hpp"
#include "bridge/media_plane.hpp"
#include "sip/resolver.hpp"
#include "sip/transaction_layer.hpp"

namespace offhook::bridge {

// "bridge.registered" and what belongs to it; the text is for people.
struct Event {
    std::string name, text;
    Json fields = Json::object();
};

std::int64_t unix_time(); // seconds since 1970 by the wall clock: for what others have dated

class UpstreamLine;

// One side of a call or transaction: how to reach it.
struct Party {
    bool web = false;
    sip::Flow flow;                     // last heard from there; kind and remote are set even when it is gone
    std::string device;                 // of a registered one: finds its newer flow after a reconnect
    std::string name;                   // user or device, for policy and people
    std::optional<sip::Uri> hop;        // to be resolved when there is no flow: a Contact, a Path, a device
    std::vector<std::string> path;      // Route values of its registration (RFC 3327)
    Address near{};                     // its address as far as known, to choose ours for media
    const UpstreamLine *line = nullptr; // it is the upstream, which knows us as this line (mode "creds")
};

// Who that is, over reconnects where it is registered.
std::string party_id(const Party &party);

class Cluster;
class Courier;
class FlowFinder;

struct Core {
    Core(Loop &loop_, sip::TransactionLayer::Listener &listener, const Settings &settings_,
         MediaPlane &media_, std::uint32_t epoch_)
        : loop(loop_), settings(settings_), layer(loop_, listener), resolver(loop_), location(settings_),
          gate(settings_.domain, settings_.users, settings_.cluster_key), tokens(settings_.cluster_key),
          media(media_), epoch(epoch_) {}

    // Whose credentials end here: none, when somebody else's registrar checks them.
    [[nodiscard]] std::string_view realm() const {
        return settings.proxies_registrations() ? "\n" : std::string_view(settings.domain);
    }
    [[nodiscard]] sip::Transports &transports() { return layer.transports(); }
    // Does this URI name the bridge: one of its sockets, or a token of its own?
    [[nodiscard]] bool is_ours(const sip::Uri &uri);
    // "<sip:TOKEN@address;transport=ws;lr;r2=on>" for the side of `flow`.
    [[nodiscard]] std::string record_route(const sip::Flow &flow, const std::string &device, bool doubled);
    // Both sides of a request on its way from one flow to another, nearest the target first.
    void add_record_route(sip::Draft &draft, const Party &from, const Party &to, const sip::Flow &out);
    void tell(std::string name, std::string text, Json fields = Json::object()) {
        events.tell({std::move(name), std::move(text), std::move(fields)});
    }

    Loop &loop;
    const Settings &settings;
    sip::TransactionLayer layer;
    sip::Resolver resolver;
    Location location;
    Gatekeeper gate;
    TokenKey tokens;
    TagBook hidden; // tags of calls whose forks their browsers do not see
    MediaPlane &media;
    std::uint32_t epoch;
    Cluster *cluster = nullptr; // null: there are no other bridges
    Observers<Event> events;
    // A device registered again over a new flow, or was found at another bridge.
    Observers<std::string> device_back;
    // Nobody else's: what goes on when whoever sent it is gone (Courier::send_off(), send_ack()).
    std::list<std::shared_ptr<Courier>> errands;
    std::list<std::shared_ptr<FlowFinder>> searches;
};

} // namespace offhook::bridge
