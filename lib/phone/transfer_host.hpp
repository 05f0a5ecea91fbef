// What a transfer needs of the phone: the calls it is about, and a call of its own.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "phone/call.hpp"
#include "phone/call_host.hpp"
#include "sip/refer.hpp"

namespace offhook {

class OutgoingTransfer;
class IncomingTransfer;

struct TransferHost : CallHost {
    [[nodiscard]] virtual Call *find(CallId id) const = 0; // nullptr when it is gone
    // Calls `target` with the account of `call`. Errors: those of Phone::dial().
    virtual Result<CallId> dial_for(Call &call, const sip::Uri &target,
                                    std::vector<std::pair<std::string, std::string>> headers) = 0;
    // Nothing more will come of it: destroy it, later.
    virtual void forget(const OutgoingTransfer &transfer) = 0;
    virtual void forget(const IncomingTransfer &transfer) = 0;

protected:
    ~TransferHost() = default;
};

// `id` after the calls `one` and `other` have changed their numbers with each other.
inline void renumber(CallId &id, CallId one, CallId other) noexcept {
    if (id == one || id == other) id = id == one ? other : one;
}

} // namespace offhook
