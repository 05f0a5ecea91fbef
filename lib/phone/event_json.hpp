// The wire form of events (cli.md, "JSON"): the only place that knows it. stdout, control socket and plugins
// all show these objects.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/json.hpp"
#include "phone/event.hpp"

namespace offhook {

// {"seq":…,"ts":…,"event":name}: the head of every line.
Json json_head(std::uint64_t seq, std::chrono::system_clock::time_point when, std::string_view name);
// The head and the event's own members. Unknown durations and figures are null.
Json to_json(const Event &event, std::uint64_t seq, std::chrono::system_clock::time_point when);
// Appends what call.ended says of its end and media; the `result` line repeats it.
void add_ending(Json &line, const event::CallEnded &ended);

} // namespace offhook
