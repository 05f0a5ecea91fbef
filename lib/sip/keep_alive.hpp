// Keep-alives of flows, RFC 5626 §3.5: CRLFCRLF on streams, where a pong is due; CRLF on UDP, where nothing
// is, and STUN Binding requests where the server keeps flows.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/loop.hpp"
#include "sip/transport.hpp"

namespace offhook::sip {

class KeepAlive {
public:
    using Ping = std::function<void(const Flow &flow, std::string_view bytes)>;
    using Failed = std::function<void(const Flow &flow)>; // no pong in time; the flow is forgotten already

    // `pong_due`: RFC 5626 §4.4.1 says 10 s.
    KeepAlive(Loop &loop, Ping ping, Failed failed, Duration pong_due = Duration(10'000))
        : loop_(loop), ping_(std::move(ping)), failed_(std::move(failed)), pong_due_(pong_due) {}

    void set(const Flow &flow, Duration interval, bool stun = false); // 0 ends it
    void pong(const Flow &flow);
    // A STUN message came by a UDP flow from `remote`; `local` is where it arrived.
    void stun(const Address &local, const Address &remote, std::string_view message);
    void forget(const Flow &flow);

private:
    struct Entry {
        Entry(Loop &loop, const Flow &on, Duration every)
            : flow(on), interval(every), next(loop), due(loop) {}
        Flow flow;
        Duration interval;
        Timer next, due;
        std::string stun_id; // of the Binding request under way; empty: no STUN here
        bool stun = false, stun_spoken = false;
        std::optional<Address> mapped;
    };

    Entry *find(const Flow &flow);
    void schedule(Entry &entry);
    void ping(Entry &entry);
    void expect_pong(Entry &entry);
    void give_up(const Flow &flow);

    Loop &loop_;
    Ping ping_;
    Failed failed_;
    Duration pong_due_;
    std::vector<std::unique_ptr<Entry>> entries_;
};

} // namespace offhook::sip
