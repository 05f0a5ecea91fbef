// One end of a SIP conversation for integration tests: a UserAgent on loopback with at most one session,
// which notes down what happens to it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.hpp"
#include "sip/invite_session.hpp"
#include "tests/support/run_until.hpp"

namespace offhook::test {

class SipParty final : private sip::UserAgent::Listener, public sip::InviteSession::Listener {
public:
    SipParty(Loop &loop, std::string name, sip::TransportKind kind = sip::TransportKind::udp,
             const char *ip = "127.0.0.1");

    sip::InviteSession &call(const SipParty &other, std::string offer);
    [[nodiscard]] sip::NameAddr address() const; // sip:name@127.0.0.1:port;transport=…
    [[nodiscard]] bool saw(std::string_view what) const;

    bool auto_ring = true, auto_accept = true;
    unsigned refuse_with = 0, refuse_reinvite_with = 0;
    std::string redirect_to; // a URI: answers INVITE with 302
    std::string answer_sdp = "v=0 answer", offer_sdp = "v=0 offer";

    sip::UserAgent ua;
    std::unique_ptr<sip::InviteSession> session;
    std::vector<std::string> events; // "progress 180", "confirmed", "offer X", "ended 200 remote" …
    std::optional<sip::SessionEnd> end;
    sip::InviteSession::Options options;

private:
    bool serves(const sip::Uri &, const sip::Message &, const sip::Flow &) override { return true; }
    void on_invite(const sip::Message &invite, const sip::Flow &flow,
                   sip::ServerTransaction transaction) override;
    void on_flow_failed(const sip::Flow &, const Error &) override {}
    Result<std::string> on_offer(std::string_view sdp) override;
    Result<std::string> make_offer() override { return offer_sdp; }
    Result<> on_answer(std::string_view sdp) override;
    void on_reinvited(const Result<> &outcome) override;
    void on_progress(const sip::Message &provisional) override;
    void on_confirmed(const sip::Message &) override { events.emplace_back("confirmed"); }
    unsigned on_info(const sip::Message &info) override;
    void on_ended(const sip::SessionEnd &ended) override;

    std::string name_;
    sip::TransportKind kind_;
    Address listening_;
};

} // namespace offhook::test
