// What a call needs of the phone it belongs to.
#pragma once

#include "base/loop.hpp"
#include "media/device.hpp"
#include "media/leg.hpp"
#include "phone/event.hpp"
#include "phone/settings.hpp"
#include "sip/user_agent.hpp"

namespace offhook {

class Call;

struct CallHost {
    virtual void tell(Event event) = 0; // told later, from the loop, in order
    // The one sound device: nullptr while another call has it.
    virtual media::Device *borrow_device(CallId call) = 0;
    virtual void return_device(CallId call) = 0;
    [[nodiscard]] virtual const PhoneSettings &settings() const = 0;
    [[nodiscard]] virtual const media::MediaLeg::Tap &rtp_tap() const = 0;
    virtual Loop &loop() = 0;
    virtual sip::UserAgent &user_agent() = 0;
    // REFER, NOTIFY or SUBSCRIBE inside its dialog.
    virtual void on_other_usage(Call &call, const sip::Message &request,
                                const sip::ServerTransaction &transaction) = 0;
    virtual void on_hold_ended(Call &call, bool ok) = 0;      // our hold or resume
    virtual void on_renumbered(CallId one, CallId other) = 0; // two calls exchanged their numbers
    virtual void on_call_over(Call &call) = 0;                // its session is still there

protected:
    ~CallHost() = default;
};

} // namespace offhook
