#include "bridge/own_addresses.hpp"

#include <algorithm>
#include <utility>

#include <sys/socket.h>

#include "base/fd.hpp"

namespace offhook::bridge {

namespace {

// Of documentation (RFC 5737, RFC 3849): whatever the route, it tells our address.
Address anywhere(int family) {
    return Address::parse(family == AF_INET6 ? "2001:db8::1" : "192.0.2.1", 9).value();
}

bool link_local(const Address &address) {
    return address.ip().starts_with("fe80:"); // of no use without its interface
}

class Choice {
public:
    Choice(const OwnAddressRules &rules, const Address &remote) : rules_(rules), remote_(remote) {}

    std::vector<OwnAddress> make() {
        const auto towards = route(remote_.is_set() ? remote_.with_port(9) : anywhere(AF_INET));
        if (rules_.public_address) {
            const Address &shown = *rules_.public_address;
            add(rules_.here(shown) ? shown : Address::any(shown.family()), shown);
        }
        if (towards) add(*towards);
        // Behind a proxy on this host the way back says nothing.
        if (rules_.public_address && towards && towards->is_loopback())
            if (const auto local = route(anywhere(towards->family()))) add(*local);
        for (const auto &listener : rules_.listeners)
            add_listener(listener);
        if (out_.empty()) add(Address::any(AF_INET));
        return std::move(out_);
    }

private:
    [[nodiscard]] std::optional<Address> route(const Address &remote) const {
        auto found = rules_.route(remote);
        return found && !link_local(*found) ? std::optional(found->with_port(0)) : std::nullopt;
    }
    void add_listener(const Address &listener) {
        const auto local = listener.is_any() ? route(anywhere(listener.family())) : listener.with_port(0);
        if (local && !link_local(*local) && (!local->is_loopback() || remote_.is_loopback())) add(*local);
    }
    void add(const Address &local) {
        const bool covered =
            !out_.empty() && out_[0].bind.is_any() && out_[0].bind.family() == local.family();
        add(covered ? out_[0].bind : local, local);
    }
    void add(const Address &bind, const Address &shown) {
        const auto same = [&](const OwnAddress &one) { return one.shown.same_ip(shown); };
        if (out_.size() < most_addresses && std::ranges::none_of(out_, same))
            out_.push_back({bind.with_port(0), shown.with_port(0)});
    }

    const OwnAddressRules &rules_;
    const Address &remote_;
    std::vector<OwnAddress> out_;
};

bool is_here(const Address &address) {
    const Fd fd(socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const Address any_port = address.with_port(0);
    return fd && bind(fd.get(), any_port.sockaddr_ptr(), any_port.sockaddr_len()) == 0;
}

} // namespace

std::vector<OwnAddress> own_addresses(const OwnAddressRules &rules, const Address &remote) {
    return Choice(rules, remote).make();
}

OwnAddressRules rules_of_host(std::optional<Address> public_address, std::vector<Address> listeners) {
    OwnAddressRules rules;
    rules.public_address = std::move(public_address);
    rules.listeners = std::move(listeners);
    rules.route = [](const Address &remote) -> std::optional<Address> {
        auto found = local_address_towards(remote);
        return found ? std::optional(*found) : std::nullopt;
    };
    rules.here = is_here;
    return rules;
}

} // namespace offhook::bridge
