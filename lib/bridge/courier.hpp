// One request on its way to a party: finds a flow that leads there, sends, reports.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "bridge/core.hpp"
#include "sip/request.hpp"

namespace offhook::bridge {

struct Way {
    sip::Flow flow;
    std::string route; // to another bridge of the cluster: the Route value that tells it for whom
};

// Finds a live flow to a party: its own, the newest one of its device, or one to its address. A browser whose
// connection is lost may come back within `patience` (JsSIP tries after 2 s), here or at another bridge.
class FlowFinder : public std::enable_shared_from_this<FlowFinder> {
public:
    using Found = std::function<void(Result<Way> way)>;
    static constexpr Duration patience{5'000};

    // `found` may be called at once; never after stop(). Errors: Errc::network with sip = 430 (RFC 5626
    // §5.3.1) or 480 or 503.
    static std::shared_ptr<FlowFinder> find(Core &core, Party party, bool wait, Found found);
    FlowFinder(Core &core, Party party, Found found);
    void stop();
    [[nodiscard]] bool done() const noexcept { return !found_; }

private:
    void start(bool wait);
    [[nodiscard]] std::optional<Way> known();
    void wait_for_device();
    void resolve(const sip::Uri &uri);
    void finish(Result<Way> way);

    Core &core_;
    Party party_;
    Found found_;
    Timer patience_;
    Observers<std::string>::Handle watching_;
    std::unique_ptr<sip::Resolver::Query> query_;
};

class Courier : public std::enable_shared_from_this<Courier> {
public:
    struct Order {
        sip::Draft draft;
        Party to;
        bool wait = false;                                                     // for a browser to come back
        std::function<void(sip::Draft &draft, const sip::Flow &flow)> prepare; // Record-Route
        std::function<void(const sip::Message &response, const sip::Flow &flow)> response;
        std::function<void(const Error &error)> failure; // `sip` is the status that stands for it
    };

    static std::shared_ptr<Courier> send(Core &core, Order order);
    // One that nobody waits for (not INVITE): the core keeps it until it is answered or given up.
    static void send_off(Core &core, sip::Draft draft, Party to);
    Courier(Core &core, Order order) : core_(core), order_(std::move(order)), timer_c_(core.loop) {}
    void cancel(const std::string &reason); // INVITE: CANCEL now or when it is possible
    void forget();                          // reports nothing any more

private:
    static constexpr Duration timer_c_length{185'000}; // RFC 3261 §16.6: more than 3 min

    void search(bool wait);
    void watch(std::string_view method); // an INVITE: for so long it may ring
    void came(const sip::Message &response, const sip::Flow &by);
    void go(const Way &way);
    void go_upstream();                              // as a line of ours: challenges are answered
    bool search_again(const sip::Message &response); // it is not there any more
    void failed(const Error &error);

    Core &core_;
    Order order_;
    std::shared_ptr<FlowFinder> finder_;
    sip::ClientTransaction transaction_;
    std::unique_ptr<sip::ClientRequest> request_; // upstream
    std::optional<sip::Draft> again_;             // by another bridge: may have to be sent a second time
    Timer timer_c_;
    bool cancelled_ = false;
};

// An ACK: nothing answers it, and whoever cannot be reached gets none.
void send_ack(Core &core, const Party &to, sip::Draft ack);

} // namespace offhook::bridge
