#include "media/ice_demux.hpp"

#include "media/stun.hpp"

namespace offhook::media {

std::optional<std::string_view> checked_ufrag(Bytes datagram) noexcept {
    const auto message = StunMessage::parse(datagram);
    if (!message || !message->is(StunClass::request, StunMethod::binding)) return std::nullopt;
    const auto user = message->text(StunAttribute::username);
    return user.substr(0, user.find(':'));
}

bool IceDemux::add(Agent agent, std::string ufrag) {
    if (ufrag.empty() || agents_.contains(agent) || ufrags_.contains(ufrag)) return false;
    ufrags_.emplace(ufrag, agent);
    agents_.emplace(agent, Known{std::move(ufrag), {}});
    return true;
}

void IceDemux::remove(Agent agent) {
    const auto known = agents_.find(agent);
    if (known == agents_.end()) return;
    let_go(known->second, agent);
    ufrags_.erase(known->second.ufrag);
    agents_.erase(known);
}

void IceDemux::let_go(Known &known, Agent agent) {
    if (!known.source) return;
    const auto source = sources_.find(*known.source);
    if (source != sources_.end() && source->second.agent == agent) sources_.erase(source);
    known.source.reset();
}

std::optional<IceDemux::Agent> IceDemux::find(Bytes datagram, const Address &from, TimePoint now) {
    if (looks_like_stun(datagram))
        if (const auto ufrag = checked_ufrag(datagram)) {
            const auto agent = ufrags_.find(*ufrag);
            return agent == ufrags_.end() ? std::nullopt : std::optional(agent->second);
        }
    const auto source = sources_.find(from);
    if (source == sources_.end()) return std::nullopt;
    source->second.heard = now;
    return source->second.agent;
}

bool IceDemux::claim(Agent agent, const Address &from, TimePoint now) {
    const auto known = agents_.find(agent);
    if (known == agents_.end()) return false;
    if (const auto source = sources_.find(from); source != sources_.end()) {
        if (source->second.agent != agent && now - source->second.heard < forgotten_after) return false;
        if (const auto before = agents_.find(source->second.agent);
            before != agents_.end() && before != known)
            before->second.source.reset();
    }
    if (known->second.source != from) let_go(known->second, agent);
    known->second.source = from;
    sources_[from] = {agent, now};
    return true;
}

} // namespace offhook::media
