#include "phone/dialog_publisher.hpp"

#include <algorithm>

#include "phone/call.hpp"

namespace offhook {

namespace {
constexpr std::uint32_t shortest = 60, longest = 3600; // seconds; RFC 4235 §3.4 suggests an hour
} // namespace

// One subscription.
class DialogPublisher::Watcher final : private sip::UserAgent::Usage {
public:
    Watcher(DialogPublisher &publisher, sip::DialogContext context, std::string tag, std::string account,
            std::string entity)
        : publisher_(publisher), context_(std::move(context)), tag_(std::move(tag)),
          account_(std::move(account)), entity_(std::move(entity)), expiry_(publisher.host_.loop()) {
        machine_.min_expires = shortest;
        machine_.max_expires = longest;
        ua().add_usage(context_.dialog.id, *this);
    }
    Watcher(const Watcher &) = delete;
    Watcher &operator=(const Watcher &) = delete;
    ~Watcher() { ua().remove_usage(context_.dialog.id, *this); }

    // False: too brief an interval, there is no subscription.
    bool take(const sip::Message &request, const sip::ServerTransaction &transaction) {
        sip::NotifierEvent event{.kind = sip::NotifierEvent::Kind::subscribe};
        if (const auto expires = sip::parse_delta_seconds(request.value(sip::HeaderId::expires)))
            event.expires = *expires;
        event.now = publisher_.host_.loop().now();
        const auto decision = sip::step(machine_, event);
        auto answer = sip::Draft::response(request, decision.answer, {}, tag_);
        ua().add_capabilities(answer);
        if (decision.answer == 423) answer.add("Min-Expires", std::to_string(decision.expires));
        if (decision.answer == 200) {
            answer.add("Allow-Events", "dialog");
            answer.add("Expires", std::to_string(decision.expires));
            answer.add("Contact", sip::contact_value(ua(), transaction.flow(), context_.contact_user,
                                                     context_.public_address));
        }
        transaction.respond(answer);
        act(decision);
        return decision.answer == 200;
    }

    void tell(sip::NotifierEvent event) {
        event.now = publisher_.host_.loop().now();
        act(sip::step(machine_, event));
    }

private:
    [[nodiscard]] sip::UserAgent &ua() const { return publisher_.host_.user_agent(); }

    void act(const sip::NotifierDecision &decision) {
        machine_ = decision.next;
        if (decision.wait)
            expiry_.start(*decision.wait, [this] { tell({.kind = sip::NotifierEvent::Kind::timer}); });
        if (decision.notify) notify(decision.state);
        if (decision.over) publisher_.forget(*this);
    }

    void notify(const sip::SubscriptionStatus &state) {
        auto options = context_.request(ua(), "NOTIFY");
        options.draft.add("Event", "dialog");
        options.draft.add("Subscription-State", state.encode());
        options.draft.set_body("application/dialog-info+xml",
                               publisher_.document_(account_, entity_, version_++));
        notify_ = ua().request(std::move(options), {}, [this](const sip::ClientRequest::Outcome &outcome) {
            // The request is still inside its callback: the next one must not replace it there.
            const unsigned status = outcome.response ? outcome.response->status() : 0;
            publisher_.host_.loop().post([this, still = std::weak_ptr<char>(alive_), status] {
                if (!still.expired()) tell({.kind = sip::NotifierEvent::Kind::answered, .status = status});
            });
        });
    }

    void on_request(const sip::Message &request, const sip::Flow &flow,
                    sip::ServerTransaction transaction) override {
        const auto cseq = request.cseq();
        if (!cseq || !context_.dialog.accept_cseq(cseq->number))
            return transaction.respond(500, "CSeq out of order");
        if (request.method() != sip::Method::subscribe) return transaction.respond(481);
        context_.flow = flow;
        context_.dialog.refresh_target(request);
        take(request, transaction);
    }
    void on_cancel(const sip::ServerTransaction &, const sip::Message &) override {}
    void on_server_failure(const sip::ServerTransaction &, const Error &) override {}

    DialogPublisher &publisher_;
    sip::DialogContext context_;
    std::string tag_, account_, entity_;
    sip::Notifier machine_;
    std::uint32_t version_ = 0;
    std::unique_ptr<sip::ClientRequest> notify_;
    Timer expiry_;
    std::shared_ptr<char> alive_ = std::make_shared<char>();
};

DialogPublisher::DialogPublisher(CallHost &host, Document document)
    : host_(host), document_(std::move(document)) {}

DialogPublisher::~DialogPublisher() = default;

void DialogPublisher::subscribe(const sip::Message &request, const sip::Flow &flow,
                                const sip::ServerTransaction &transaction, const std::string &account,
                                const sip::InviteSession::Options &identity) {
    const std::string tag = sip::random_token(8);
    if (watchers_.size() >= most_watchers) {
        auto busy = sip::Draft::response(request, 503, {}, tag);
        busy.add("Retry-After", "60");
        return transaction.respond(busy);
    }
    const auto uri = request.uri();
    const std::string entity = uri ? plain_uri(*uri) : std::string{};
    auto dialog = sip::Dialog::uas(request, tag);
    if (!dialog) return transaction.respond(400, dialog.error().what, tag);
    sip::DialogContext context{std::move(*dialog),     identity.contact_user, identity.public_address,
                               identity.authenticator, identity.trusted,      flow};
    watchers_.push_back(std::make_unique<Watcher>(*this, std::move(context), tag, account, entity));
    if (!watchers_.back()->take(request, transaction)) watchers_.pop_back();
}

void DialogPublisher::changed() {
    for (const auto &watcher : watchers_)
        watcher->tell({.kind = sip::NotifierEvent::Kind::changed});
}

void DialogPublisher::stop() {
    for (const auto &watcher : watchers_)
        watcher->tell({.kind = sip::NotifierEvent::Kind::stop, .reason = "noresource"});
}

void DialogPublisher::forget(const Watcher &watcher) {
    host_.loop().post([this, gone = &watcher, still = std::weak_ptr<char>(alive_)] {
        if (!still.expired()) std::erase_if(watchers_, [&](const auto &w) { return w.get() == gone; });
    });
}

} // namespace offhook
