#include "tests/support/registrar.hpp"

#include <algorithm>

namespace offhook::test {

using namespace sip;

Registrar::Registrar(Loop &loop, TimerValues timers) : layer_(loop, *this, timers) {}

Address Registrar::listen(TransportKind kind, std::uint16_t port) {
    return layer_.transports().listen(kind, Address::parse("127.0.0.1", port).value()).value();
}

void Registrar::on_request(const Message &request, const Flow &flow, ServerTransaction transaction) {
    if (!transaction) return; // ACK
    requests.push_back(request);
    if (intercept && intercept(request, flow, transaction)) return;
    if (credentials && (refuse_all || !authorized(request))) return challenge(request, transaction);
    if (request.method() == Method::register_) return answer_register(request, transaction);
    transaction.respond(200);
}

bool Registrar::authorized(const Message &request) const {
    for (const auto &header : request.headers()) {
        if (header.id != HeaderId::authorization) continue;
        const auto auth = AuthParams::parse(header.value);
        if (!auth || auth->params.get("realm") != realm) continue;
        const bool known =
            std::find(nonces_.begin(), nonces_.end(), auth->params.get("nonce")) != nonces_.end();
        if (known && verify(*auth, *credentials, request.method_token(), request.body())) return true;
    }
    return false;
}

void Registrar::challenge(const Message &request, const ServerTransaction &transaction) {
    ++challenges;
    Draft response = Draft::response(request, 401, {}, "registrar");
    for (const auto &algorithm : algorithms) {
        nonces_.push_back(random_token());
        response.add("WWW-Authenticate", "Digest realm=\"" + realm + "\", nonce=\"" + nonces_.back() +
                                             "\", algorithm=" + algorithm + ", qop=\"auth\"" +
                                             (stale ? ", stale=true" : ""));
    }
    transaction.respond(response);
}

void Registrar::bind(const Message &request, unsigned expires) {
    const auto contacts = request.addresses(HeaderId::contact);
    if (!contacts) return;
    for (const auto &contact : *contacts) {
        if (contact.star)
            bindings_.clear();
        else if (expires == 0)
            bindings_.erase(contact.uri.encode());
        else
            bindings_[contact.uri.encode()] = std::min(expires, max_expires);
    }
}

void Registrar::answer_register(const Message &request, const ServerTransaction &transaction) {
    const unsigned expires = parse_delta_seconds(request.value(HeaderId::expires)).value_or(3600);
    if (expires != 0 && expires < min_expires) {
        transaction.respond(
            Draft::response(request, 423, {}, "registrar").add("Min-Expires", std::to_string(min_expires)));
        return;
    }
    bind(request, expires);
    Draft response = Draft::response(request, 200, {}, "registrar");
    for (const auto &[uri, seconds] : bindings_)
        response.add("Contact", "<" + uri + ">;expires=" + std::to_string(seconds));
    transaction.respond(response);
}

} // namespace offhook::test
