// The one command language of the control socket (cli.md, "ctl"): a JSON object with a verb in, one with what
// came of it out. Pure glue over Phone's member functions.
#pragma once

#include <functional>

#include "base/json.hpp"
#include "phone/phone.hpp"

namespace offhook {

// {"verb":"dial","target":"sip:…"} → {"ok":true,"call":"c1"} or {"ok":false,"error":{"code":13,"text":"…"}},
// the code being that of cli.md's exit codes. `quit` is told by `quit`.
Json run_verb(Phone &phone, const Json &request, const std::function<void()> &quit);

// {"ok":false,"error":{"code":2,"text":"…"}}
Json verb_failed(int code, std::string_view text);

Json to_json(const CallView &call); // as `calls` and `status` list them

} // namespace offhook
