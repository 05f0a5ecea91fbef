#include "sip/status.hpp"

#include <algorithm>
#include <array>

namespace offhook::sip {

namespace {

struct Row {
    unsigned status;
    std::string_view phrase;
    std::string_view meaning; // empty: that of the class
};

// Sorted by status. Phrases: IANA's SIP response codes.
constexpr std::array table{
    Row{100, "Trying", "the request is being handled"},
    Row{180, "Ringing", "it is ringing"},
    Row{181, "Call Is Being Forwarded", "the call is being forwarded"},
    Row{182, "Queued", "the call waits in a queue"},
    Row{183, "Session Progress", "the call makes progress"},
    Row{199, "Early Dialog Terminated", "one of the called devices gave up"},
    Row{200, "OK", "accepted"},
    Row{202, "Accepted", "accepted, but not done yet"},
    Row{204, "No Notification", "accepted, nothing new to tell"},
    Row{300, "Multiple Choices", "the callee can be reached at several other addresses"},
    Row{301, "Moved Permanently", "the callee has moved to another address"},
    Row{302, "Moved Temporarily", "the callee is at another address for now"},
    Row{305, "Use Proxy", "the callee can only be reached through another proxy"},
    Row{380, "Alternative Service", "the server offers another service instead"},
    Row{400, "Bad Request", "the other side could not understand the request"},
    Row{401, "Unauthorized", "the server wants a user name and password"},
    Row{402, "Payment Required", "the server wants to be paid"},
    Row{403, "Forbidden", "the request was refused"},
    Row{404, "Not Found", "there is no such user"},
    Row{405, "Method Not Allowed", "the other side does not allow this kind of request"},
    Row{406, "Not Acceptable", "the other side cannot answer in a form we accept"},
    Row{407, "Proxy Authentication Required", "the proxy wants a user name and password"},
    Row{408, "Request Timeout", "nobody answered in time"},
    Row{410, "Gone", "the user no longer exists there"},
    Row{412, "Conditional Request Failed", "the published state is no longer known"},
    Row{413, "Request Entity Too Large", "the content is too large for the other side"},
    Row{414, "Request-URI Too Long", "the address is too long for the other side"},
    Row{415, "Unsupported Media Type", "the other side does not understand this kind of content"},
    Row{416, "Unsupported URI Scheme", "the other side does not understand this kind of address"},
    Row{417, "Unknown Resource-Priority", ""},
    Row{420, "Bad Extension", "the other side lacks an extension that was required"},
    Row{421, "Extension Required", "the other side requires an extension we lack"},
    Row{422, "Session Interval Too Small", "the session timer is too short for the other side"},
    Row{423, "Interval Too Brief", "the registrar wants a longer registration interval"},
    Row{424, "Bad Location Information", ""},
    Row{425, "Bad Alert Message", ""},
    Row{428, "Use Identity Header", "the server wants a signed caller identity"},
    Row{429, "Provide Referrer Identity", "the server wants to know who asked for the transfer"},
    Row{430, "Flow Failed", "the connection to the callee was lost"},
    Row{433, "Anonymity Disallowed", "anonymous calls are refused"},
    Row{436, "Bad Identity-Info", ""},
    Row{437, "Unsupported Certificate", ""},
    Row{438, "Invalid Identity Header", ""},
    Row{439, "First Hop Lacks Outbound Support", "the proxy does not support outbound connections"},
    Row{440, "Max-Breadth Exceeded", ""},
    Row{469, "Bad Info Package", ""},
    Row{470, "Consent Needed", "the callee has not consented to such requests"},
    Row{480, "Temporarily Unavailable", "the callee is not available at the moment"},
    Row{481, "Call/Transaction Does Not Exist", "the other side does not know this call any more"},
    Row{482, "Loop Detected", "the request went round in a loop"},
    Row{483, "Too Many Hops", "the request passed too many servers"},
    Row{484, "Address Incomplete", "the number is incomplete"},
    Row{485, "Ambiguous", "the address fits several users"},
    Row{486, "Busy Here", "the callee is busy"},
    Row{487, "Request Terminated", "the call was cancelled before it was answered"},
    Row{488, "Not Acceptable Here", "the other side accepts none of the codecs or media offered"},
    Row{489, "Bad Event", "the other side does not know this kind of event"},
    Row{491, "Request Pending", "both sides changed the call at the same time"},
    Row{493, "Undecipherable", "the content could not be decrypted"},
    Row{494, "Security Agreement Required", "the server wants a security agreement"},
    Row{500, "Server Internal Error", "the server has an internal error"},
    Row{501, "Not Implemented", "the other side does not know this kind of request"},
    Row{502, "Bad Gateway", "a server behind the gateway gave a bad answer"},
    Row{503, "Service Unavailable", "the server is overloaded or under maintenance"},
    Row{504, "Server Time-out", "another server did not answer in time"},
    Row{505, "Version Not Supported", "the other side speaks another version of SIP"},
    Row{513, "Message Too Large", "the message is too large for the server"},
    Row{555, "Push Notification Service Not Supported", ""},
    Row{580, "Precondition Failure", "the media preconditions could not be met"},
    Row{600, "Busy Everywhere", "the callee is busy everywhere"},
    Row{603, "Decline", "the callee declined"},
    Row{604, "Does Not Exist Anywhere", "there is no such user anywhere"},
    Row{606, "Not Acceptable", "the callee cannot take part in such a session"},
    Row{607, "Unwanted", "the callee does not want such calls"},
    Row{608, "Rejected", "the call was rejected by an analytics service"},
};

constexpr std::array class_phrases{std::string_view("Trying"),         std::string_view("OK"),
                                   std::string_view("Redirection"),    std::string_view("Request Failure"),
                                   std::string_view("Server Failure"), std::string_view("Global Failure")};
constexpr std::array class_meanings{std::string_view("the request makes progress"),
                                    std::string_view("accepted"),
                                    std::string_view("the server redirects to another address"),
                                    std::string_view("the request was refused"),
                                    std::string_view("the server failed"),
                                    std::string_view("the request was refused everywhere")};

const Row *find(unsigned status) noexcept {
    const auto *const found =
        std::lower_bound(table.begin(), table.end(), status,
                         [](const Row &row, unsigned value) { return row.status < value; });
    return found != table.end() && found->status == status ? found : nullptr;
}

bool is_class(unsigned status) noexcept {
    return status >= 100 && status < 700;
}

// cli.md's exit codes.
namespace exit {
constexpr int success = 0, internal = 1, usage = 2, busy = 10, no_answer = 11, declined = 12,
              no_such_user = 13, authentication = 14, client_error = 15, server_error = 16, refused = 17,
              redirected = 18, network = 20, tls = 21, media = 30, device = 31, expectation = 40;
} // namespace exit

struct ExitRow {
    unsigned status;
    int code;
};

// Those that do not follow from their class.
constexpr std::array exits{
    ExitRow{401, exit::authentication}, ExitRow{404, exit::no_such_user}, ExitRow{407, exit::authentication},
    ExitRow{408, exit::no_answer},      ExitRow{410, exit::no_such_user}, ExitRow{480, exit::no_answer},
    ExitRow{484, exit::no_such_user},   ExitRow{486, exit::busy},         ExitRow{487, exit::no_answer},
    ExitRow{488, exit::media},          ExitRow{600, exit::busy},         ExitRow{603, exit::declined},
    ExitRow{604, exit::no_such_user},
};

// 1xx is no outcome; to end with one is a bug of ours.
constexpr std::array class_exits{exit::internal,     exit::success,      exit::redirected,
                                 exit::client_error, exit::server_error, exit::refused};

int exit_of(Errc code) noexcept {
    switch (code) {
    case Errc::internal:
        return exit::internal;
    case Errc::invalid_argument:
    case Errc::config:
    case Errc::not_found: // a contact, account or file that the user named
    case Errc::not_supported:
        return exit::usage;
    case Errc::parse:
    case Errc::network:
    case Errc::timeout:
        return exit::network;
    case Errc::tls:
        return exit::tls;
    case Errc::rejected:
        return exit::client_error;
    case Errc::authentication:
        return exit::authentication;
    case Errc::media:
        return exit::media;
    case Errc::device:
        return exit::device;
    case Errc::expectation:
        return exit::expectation;
    }
    return exit::internal;
}

} // namespace

std::string_view reason_phrase(unsigned status) noexcept {
    if (const Row *const row = find(status)) return row->phrase;
    return is_class(status) ? class_phrases.at(status / 100 - 1) : std::string_view("Unknown");
}

int exit_code(unsigned status, Purpose purpose, bool authenticated) noexcept {
    // 403 is the callee's refusal, unless it answers our registration or our credentials.
    if (status == 403)
        return purpose == Purpose::register_ || authenticated ? exit::authentication : exit::declined;
    for (const auto &row : exits)
        if (row.status == status) return row.code;
    return is_class(status) ? class_exits.at(status / 100 - 1) : exit::internal;
}

int exit_code(const Error &error, Purpose purpose) noexcept {
    if (error.sip != 0) return exit_code(error.sip, purpose, error.code == Errc::authentication);
    return exit_of(error.code);
}

std::string_view explain(unsigned status) noexcept {
    const Row *const row = find(status);
    if (row != nullptr && !row->meaning.empty()) return row->meaning;
    return is_class(status) ? class_meanings.at(status / 100 - 1) : std::string_view("an unknown answer");
}

} // namespace offhook::sip
