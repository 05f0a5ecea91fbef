#include "phone/state_document.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "base/xml.hpp"
#include "sip/headers.hpp"

namespace offhook {

namespace {

constexpr std::size_t most_entries = 256; // dialogs or bindings remembered of one subscription

struct Package {
    const char *name, *type;
};
constexpr Package packages[] = {{"dialog", "application/dialog-info+xml"},
                                {"presence", "application/pidf+xml"},
                                {"message-summary", "application/simple-message-summary"},
                                {"reg", "application/reginfo+xml"}};

Result<XmlElement> document(std::string_view body, std::string_view root) {
    auto xml = parse_xml(body);
    if (!xml) return xml;
    if (xml->name != root)
        return fail(Errc::parse, "expected <" + std::string(root) + ">, found <" + sanitise(xml->name) + ">");
    return xml;
}

std::string safe(const std::string &text) {
    return sanitise(text);
}

std::string joined(const std::vector<std::string> &parts) {
    std::string out;
    for (const auto &part : parts)
        out += (out.empty() ? "" : ", ") + part;
    return out;
}

// RFC 4235 §4.1.6: who is there, by <target> or <identity>, with a display name if there is one.
std::string party(const XmlElement *side) {
    if (side == nullptr) return "";
    if (const auto *identity = side->find("identity"); identity != nullptr && !identity->text.empty())
        return safe(identity->text);
    const auto *target = side->find("target");
    return target == nullptr ? "" : safe(target->attribute("uri"));
}

std::string with_whom(const std::string &direction, const std::string &remote) {
    if (remote.empty()) return "";
    if (direction == "initiator") return " to " + remote;
    return (direction == "recipient" ? " from " : " with ") + remote;
}

// RFC 3863; the person's activities are RFC 4480's.
Result<StateView> read_presence(std::string_view body) {
    const auto xml = document(body, "presence");
    if (!xml) return fail(xml.error());
    StateView view;
    std::string basic;
    std::vector<std::string> notes;
    Json::Array tuples;
    for (const auto *tuple : xml->all("tuple")) {
        const auto *status = tuple->find("status");
        const std::string state = status == nullptr ? "" : safe(status->text_of("basic"));
        const std::string note = safe(tuple->text_of("note"));
        if (basic.empty() || state == "open") basic = state;
        if (!note.empty()) notes.push_back(note);
        tuples.push_back(Json::object()
                             .add("id", safe(tuple->attribute("id")))
                             .add("basic", state)
                             .add("contact", safe(tuple->text_of("contact")))
                             .add("note", note));
    }
    if (const auto note = safe(xml->text_of("note")); !note.empty()) notes.push_back(note);
    Json::Array activities;
    if (const auto *person = xml->find("person")) {
        if (const auto *list = person->find("activities"))
            for (const auto &activity : list->children) {
                activities.push_back(safe(activity.name));
                notes.push_back(safe(activity.name));
            }
        if (const auto note = safe(person->text_of("note")); !note.empty()) notes.push_back(note);
    }
    const std::string entity = safe(xml->attribute("entity"));
    const std::string state = basic.empty() ? "unknown" : basic;
    view.summary = entity + ": " + state + (notes.empty() ? "" : " (" + joined(notes) + ")");
    view.content = Json::object().add("entity", entity).add("basic", state).add("tuples", std::move(tuples));
    view.content.add("activities", std::move(activities));
    return view;
}

// "Voice-Message: 2/8 (0/2)": new/old (urgent new/old), RFC 3842 §5.2.
struct Counts {
    std::uint64_t fresh = 0, old = 0, urgent_fresh = 0, urgent_old = 0;
};

std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_pair(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto fresh = sip::parse_number(sip::trim(text.substr(0, slash)));
    const auto old = sip::parse_number(sip::trim(text.substr(slash + 1)));
    if (!fresh || !old) return std::nullopt;
    return std::pair(*fresh, *old);
}

std::optional<Counts> parse_counts(std::string_view text) {
    const auto open = text.find('(');
    const auto all = parse_pair(text.substr(0, open));
    if (!all) return std::nullopt;
    Counts counts{all->first, all->second, 0, 0};
    if (open == std::string_view::npos) return counts;
    const auto close = text.find(')', open);
    if (close == std::string_view::npos) return std::nullopt;
    const auto urgent = parse_pair(text.substr(open + 1, close - open - 1));
    if (!urgent) return std::nullopt;
    counts.urgent_fresh = urgent->first;
    counts.urgent_old = urgent->second;
    return counts;
}

std::string counts_text(const std::string &kind, const Counts &counts) {
    std::string out = std::to_string(counts.fresh) + " new, " + std::to_string(counts.old) + " old " + kind;
    if (counts.urgent_fresh + counts.urgent_old > 0)
        out += " (urgent: " + std::to_string(counts.urgent_fresh) + " new, " +
               std::to_string(counts.urgent_old) + " old)";
    return out;
}

class MessageSummary {
public:
    Result<StateView> read(std::string_view body) {
        for (const auto &line : split(body.substr(0, 65536), '\n')) {
            const auto colon = line.find(':');
            if (sip::trim(line).empty() && !waiting_.empty()) break; // message headers follow
            if (colon == std::string::npos) continue;
            const auto name = sip::trim(std::string_view(line).substr(0, colon));
            if (!take(name, sip::trim(std::string_view(line).substr(colon + 1))))
                return fail(Errc::parse, "message-summary: \"" + sanitise(line) + "\" is no count");
        }
        if (waiting_.empty()) return fail(Errc::parse, "message-summary: no Messages-Waiting line");
        StateView view;
        view.summary = (account_.empty() ? "" : account_ + ": ") +
                       (waiting_ == "yes" ? "messages waiting" : "no messages waiting") +
                       (parts_.empty() ? "" : ": " + joined(parts_));
        view.content = Json::object().add("waiting", waiting_ == "yes").add("account", account_);
        view.content.add("messages", std::move(kinds_));
        return view;
    }

private:
    // False for counts that are none.
    bool take(std::string_view name, std::string_view value) {
        constexpr std::string_view suffix = "-Message";
        if (sip::iequals(name, "Messages-Waiting")) waiting_ = sip::iequals(value, "yes") ? "yes" : "no";
        if (sip::iequals(name, "Message-Account")) account_ = sanitise(value);
        if (name.size() <= suffix.size() || !sip::iequals(name.substr(name.size() - suffix.size()), suffix))
            return true;
        const auto counts = parse_counts(value);
        if (counts) add(sanitise(name.substr(0, name.size() - suffix.size())), *counts);
        return counts.has_value();
    }

    void add(std::string kind, const Counts &counts) {
        constexpr std::size_t most_kinds = 16;
        if (parts_.size() >= most_kinds) return;
        for (auto &c : kind)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        parts_.push_back(counts_text(kind, counts));
        kinds_.add(kind, Json::object()
                             .add("new", counts.fresh)
                             .add("old", counts.old)
                             .add("urgent_new", counts.urgent_fresh)
                             .add("urgent_old", counts.urgent_old));
    }

    std::string account_, waiting_;
    std::vector<std::string> parts_;
    Json kinds_ = Json::object();
};

} // namespace

std::string_view accepted_type(std::string_view package) noexcept {
    for (const auto &known : packages)
        if (package == known.name) return known.type;
    return "";
}

const std::vector<std::string> &known_packages() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> out;
        for (const auto &known : packages)
            out.emplace_back(known.name);
        return out;
    }();
    return names;
}

Result<StateView> StateReader::read(std::string_view content_type, std::string_view body) {
    if (body.empty()) return StateView{"nothing known", Json::object()};
    const auto type = sip::trim(content_type.substr(0, content_type.find(';')));
    if (!sip::iequals(type, accepted_type(package_)))
        return fail(Errc::parse, "a body of type \"" + sanitise(type) + "\" (expected " +
                                     std::string(accepted_type(package_)) + ")");
    if (package_ == "dialog") return read_dialogs(body);
    if (package_ == "reg") return read_registrations(body);
    return package_ == "presence" ? read_presence(body) : MessageSummary().read(body);
}

void StateReader::merge_dialog(const XmlElement &dialog) {
    const auto *state = dialog.find("state");
    const std::string id = dialog.attribute("id");
    if (state == nullptr || (dialogs_.size() >= most_entries && !dialogs_.contains(id))) return;
    auto &known = dialogs_[id];
    known.state = safe(state->text);
    known.reason = safe(state->attribute("event"));
    if (const auto way = dialog.attribute("direction"); !way.empty()) known.direction = safe(way);
    if (const auto who = party(dialog.find("remote")); !who.empty()) known.remote = who;
}

Result<StateView> StateReader::read_dialogs(std::string_view body) {
    const auto xml = document(body, "dialog-info");
    if (!xml) return fail(xml.error());
    if (xml->attribute("state") != "partial") dialogs_.clear();
    for (const auto *dialog : xml->all("dialog"))
        merge_dialog(*dialog);
    StateView view;
    std::vector<std::string> parts;
    Json::Array list;
    for (const auto &[id, dialog] : dialogs_) {
        list.push_back(Json::object()
                           .add("id", safe(id))
                           .add("state", dialog.state)
                           .add("direction", dialog.direction)
                           .add("remote", dialog.remote)
                           .add("reason", dialog.reason));
        if (dialog.state == "terminated") continue;
        parts.push_back(dialog.state + with_whom(dialog.direction, dialog.remote));
    }
    std::erase_if(dialogs_, [](const auto &entry) { return entry.second.state == "terminated"; });
    const std::string entity = safe(xml->attribute("entity"));
    view.summary = entity + ": " + (parts.empty() ? "idle" : joined(parts));
    view.content =
        Json::object().add("entity", entity).add("busy", !parts.empty()).add("dialogs", std::move(list));
    return view;
}

void StateReader::merge_registration(const XmlElement &registration) {
    const std::string id = registration.attribute("id");
    if (aors_.size() >= most_entries && !aors_.contains(id)) return;
    aors_[id] = safe(registration.attribute("state"));
    names_[id] = safe(registration.attribute("aor"));
    for (const auto *contact : registration.all("contact")) {
        const std::string key = id + "\n" + contact->attribute("id");
        if (bindings_.size() >= most_entries && !bindings_.contains(key)) continue;
        bindings_[key] = {names_[id], safe(contact->text_of("uri")), safe(contact->attribute("state")),
                          safe(contact->attribute("event"))};
    }
}

// One address: a line for people, and its part of the content.
std::string StateReader::registration_line(const std::string &id, const std::string &state,
                                           Json::Array &list) const {
    std::vector<std::string> contacts;
    Json::Array bindings;
    for (const auto &[key, binding] : bindings_) {
        if (key.substr(0, key.find('\n')) != id) continue;
        bindings.push_back(
            Json::object().add("uri", binding.uri).add("state", binding.state).add("event", binding.event));
        if (binding.state != "terminated") contacts.push_back(binding.uri);
    }
    const std::string &name = names_.at(id);
    list.push_back(Json::object().add("aor", name).add("state", state).add("contacts", std::move(bindings)));
    return name + ": " + state + (contacts.empty() ? "" : " at " + joined(contacts));
}

Result<StateView> StateReader::read_registrations(std::string_view body) {
    const auto xml = document(body, "reginfo");
    if (!xml) return fail(xml.error());
    if (xml->attribute("state") != "partial") {
        bindings_.clear();
        aors_.clear();
        names_.clear();
    }
    for (const auto *registration : xml->all("registration"))
        merge_registration(*registration);
    StateView view;
    Json::Array list;
    std::vector<std::string> lines;
    for (const auto &[id, state] : aors_)
        lines.push_back(registration_line(id, state, list));
    std::erase_if(bindings_, [](const auto &entry) { return entry.second.state == "terminated"; });
    view.summary = lines.empty() ? "no registration" : joined(lines);
    view.content = Json::object().add("registrations", std::move(list));
    return view;
}

} // namespace offhook
