// Keep-alives of flows, RFC 5626 §3.5: CRLFCRLF on streams, where a pong is due; CRLF on UDP, where nothing
// is.
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

    void set(const Flow &flow, Duration interval); // 0 ends it
    void pong(const Flow &flow);
    void forget(const Flow &flow);

private:
    struct Entry {
        Entry(Loop &loop, const Flow &on, Duration every)
            : flow(on), interval(every), next(loop), due(loop) {}
        Flow flow;
        Duration interval;
        Timer next, due;
    };

    Entry *find(const Flow &flow);
    void schedule(Entry &entry);
    void ping(Entry &entry);

    Loop &loop_;
    Ping ping_;
    Failed failed_;
    Duration pong_due_;
    std::vector<std::unique_ptr<Entry>> entries_;
};

} // namespace offhook::sip
