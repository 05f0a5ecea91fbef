// What is refused: answered, counted, and told.
#include "bridge/proxy.hpp"

namespace offhook::bridge {

namespace {

// Datagrams a second: fewer are those that browsers send before they have proved their address.
constexpr std::uint64_t usual_strangers = 20;

} // namespace

void Proxy::refuse(const sip::ServerTransaction &server, unsigned status, const std::string &why,
                   const std::string &source, std::string_view phrase, Refusal what) {
    ++counters_.refused;
    refused(what, source,
            std::string(server.request().method_token()) + " from " + source + " refused: " + why, why,
            status);
    server.respond(sip::Draft::response(server.request(), status, phrase, sip::random_token(8)));
}

void Proxy::refused(Refusal what, const std::string &source, const std::string &text, const std::string &why,
                    std::optional<unsigned> code, std::uint64_t times) {
    const auto told = refusals_.note(what, source, why, core_.loop.now(), times);
    if (!told) return;
    auto fields = Json::object();
    fields.add("source", source);
    if (code) fields.add("code", *code);
    fields.add("kind", name_of(what)).add("reason", why).add("times", *told);
    core_.tell("bridge.refused", *told == 1 ? text : text + " (" + std::to_string(*told) + " times)",
               std::move(fields));
}

// The media's own threads only count them.
void Proxy::count_media_strangers() {
    const auto now = core_.media.traffic();
    if (const auto more = now.strangers - told_media_.strangers; more > usual_strangers)
        refused(Refusal::media_udp, now.stranger.ip(),
                "media to the browsers' port that was nobody's, from " + now.stranger.to_string() +
                    " at last",
                "nobody's media", {}, more);
    if (const auto more = now.tcp_refused - told_media_.tcp_refused; more > 0)
        refused(Refusal::media_tcp, now.tcp_stranger.ip(),
                "connections that were neither TLS, HTTP nor a browser's media, from " +
                    now.tcp_stranger.to_string() + " at last",
                "neither TLS, HTTP nor a browser's media", {}, more);
    told_media_ = now;
}

} // namespace offhook::bridge
