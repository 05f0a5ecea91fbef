// The embedded registrar's location service: who is where (RFC 3261 §10.3, RFC 5626 §6). Pure: the time is
// given, nothing is sent.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "bridge/settings.hpp"
#include "sip/draft.hpp"
#include "sip/message.hpp"

namespace offhook::bridge {

bool is_web(sip::TransportKind kind) noexcept; // WS or WSS: a browser

struct Binding {
    std::string user;
    std::string contact; // the URI byte for byte as the client wrote it
    sip::Uri uri;
    std::string instance; // +sip.instance without <>; may be empty
    unsigned reg_id = 0;
    std::string device; // stable over reconnects: the instance, else the contact's user or the URI
    std::string call_id, user_agent;
    std::uint32_t cseq = 0;
    double q = 1;
    std::vector<std::string> path; // RFC 3327
    sip::Flow flow;
    TimePoint expires{};
    bool reachable = true; // false: its connection is gone and has not come back yet
};

class Location {
public:
    struct Change {
        enum class Kind : std::uint8_t { added, refreshed, removed, expired } kind = Kind::added;
        Binding binding;
    };
    struct Answer {
        sip::Draft response;
        std::vector<Change> changes;
    };

    explicit Location(const Settings &settings) : settings_(settings) {}

    // An authenticated REGISTER of `user`: all or nothing (§10.3 step 7). No binding outlasts `proof`: what
    // the user was let in by is not valid for longer.
    Answer process(const sip::Message &request, const sip::Flow &flow, const UserSettings &user,
                   TimePoint now, std::optional<std::chrono::seconds> proof = {});
    [[nodiscard]] std::vector<Binding> of(const std::string &user) const; // best q first
    // A live binding with this very Contact (an in-domain URI that only its owner could make).
    [[nodiscard]] const Binding *by_contact(const sip::Uri &uri) const;
    [[nodiscard]] const Binding *by_device(const std::string &device) const; // the newest
    [[nodiscard]] const Binding *by_flow(const sip::Flow &flow) const;       // of a connection
    std::vector<Change> expire(TimePoint now);
    void flow_lost(const sip::Flow &flow);
    void restore(Binding binding);
    void each(const std::function<void(const Binding &)> &visit) const;
    [[nodiscard]] std::size_t size() const;

private:
    using Bindings = std::vector<Binding>;
    struct Wanted {
        Binding binding;
        std::uint32_t expires_s = 0;
    };
    [[nodiscard]] tl::expected<std::vector<Wanted>, sip::Draft>
    read_contacts(const sip::Message &request, const sip::Flow &flow, const UserSettings &user,
                  std::optional<std::chrono::seconds> proof) const;
    static tl::expected<std::vector<Wanted>, sip::Draft> without_any(const sip::Message &request,
                                                                     const Bindings &bindings);
    static Binding *find(Bindings &bindings, const Binding &like);
    std::vector<Change> apply(Bindings &bindings, std::vector<Wanted> wanted, TimePoint now) const;
    [[nodiscard]] sip::Draft listing(const sip::Message &request, const Bindings &bindings,
                                     TimePoint now) const;

    const Settings &settings_;
    std::map<std::string, Bindings> users_;
    std::unordered_map<std::uint64_t, std::string> connections_; // whose they are
};

// The URI of a Contact element as written, without <>.
std::string_view raw_uri(std::string_view element) noexcept;

} // namespace offhook::bridge
