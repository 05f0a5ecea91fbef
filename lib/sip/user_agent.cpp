#include "sip/user_agent.hpp"

#include <algorithm>
#include <array>

namespace offhook::sip {

namespace {

constexpr std::size_t recent_requests = 256; // remembered for merged-request detection (RFC 3261 §8.2.2.2)

std::string merge_key(const Message &request) {
    const auto from = request.from();
    std::string key(request.call_id());
    key += '\n';
    key += request.value(HeaderId::cseq);
    key += '\n';
    if (from) key += from->tag();
    return key;
}

// The same for a retransmission, and nobody else can tell it: for what is answered without memory (§8.2.7).
std::string repeatable_tag(const Message &request) {
    static const std::string secret = random_token();
    return std::to_string(std::hash<std::string>{}(secret + merge_key(request)));
}

std::string unsupported_extensions(const Message &request) {
    std::string missing;
    for (std::string_view tag : request.list(HeaderId::require)) {
        if (supports_extension(tag)) continue;
        if (!missing.empty()) missing += ", ";
        missing += tag;
    }
    return missing;
}

// RFC 3261 §20.1: no Accept means SDP; an Accept without it cannot be served by an INVITE (RFC 4475 sdp01).
bool accepts_sdp(const Message &request) {
    if (!request.has(HeaderId::accept)) return true;
    const auto ranges = request.list(HeaderId::accept);
    return std::any_of(ranges.begin(), ranges.end(), [](std::string_view range) {
        const std::string_view type = trim(range.substr(0, range.find(';')));
        return iequals(type, "application/sdp") || iequals(type, "application/*") || type == "*/*" ||
               iequals(type, "multipart/mixed");
    });
}

bool has_known_body(const Message &request) {
    if (request.body().empty()) return true;
    const std::string_view type = request.value(HeaderId::content_type);
    const std::string_view media = trim(type.substr(0, type.find(';')));
    const std::string_view encoding = request.value(HeaderId::content_encoding);
    return iequals(media, "application/sdp") && (encoding.empty() || iequals(encoding, "identity"));
}

// A body that may be ignored (Content-Disposition handling=optional, RFC 3204 §5) is no reason to refuse.
bool body_is_optional(const Message &request) {
    return request.value(HeaderId::content_disposition).find("handling=optional") != std::string_view::npos;
}

} // namespace

std::string_view allowed_methods() noexcept {
    return "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY, SUBSCRIBE, MESSAGE";
}

std::string_view supported_extensions() noexcept {
    return "100rel, replaces, timer, norefersub";
}

bool supports_extension(std::string_view tag) noexcept {
    const auto known = split_list(supported_extensions());
    return std::any_of(known.begin(), known.end(), [&](std::string_view one) { return iequals(one, tag); });
}

UserAgent::UserAgent(Loop &loop, Options options, Listener &listener)
    : loop_(loop), options_(std::move(options)), listener_(listener), layer_(loop, *this, options_.timers),
      resolver_(loop), guard_(options_.limits) {
    layer_.set_admission([this](const Message &request, const Flow &flow) { return admit(request, flow); });
}

UserAgent::~UserAgent() = default;

FloodGuard::Verdict UserAgent::admit(const Message &request, const Flow &flow) {
    if (listener_.trusts(flow)) return FloodGuard::Verdict::pass;
    const auto to = request.to();
    const auto from = request.from();
    if (to && from && !to->tag().empty() &&
        usages_.contains({std::string(request.call_id()), std::string(to->tag()), std::string(from->tag())}))
        return FloodGuard::Verdict::pass;
    return guard_.admit(flow.remote, loop_.now());
}

void UserAgent::add_usage(const DialogId &id, Usage &usage) {
    usages_[id] = &usage;
}

void UserAgent::remove_usage(const DialogId &id, const Usage &usage) {
    if (const auto found = usages_.find(id); found != usages_.end() && found->second == &usage)
        usages_.erase(found);
}

void UserAgent::watch_invite(const ServerTransaction &invite, Usage &usage) {
    std::erase_if(watched_, [](const Watched &w) { return !w.invite; });
    watched_.push_back({invite, &usage});
}

void UserAgent::unwatch(const Usage &usage) {
    std::erase_if(watched_, [&](const Watched &w) { return w.usage == &usage; });
}

UserAgent::Usage *UserAgent::usage_of(const ServerTransaction &transaction) const {
    for (const Watched &watched : watched_)
        if (watched.invite && watched.invite == transaction) return watched.usage;
    return nullptr;
}

std::unique_ptr<ClientRequest> UserAgent::request(ClientRequest::Options options,
                                                  ClientRequest::OnProvisional provisional,
                                                  ClientRequest::OnFinal final) {
    return std::make_unique<ClientRequest>(layer_, resolver_, loop_, std::move(options),
                                           std::move(provisional), std::move(final));
}

void UserAgent::add_capabilities(Draft &draft) const {
    if (!options_.product.empty()) draft.set(draft.is_request() ? "User-Agent" : "Server", options_.product);
    const bool wants_allow = draft.is_request() ? draft.method == "INVITE" || draft.method == "REGISTER" ||
                                                      draft.method == "UPDATE"
                                                : draft.status < 300 || draft.status == 405;
    if (!wants_allow) return;
    draft.set("Allow", allowed_methods());
    if (!supported_extensions().empty()) draft.set("Supported", supported_extensions());
}

void UserAgent::on_request(const Message &request, const Flow &flow, ServerTransaction transaction) {
    const auto to = request.to();
    if (to && !to->tag().empty())
        in_dialog(request, flow, transaction);
    else
        out_of_dialog(request, flow, transaction);
}

void UserAgent::in_dialog(const Message &request, const Flow &flow, const ServerTransaction &transaction) {
    const DialogId id{std::string(request.call_id()), std::string(request.to()->tag()),
                      std::string(request.from() ? request.from()->tag() : std::string_view{})};
    if (const auto found = usages_.find(id); found != usages_.end()) {
        if (request.method() != Method::ack && refuse(request, transaction)) return;
        if (request.method() == Method::message) return listener_.on_message(request, flow, transaction);
        found->second->on_request(request, flow, transaction);
        return;
    }
    if (request.method() == Method::ack) return;
    // The NOTIFY that makes the dialog of a subscription of ours (RFC 6665 §4.4.1): its tag is news.
    const auto expected = usages_.find({id.call_id, id.local_tag, ""});
    if (request.method() == Method::notify && expected != usages_.end()) {
        if (!refuse(request, transaction)) expected->second->on_request(request, flow, transaction);
        return;
    }
    if (request.method() == Method::options) { // RFC 3261 §11.2: answered as outside a dialog
        answer_options(transaction);
        return;
    }
    transaction.respond(481);
}

void UserAgent::out_of_dialog(const Message &request, const Flow &flow,
                              const ServerTransaction &transaction) {
    if (request.method() == Method::ack) return;
    if (merged(request)) return transaction.respond(482);
    if (refuse(request, transaction)) return;
    const auto uri = request.uri();
    if (!uri || !listener_.serves(*uri, request, flow)) return transaction.respond(404);
    switch (request.method()) {
    case Method::options:
        answer_options(transaction);
        return;
    case Method::invite:
        transaction.respond(100);
        listener_.on_invite(request, flow, transaction);
        return;
    case Method::subscribe:
        listener_.on_subscribe(request, flow, transaction);
        return;
    case Method::refer: // nobody who is not in a call with us sends us anywhere
        transaction.respond(403, {}, random_token());
        return;
    case Method::message:
        listener_.on_message(request, flow, transaction);
        return;
    default: // BYE, INFO, NOTIFY: known, but only inside a dialog
        transaction.respond(481);
    }
}

// What RFC 3261 §8.2.1–8.2.3 refuses before anybody looks at the request. True when it was answered.
bool UserAgent::refuse(const Message &request, const ServerTransaction &transaction) const {
    const auto answer = [&](unsigned status, std::string_view name, std::string_view value) {
        Draft draft = Draft::response(request, status, {}, random_token());
        add_capabilities(draft);
        draft.set(name, value);
        transaction.respond(draft);
        return true;
    };
    const Method method = request.method();
    if (method == Method::other) return answer(501, "Allow", allowed_methods());
    static constexpr std::array served{Method::invite, Method::bye,       Method::options, Method::info,
                                       Method::prack,  Method::update,    Method::cancel,  Method::refer,
                                       Method::notify, Method::subscribe, Method::message};
    if (std::find(served.begin(), served.end(), method) == served.end())
        return answer(405, "Allow", allowed_methods());
    if (method != Method::cancel)
        if (const std::string missing = unsupported_extensions(request); !missing.empty())
            return answer(420, "Unsupported", missing);
    if (method == Method::invite || method == Method::update || method == Method::prack) {
        if (!has_known_body(request) && !body_is_optional(request))
            return answer(415, "Accept", "application/sdp");
        if (!accepts_sdp(request)) {
            transaction.respond(406, {}, random_token());
            return true;
        }
    }
    return false;
}

void UserAgent::answer_options(const ServerTransaction &transaction) const {
    Draft draft = Draft::response(transaction.request(), 200, {}, repeatable_tag(transaction.request()));
    add_capabilities(draft);
    draft.set("Accept", "application/sdp, text/plain");
    draft.set("Accept-Language", "en");
    transaction.respond(draft);
    transaction.drop(); // a scanner cannot fill the table with them
}

// The same request by another path (§8.2.2.2): From tag, Call-ID and CSeq known, the branch is new.
bool UserAgent::merged(const Message &request) {
    const auto via = request.top_via();
    const std::string branch(via ? via->branch() : std::string_view{});
    std::string key = merge_key(request);
    for (const auto &[known, known_branch] : recent_)
        if (known == key && known_branch != branch) return true;
    if (recent_.size() >= recent_requests) recent_.pop_front();
    recent_.emplace_back(std::move(key), branch);
    return false;
}

void UserAgent::on_cancel(const ServerTransaction &invite, const Message &cancel) {
    if (Usage *usage = usage_of(invite))
        usage->on_cancel(invite, cancel);
    else
        invite.respond(487, {}, random_token());
}

void UserAgent::on_server_failure(const ServerTransaction &transaction, const Error &error) {
    if (Usage *usage = usage_of(transaction)) usage->on_server_failure(transaction, error);
}

void UserAgent::on_flow_failed(const Flow &flow, const Error &error) {
    listener_.on_flow_failed(flow, error);
}

void UserAgent::send_ack(Draft ack, const Uri &next_hop, const Flow &flow,
                         std::function<void(const std::string &, const Flow &)> sent) {
    if (leads_to(flow, next_hop)) {
        if (auto bytes = layer_.send_ack(std::move(ack), flow)) sent(*bytes, flow);
        return;
    }
    const std::uint64_t key = next_unattended_++;
    ack_queries_[key] = resolver_.resolve(next_hop, flow.kind,
                                          [this, key, draft = std::move(ack), flow,
                                           sent = std::move(sent)](const Result<std::vector<Hop>> &hops) {
                                              auto query = std::move(ack_queries_[key]);
                                              ack_queries_.erase(key);
                                              // Where the name cannot be resolved, the way the 2xx came by is
                                              // better than no ACK at all.
                                              Flow way = flow;
                                              if (hops && !hops->empty())
                                                  if (auto opened = transports().open(hops->front()))
                                                      way = *opened;
                                              if (auto bytes = layer_.send_ack(draft, way)) sent(*bytes, way);
                                          });
}

// A connection the peer opened has its ephemeral port at the far end; ours lead to the peer's listening port.
bool UserAgent::accepted(const Flow &flow) {
    const auto listening = transports().local_addresses(flow.kind);
    return std::any_of(listening.begin(), listening.end(),
                       [&](const Address &local) { return local.port() == flow.local.port(); });
}

bool UserAgent::leads_to(const Flow &flow, const Uri &next_hop) {
    if (!transports().alive(flow)) return false;
    // Nobody else can reach a name in .invalid (RFC 7118 §5): only the connection it came by leads there.
    if (is_websocket(flow.kind) && next_hop.host.ends_with(".invalid")) return true;
    const auto address = Address::parse(next_hop.host);
    if (address ? !address->same_ip(flow.remote) : !transports().leads_to_host(flow, next_hop.host))
        return false;
    const auto asked = parse_transport(next_hop.params.get("transport"));
    if (is_secure(flow.kind)) {
        if (asked && !is_stream(*asked)) return false;
    } else if (next_hop.is_sips() || (asked && *asked != flow.kind)) {
        return false;
    }
    if (is_stream(flow.kind) && accepted(flow)) return true;
    return (next_hop.port != 0 ? next_hop.port : default_port(flow.kind)) == flow.remote.port();
}

void UserAgent::refuse_fork(const Draft &invite, const Message &response, const Flow &flow) {
    auto dialog = Dialog::uac(invite, response);
    if (!dialog) return;
    auto next_hop = dialog->next_hop();
    const auto cseq = response.cseq();
    if (!next_hop || !cseq) return;
    dialog->local_cseq += 100; // beyond what PRACK and UPDATE may have counted in its early dialog
    send_ack(dialog->request("ACK", cseq->number), *next_hop, flow, [](const std::string &, const Flow &) {});
    ClientRequest::Options options;
    options.draft = dialog->request("BYE");
    options.next_hop = std::move(*next_hop);
    options.transport = flow.kind;
    if (leads_to(flow, options.next_hop)) options.flow = flow;
    options.trusted = false;
    keep_until_final(std::move(options));
}

void UserAgent::keep_until_final(ClientRequest::Options options) {
    const std::uint64_t key = next_unattended_++;
    unattended_[key] = request(std::move(options), {}, [this, key](const ClientRequest::Outcome &) {
        loop_.post([this, key] { unattended_.erase(key); });
    });
}

void UserAgent::on_stray_response(const Message &response, const Flow &flow) {
    const auto cseq = response.cseq();
    if (response.status() / 100 != 2 || !cseq || cseq->method != "INVITE") return;
    const auto to = response.to();
    const auto from = response.from();
    if (!to || !from) return;
    const DialogId id{std::string(response.call_id()), std::string(from->tag()), std::string(to->tag())};
    if (usages_.contains(id)) return; // its session repeats the ACK when the transaction passes it up
    refuse_fork(Draft::request("INVITE", to->uri.encode()), response, flow);
}

} // namespace offhook::sip
