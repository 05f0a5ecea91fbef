// Bridges with one key in front of one registrar. A browser whose connection breaks may come back to another
// of them; its calls stay where they began. The other one carries what belongs to them between the browser
// and the bridge that has the call.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/courier.hpp"

namespace offhook::bridge {

class Cluster {
public:
    // After the sockets are open: `peers` may name ourselves, too. `back` hears of devices that were found at
    // another bridge.
    Cluster(Core &core, const std::vector<SocketSettings> &peers,
            std::function<void(const std::string &device)> back);
    ~Cluster();
    Cluster(const Cluster &) = delete;
    Cluster &operator=(const Cluster &) = delete;

    // Where this bridge has the call:
    // The way to a device by another bridge, as far as known.
    [[nodiscard]] std::optional<Way> way_to(const std::string &device);
    void ask(const std::string &device); // who has it? The answer comes by `back`
    void forget(const std::string &device) { edges_.erase(device); }
    // Did another bridge bring this request from `device`? Then it is the way back, too.
    bool brought(const sip::Message &request, const sip::Flow &flow, const std::string &device);

    // Where another bridge has it: what comes from a browser goes there, what comes from there to a browser.
    // False: the request is not for this.
    bool take(const sip::Message &request, const sip::Flow &flow, const sip::ServerTransaction &server);
    bool cancelled(const sip::ServerTransaction &server, const sip::Message &cancel);
    void device_back(const std::string &device); // answers those that ask for it

private:
    struct Edge { // another bridge and our Route value there
        sip::Hop hop;
        std::string route;
    };
    struct Question { // another bridge asks
        sip::ServerTransaction server;
        std::uint64_t device;
        std::unique_ptr<Timer> patience;
    };
    struct Asking { // the others
        std::vector<std::shared_ptr<Courier>> couriers;
        std::size_t left = 0; // that have not answered
    };
    struct Passing {
        sip::ServerTransaction server;
        std::shared_ptr<Courier> courier;
    };
    struct Next { // of a request that passes
        Party party;
        std::string route; // to be put on top; may be empty
    };
    using PassingPtr = std::shared_ptr<Passing>;

    [[nodiscard]] const SocketSettings *peer_at(const Address &address) const;
    [[nodiscard]] bool is_peer(const sip::Flow &flow) const;
    [[nodiscard]] std::optional<Edge> edge_of(const sip::Uri &uri, std::uint64_t device) const;
    [[nodiscard]] std::optional<Next> to_peer(const sip::Message &request, const sip::Flow &flow) const;
    [[nodiscard]] std::optional<Next> to_browser(const sip::Message &request) const;
    [[nodiscard]] std::string own_uri(const Binding &binding, const SocketSettings &towards) const;
    [[nodiscard]] const Binding *binding_of(std::uint64_t device) const; // one that can be reached
    void learn(const std::string &device, Edge edge);
    [[nodiscard]] sip::Draft question(const std::string &device, const SocketSettings &peer) const;
    void told(const std::string &device, const std::optional<sip::Message> &response);
    void answer(const sip::ServerTransaction &server, std::uint64_t device);
    void found(const sip::ServerTransaction &server, const Binding &binding) const;
    void pass(const sip::Message &request, const sip::ServerTransaction &server, const Next &next);

    Core &core_;
    std::vector<SocketSettings> peers_, own_; // the others', and ours among them
    std::function<void(const std::string &device)> back_;
    std::unordered_map<std::string, Edge> edges_;    // by device
    std::unordered_map<std::string, Asking> asking_; // by device
    std::list<Question> questions_;
    std::list<PassingPtr> passing_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

} // namespace offhook::bridge
