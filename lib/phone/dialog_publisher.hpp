// DialogPublisher: tells those who may watch how our calls stand (RFC 4235 over RFC 6665, notifier). Owned by
// the phone. Who is allowed is the phone's to decide; here every SUBSCRIBE that comes is served.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "phone/call_host.hpp"
#include "sip/invite_session.hpp"
#include "sip/subscription.hpp"

namespace offhook {

class DialogPublisher {
public:
    // The document for an account, watched as `entity`, at this moment.
    using Document = std::function<std::string(const std::string &account, const std::string &entity,
                                               std::uint32_t version)>;

    static constexpr std::size_t most_watchers = 64;

    DialogPublisher(CallHost &host, Document document);
    ~DialogPublisher();
    DialogPublisher(const DialogPublisher &) = delete;
    DialogPublisher &operator=(const DialogPublisher &) = delete;

    // Answers it: 200, 423, 400, or 503 when there are too many.
    void subscribe(const sip::Message &request, const sip::Flow &flow,
                   const sip::ServerTransaction &transaction, const std::string &account,
                   const sip::InviteSession::Options &identity);
    void changed(); // some call is in another state
    void stop();    // the phone ends: every watcher is told

private:
    class Watcher;
    void forget(const Watcher &watcher);

    CallHost &host_;
    Document document_;
    std::vector<std::unique_ptr<Watcher>> watchers_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

} // namespace offhook
