// The one command language of the control socket (cli.md, "ctl"): a JSON object with a verb in, one with what
// came of it out. Pure glue over Phone's member functions.
#pragma once

#include <functional>

#include "base/json.hpp"
#include "phone/phone.hpp"

namespace offhook {

// The verbs that are about the program, not the phone.
struct VerbHooks {
    std::function<void()> quit;
    std::function<Result<Json>()> reload; // members of the answer, or why nothing has changed
};

// {"verb":"dial","target":"sip:…"} → {"ok":true,"call":"c1"} or {"ok":false,"error":{"code":13,"text":"…"}},
// the code being that of cli.md's exit codes.
Json run_verb(Phone &phone, const Json &request, const VerbHooks &hooks);

// {"ok":false,"error":{"code":2,"text":"…"}}
Json verb_failed(int code, std::string_view text);

Json to_json(const CallView &call); // as `calls` and `status` list them

} // namespace offhook
