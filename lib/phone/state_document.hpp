// What the body of a NOTIFY says, for the event packages that `watch` knows: dialog (RFC 4235), presence
// (RFC 3856, PIDF of RFC 3863), message-summary (RFC 3842), reg (RFC 3680). Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace offhook {

struct XmlElement;

struct StateView {
    std::string summary; // one line for people, harmless to show: "sip:100@pbx: confirmed with sip:200@pbx"
    Json content;        // the same in parts
};

// The package's Accept header; "" for a package that is not known.
std::string_view accepted_type(std::string_view package) noexcept;
const std::vector<std::string> &known_packages(); // "dialog", "presence", "message-summary", "reg"

// Keeps what partial documents (dialog, reg) build upon. One per subscription.
class StateReader {
public:
    explicit StateReader(std::string package) : package_(std::move(package)) {}

    // An empty body says that nothing is known (yet). Errors: Errc::parse, in one line.
    Result<StateView> read(std::string_view content_type, std::string_view body);

private:
    Result<StateView> read_dialogs(std::string_view body);
    Result<StateView> read_registrations(std::string_view body);
    void merge_dialog(const XmlElement &dialog);
    void merge_registration(const XmlElement &registration);
    std::string registration_line(const std::string &id, const std::string &state, Json::Array &list) const;

    struct Dialog {
        std::string state, direction, remote, reason;
    };
    struct Binding {
        std::string aor, uri, state, event;
    };
    std::string package_;
    std::map<std::string, Dialog> dialogs_;    // by id
    std::map<std::string, Binding> bindings_;  // by registration and contact id
    std::map<std::string, std::string> aors_;  // registration id: state
    std::map<std::string, std::string> names_; // registration id: AOR
};

} // namespace offhook
