#include "bridge/ice_gate.hpp"

#include <algorithm>

#include "media/ice_demux.hpp"
#include "media/wire.hpp"

namespace offhook::bridge {

namespace {

constexpr std::size_t length_size = 2; // of RFC 4571

media::Bytes bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

} // namespace

void IceGate::add(const media::IceCredentials &leg, Take take) {
    legs_[leg.ufrag] = {leg.password, std::move(take)};
}

void IceGate::remove(const std::string &ufrag) {
    legs_.erase(ufrag);
}

std::uint16_t IceGate::port_for(const Address &bound) const {
    const auto found = std::ranges::find_if(listeners_, [&](const Address &listener) {
        if (listener.family() != bound.family()) return false;
        return listener.is_any() || listener.same_ip(bound) || (bound.is_any() && !listener.is_loopback());
    });
    return found == listeners_.end() ? 0 : found->port();
}

const IceGate::Leg *IceGate::find(std::string_view bytes) const {
    const media::Bytes check = bytes_of(bytes).subspan(length_size, media::read_u16(bytes_of(bytes), 0));
    const auto ufrag = media::checked_ufrag(check);
    const auto leg = ufrag ? legs_.find(std::string(*ufrag)) : legs_.end();
    if (leg == legs_.end()) return nullptr;
    const auto message = media::StunMessage::parse(check);
    return message && message->authenticated(leg->second.password) ? &leg->second : nullptr;
}

sip::PortGuest::Verdict IceGate::judge(std::string_view bytes) {
    if (bytes.size() < length_size) return Verdict::more;
    const std::size_t size = media::read_u16(bytes_of(bytes), 0);
    const bool possible = size >= media::stun_header_size && size <= longest_check;
    if (possible && bytes.size() < length_size + size) return Verdict::more;
    if (possible && find(bytes) != nullptr) return Verdict::take;
    return Verdict::refuse;
}

void IceGate::refused(const Address &remote) {
    ++refused_;
    stranger_ = remote;
}

void IceGate::take(Fd socket, const Address &remote, std::string_view bytes) {
    const Leg *leg = find(bytes);
    if (leg == nullptr) return;
    ++taken_;
    leg->take(std::move(socket), remote, {bytes.begin(), bytes.end()});
}

} // namespace offhook::bridge
