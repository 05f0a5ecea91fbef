// The bridge's signalling: registrar and proxy in front of the transaction layer. Decides who may do what and
// where requests go; Call does the rest.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/call.hpp"
#include "bridge/cluster.hpp"
#include "bridge/core.hpp"
#include "bridge/refusals.hpp"
#include "bridge/upstream.hpp"
#include "bridge/upstream_lines.hpp"
#include "bridge/visitors.hpp"
#include "bridge/web.hpp"
#include "bridge/web_logins.hpp"
#include "sip/flood_guard.hpp"

namespace offhook::bridge {

struct Counters {
    std::uint64_t registers = 0, challenges = 0, refused = 0, locked = 0, calls = 0, unreached = 0,
                  messages = 0;
};

class Proxy final : private sip::TransactionLayer::Listener, public Call::Host {
public:
    Proxy(Loop &loop, const Settings &settings, MediaPlane &media);
    ~Proxy();
    Proxy(const Proxy &) = delete;
    Proxy &operator=(const Proxy &) = delete;

    // Opens the sockets of the settings. Errors: Errc::network, Errc::tls.
    Result<> start();
    void hang_up_all(const std::string &reason); // before the end
    [[nodiscard]] bool busy() const;             // calls, or registrations at the upstream, are still up

    [[nodiscard]] Core &core() noexcept { return core_; }
    [[nodiscard]] Web &web() noexcept { return web_; }
    [[nodiscard]] const Counters &counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t calls() const noexcept { return calls_.size(); }
    [[nodiscard]] Json status() const;
    [[nodiscard]] std::string metrics() const; // Prometheus text format

private:
    using CallPtr = std::shared_ptr<Call>;
    struct Origin { // who sent a request
        Party party;
        const UserSettings *user = nullptr; // authenticated; else a device or the upstream
        bool upstream = false;              // it comes from there
    };

    void on_request(const sip::Message &request, const sip::Flow &flow,
                    sip::ServerTransaction server) override;
    void on_cancel(const sip::ServerTransaction &invite, const sip::Message &cancel) override;
    void on_stray_response(const sip::Message &, const sip::Flow &) override {}
    void on_server_failure(const sip::ServerTransaction &server, const Error &error) override;
    void on_flow_failed(const sip::Flow &flow, const Error &error) override;
    void on_over(const CallPtr &call) override;

    [[nodiscard]] Web::Source web_source();
    [[nodiscard]] CallPtr call_of(const sip::Message &request) const;
    void in_dialog(const sip::Message &request, const sip::Flow &flow, const sip::ServerTransaction &server);
    void register_(const sip::Message &request, const sip::Flow &flow, const sip::ServerTransaction &server);
    void registered(const std::vector<Location::Change> &changes);
    void out_of_dialog(const sip::Message &request, const sip::Flow &flow,
                       const sip::ServerTransaction &server);
    [[nodiscard]] std::optional<Origin> origin(const sip::Message &request, const sip::Flow &flow,
                                               const sip::ServerTransaction &server);
    // Has `name` sent it? Otherwise it is answered here: challenged or refused.
    [[nodiscard]] std::optional<Gatekeeper::Verdict> authenticate(const sip::Message &request,
                                                                  const sip::Flow &flow,
                                                                  const sip::ServerTransaction &server,
                                                                  const std::string &name);
    [[nodiscard]] std::optional<Origin> upstream_origin(const sip::Message &request,
                                                        const sip::Flow &flow) const;
    [[nodiscard]] std::optional<Origin> line_origin(const sip::Message &request, const sip::Flow &flow) const;
    [[nodiscard]] std::optional<Origin> device_origin(const sip::Message &request,
                                                      const sip::Flow &flow) const;
    // Users and devices meant by the Request-URI. A status when there is nobody.
    [[nodiscard]] tl::expected<std::vector<Call::Target>, unsigned>
    targets(const sip::Message &request, const sip::Uri &uri, const Origin &from) const;
    void tell_unreached(const sip::Message &invite, const Party &from, unsigned status);
    [[nodiscard]] bool may_call(const UserSettings &user, const sip::Uri &uri) const;
    [[nodiscard]] bool in_domain(const sip::Uri &uri) const;
    void refuse(const sip::ServerTransaction &server, unsigned status, const std::string &why,
                const std::string &source, std::string_view phrase = {}, Refusal what = Refusal::policy);
    // Counts it; `text` is for people.
    void refused(Refusal what, const std::string &source, const std::string &text, const std::string &why,
                 std::optional<unsigned> code = {}, std::uint64_t times = 1);
    void count_media_strangers();
    [[nodiscard]] std::vector<std::pair<std::string_view, std::uint64_t>>
    refusals_by_name(const MediaPlane::Traffic &media) const;
    void device_back(const std::string &device);
    void found_again(const std::string &device);
    // Strangers may ask only so often; who has proved a password lately is none.
    bool admit(const sip::Message &request, const sip::Flow &flow, const sip::ServerTransaction &server);
    void too_often(const sip::Flow &flow);
    void proved(const sip::Flow &flow);
    bool admit_visitor(const sip::Message &request, const sip::Flow &flow,
                       const sip::ServerTransaction &server); // one message of a browser
    void send_away(const sip::Flow &flow, const std::string &why);
    void sweep();
    void load_state();
    void save_later(const std::vector<Location::Change> &changes);
    void save_state();
    void save_now(); // what waits to be saved

    const Settings &settings_;
    Web web_; // outlives the transports
    WebLogins logins_;
    Core core_;
    std::unique_ptr<Upstream> upstream_;   // null: the embedded registrar …
    std::unique_ptr<UpstreamLines> lines_; // … and this, where calls go out as lines of the upstream
    std::unique_ptr<Cluster> cluster_;     // null: alone
    Counters counters_;
    Refusals refusals_;
    MediaPlane::Traffic told_media_;                        // what refusals_ knows of
    std::unordered_multimap<std::string, CallPtr> calls_;   // by Call-ID
    std::unordered_map<std::string, std::size_t> calls_of_; // by who made them
    unsigned next_call_ = 1;
    sip::FloodGuard flood_;
    Visitors visitors_;
    std::unordered_map<Address, TimePoint> proved_; // by address without port
    Timer sweep_, save_;
    bool save_soon_ = false;  // what save_ runs for
    bool state_lost_ = false; // it could not be written, and that was told
    TimePoint started_ = std::chrono::steady_clock::now();
};

// The bindings of phones that can be reached without a connection, as the state file holds them.
std::string encode_state(const Location &location, TimePoint now, std::int64_t unix_now);
// Errors: Errc::config.
Result<std::vector<Binding>> decode_state(std::string_view text, TimePoint now, std::int64_t unix_now);

} // namespace offhook::bridge
