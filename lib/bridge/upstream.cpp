#include "bridge/upstream.hpp"

#include <algorithm>

#include "base/log.hpp"
#include "bridge/rewrite.hpp"
#include "sip/digest.hpp"

namespace offhook::bridge {

namespace {

using sip::HeaderId;

constexpr unsigned short_expires = 20; // until a client registers again the way that works
constexpr std::size_t most_left = 20'000, most_left_of_one = 8;

std::string user_of(const sip::Message &request) {
    const auto to = request.to();
    return to ? to->uri.user_decoded() : std::string();
}

// As Location would name the device of this Contact.
std::string device_of(const sip::NameAddr &contact, const std::string &user) {
    std::string instance(contact.params.get("+sip.instance"));
    if (instance.size() >= 2 && instance.front() == '<') instance = instance.substr(1, instance.size() - 2);
    return instance.empty() ? user + " " + contact.uri.user : instance;
}

// The one that a REGISTER is of; empty when it has no Contact, or *.
std::string device_of(const sip::Message &request) {
    const auto contacts = request.addresses(HeaderId::contact);
    if (!contacts || contacts->empty() || contacts->front().star) return {};
    return device_of(contacts->front(), user_of(request));
}

void shorten(sip::Draft &draft, unsigned most) {
    for (auto &[name, value] : draft.headers) {
        const auto at = value.rfind(";expires=");
        if (sip::header_id(name) != HeaderId::contact || at == std::string::npos) continue;
        const auto granted = sip::parse_delta_seconds(std::string_view(value).substr(at + 9));
        if (granted && *granted > most) value = value.substr(0, at) + ";expires=" + std::to_string(most);
    }
}

} // namespace

Upstream::Upstream(Core &core, sip::Uri uri, UpstreamMode mode)
    : core_(core), host_(core, std::move(uri)), mode_(mode) {}

Upstream::~Upstream() {
    for (const auto &work : working_)
        if (work->courier) work->courier->forget();
}

tl::expected<const Binding *, unsigned> Upstream::target(const sip::Message &request) const {
    std::optional<FlowToken> token;
    for (const auto element : request.list(HeaderId::route))
        if (const auto route = sip::NameAddr::parse(element); route && !token)
            token = core_.tokens.open(route->uri.user);
    if (const auto uri = request.uri(); uri && !token) token = core_.tokens.open(uri->user);
    if (!token) return tl::unexpected(404U);
    const Binding *found = nullptr;
    const auto named = [&](const Binding &binding) {
        return token->epoch == core_.epoch && binding.flow.connection == token->connection;
    };
    core_.location.each([&](const Binding &binding) {
        if (!binding.reachable || device_hash(binding.device) != token->device) return;
        if (found == nullptr || named(binding) || (!named(*found) && binding.expires > found->expires))
            found = &binding;
    });
    if (found == nullptr) return tl::unexpected(mode_ == UpstreamMode::contact ? 480U : 430U);
    return found;
}

std::string Upstream::own_contact(const sip::NameAddr &contact, const Registering &work,
                                  const sip::Flow &out) {
    const FlowToken token{core_.epoch, work.flow.connection,
                          device_hash(device_of(contact, user_of(work.request)))};
    std::string text =
        "<sip:" + core_.tokens.seal(token) + "@" + core_.transports().contact_address(out).to_string();
    if (out.kind != sip::TransportKind::udp) text += ";transport=" + std::string(sip::uri_token(out.kind));
    text += ">";
    if (contact.params.has("expires")) text += ";expires=" + std::string(contact.params.get("expires"));
    if (contact.params.has("q")) text += ";q=" + std::string(contact.params.get("q"));
    return text;
}

void Upstream::rewrite(sip::Draft &draft, const Registering &work, const sip::Flow &out) {
    const auto contacts = work.request.addresses(HeaderId::contact);
    if (!contacts || contacts->empty() || contacts->front().star) return;
    if (work.mode == UpstreamMode::contact) {
        draft.erase("Contact");
        for (const auto &contact : *contacts)
            draft.add("Contact", own_contact(contact, work, out));
        if (const auto left = left_.find(device_of(work.request)); left != left_.end())
            for (const auto &uri : left->second)
                draft.add("Contact", "<" + uri + ">;expires=0");
        drop_token(draft, "Supported", "path");
        drop_token(draft, "Supported", "outbound");
        drop_token(draft, "Supported", "gruu");
        return;
    }
    const FlowToken token{core_.epoch, work.flow.connection,
                          device_hash(device_of(contacts->front(), user_of(work.request)))};
    std::string path =
        "<sip:" + core_.tokens.seal(token) + "@" + core_.transports().contact_address(out).to_string();
    draft.prepend("Path", path + ";transport=" + std::string(sip::uri_token(out.kind)) + ";lr;ob>");
    if (!work.request.lists_token(HeaderId::supported, "path")) draft.add("Supported", "path");
}

void Upstream::register_(const sip::Message &request, const sip::Flow &flow,
                         const sip::ServerTransaction &server,
                         std::function<void(const std::vector<Location::Change> &)> changed) {
    const UpstreamMode mode = mode_ == UpstreamMode::contact ? UpstreamMode::contact : UpstreamMode::path;
    auto work =
        std::make_shared<Registering>(Registering{request, flow, server, mode, {}, std::move(changed)});
    Courier::Order order;
    // Credentials are for the upstream: its realm is not ours.
    order.draft = forwardable(
        request, [this](const sip::Uri &uri) { return core_.is_ours(uri); }, "\n");
    order.to = party();
    const std::weak_ptr<Registering> weak = work;
    order.prepare = [this, weak](sip::Draft &draft, const sip::Flow &out) {
        if (const auto known = weak.lock()) rewrite(draft, *known, out);
    };
    order.response = [this, weak](const sip::Message &response, const sip::Flow &) {
        if (const auto known = weak.lock()) on_response(known, response);
    };
    order.failure = [this, weak](const Error &error) {
        const auto known = weak.lock();
        if (!known) return;
        log_warning("bridge: upstream: " + error.what);
        auto no = sip::Draft::response(known->request, 503, {}, sip::random_token(8));
        known->server.respond(no.add("Retry-After", "10"));
        working_.remove(known);
    };
    work->courier = Courier::send(core_, std::move(order));
    working_.push_back(std::move(work));
}

bool Upstream::knows_no_path(const Registering &work, const sip::Message &response) const {
    if (mode_ != UpstreamMode::automatic || work.mode != UpstreamMode::path) return false;
    if (response.status() == 420 || response.status() == 439) return true;
    return response.status() / 100 == 2 && !response.has(HeaderId::path) && response.has(HeaderId::contact);
}

void Upstream::restore_contacts(sip::Draft &draft, const sip::Message &response,
                                const Registering &work) const {
    const auto own = work.request.list(HeaderId::contact);
    const auto granted = response.addresses(HeaderId::contact);
    const auto general = sip::parse_delta_seconds(response.value(HeaderId::expires));
    if (!granted) return;
    draft.erase("Contact");
    for (const auto &contact : *granted) {
        if (is_left(contact.uri, work)) continue;
        const auto token = core_.tokens.open(contact.uri.user);
        std::string text;
        for (const auto element : own) {
            const auto mine = sip::NameAddr::parse(element);
            if (!mine || mine->star) continue;
            const bool ours = token && token->device == device_hash(device_of(*mine, user_of(work.request)));
            if (!ours && !mine->uri.equals(contact.uri)) continue;
            text = "<" + std::string(raw_uri(element)) + ">";
            for (const char *name : {"+sip.instance", "reg-id"})
                if (const auto *param = mine->params.find(name))
                    text += ";" + std::string(name) + "=" +
                            (param->quoted ? "\"" + param->value + "\"" : param->value);
        }
        if (text.empty()) { // somebody else's: as it is
            auto other = contact;
            other.params.erase("expires");
            text = other.encode();
        }
        std::string expires(contact.params.get("expires"));
        if (expires.empty()) expires = std::to_string(general ? *general : 3600);
        draft.add("Contact", text + ";expires=" + expires);
    }
}

bool Upstream::is_left(const sip::Uri &contact, const Registering &work) const {
    if (work.mode != UpstreamMode::contact) return false;
    const auto token = core_.tokens.open(contact.user);
    const std::string device = device_of(work.request);
    if (!token || device.empty() || token->device != device_hash(device)) return false;
    if (token->epoch != core_.epoch) return true;
    if (token->connection == work.flow.connection) return false;
    bool alive = false; // a second connection of the same device
    core_.location.each([&](const Binding &binding) {
        alive |= binding.reachable && binding.flow.connection == token->connection;
    });
    return !alive;
}

void Upstream::note_left(const sip::Message &response, const Registering &work) {
    const std::string device = device_of(work.request);
    const auto contacts = response.addresses(HeaderId::contact);
    const bool asked = left_.erase(device) != 0; // a registrar that keeps them is not asked again and again
    if (asked || !contacts || left_.size() >= most_left) return;
    std::vector<std::string> left;
    for (const auto &contact : *contacts)
        if (!contact.star && left.size() < most_left_of_one && is_left(contact.uri, work))
            left.push_back(contact.uri.encode());
    if (!left.empty()) left_.emplace(device, std::move(left));
}

bool Upstream::has_left(const Registering &work) const {
    return left_.contains(device_of(work.request));
}

void Upstream::on_response(const RegisteringPtr &work, const sip::Message &response) {
    auto draft = backward(response);
    if (response.status() < 200) return work->server.respond(draft);
    if ((response.status() == 401 || response.status() == 407) && !keep_md5_challenges(draft))
        log_warning("bridge: the upstream challenges for what browsers' phones cannot answer: expected MD5");
    const bool switching = knows_no_path(*work, response);
    if (switching) {
        mode_ = UpstreamMode::contact;
        core_.tell("bridge.upstream", "the upstream knows no Path: Contacts are rewritten from now on",
                   Json::object().add("mode", "contact"));
    }
    if (response.status() / 100 == 2) {
        restore_contacts(draft, response, *work);
        note_left(response, *work);
        // What the registrar has leads nowhere: the client is to come back soon.
        if (switching || has_left(*work)) shorten(draft, short_expires);
        if (!core_.settings.door_code.empty())
            draft.erase("Door-Code").add("Door-Code", core_.settings.door_code);
        UserSettings user;
        user.name = user_of(work->request);
        user.devices = 1000;
        // The registrar decides how long; ours only remembers the way.
        const auto answer = core_.location.process(work->request, work->flow, user, core_.loop.now());
        work->changed(answer.changes);
    } else if (switching) {
        draft = sip::Draft::response(work->request, 503, {}, sip::random_token(8));
        draft.add("Retry-After", "1");
    }
    work->server.respond(draft);
    working_.remove(work);
}

} // namespace offhook::bridge
