#include "sip/response_route.hpp"

#include <functional>
#include <string>

#include "sip/draft.hpp"

namespace offhook::sip {

namespace {

bool names(const std::string &host, const Address &source) {
    const auto address = Address::parse(host);
    return address && address->same_ip(source);
}

bool within(std::string_view part, std::string_view whole) {
    return !std::less<>{}(part.data(), whole.data()) &&
           !std::less<>{}(whole.data() + whole.size(), part.data() + part.size());
}

// The first element of the first Via header replaced, all other bytes as they came.
Result<Message> splice(const Message &request, std::string_view element, const std::string &via) {
    const std::string_view bytes = request.bytes();
    std::string text;
    text.reserve(bytes.size() + via.size() - element.size());
    const auto before = static_cast<std::size_t>(element.data() - bytes.data());
    text.append(bytes.substr(0, before)).append(via).append(bytes.substr(before + element.size()));
    return Message::parse(std::move(text));
}

} // namespace

Result<Message> stamp_source(const Message &request, const Address &source) {
    const auto elements = request.list(HeaderId::via);
    if (elements.empty()) return fail(Errc::parse, "no Via");
    auto via = Via::parse(elements.front());
    if (!via) return fail(via.error());
    const bool wants_port = via->params.has("rport");
    const bool differs = !names(via->host, source);
    if (!wants_port && !differs && !via->params.has("received")) return request;
    via->params.erase("received"); // only what we saw ourselves counts
    if (wants_port || differs) via->params.set("received", source.ip());
    if (wants_port) via->params.set("rport", std::to_string(source.port()));
    if (within(elements.front(), request.bytes())) return splice(request, elements.front(), via->encode());
    Draft draft = Draft::from_message(request);
    std::string value = via->encode();
    const auto first = request.find(HeaderId::via)->value;
    if (const auto comma = first.find(elements.front()); comma != std::string_view::npos)
        value += first.substr(comma + elements.front().size());
    draft.erase_first("Via").prepend("Via", value);
    return Message::parse(draft.encode());
}

Flow response_route(const Message &request, const Flow &arrived) {
    if (is_stream(arrived.kind)) return arrived;
    const auto via = request.top_via();
    if (!via || via->params.has("rport")) return arrived;
    Flow back = arrived;
    back.remote = arrived.remote.with_port(via->port != 0 ? via->port : default_port(arrived.kind));
    return back;
}

} // namespace offhook::sip
