// What it takes to send requests inside a dialog, as a value: for usages that share the dialog of a call and
// may outlive it (REFER's subscription, RFC 5057 §4).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "sip/user_agent.hpp"

namespace offhook::sip {

struct DialogContext {
    Dialog dialog;
    std::string contact_user, public_address; // as in InviteSession::Options
    std::shared_ptr<Authenticator> authenticator;
    bool trusted = false; // the route begins at the account's own server
    Flow flow;            // by which the peer was heard last
    std::string gruu;     // as in InviteSession::Options

    // A request with Contact and its way, ready for UserAgent::request(). CSeq grows.
    ClientRequest::Options request(UserAgent &ua, std::string_view method);
};

// Where requests of the peer reach us, as a whole Contact value: `gruu`, else the flow's listening address,
// else the public one (host, or host:port).
std::string contact_value(UserAgent &ua, const Flow &flow, const std::string &user,
                          const std::string &public_address, const std::string &gruu = {});

} // namespace offhook::sip
