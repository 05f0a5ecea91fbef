#include "bridge/ng.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <sys/socket.h>

#include "base/log.hpp"
#include "bridge/ng_descriptions.hpp"
#include "sip/digest.hpp"
#include "sip/headers.hpp"
#include "sip/socket_address.hpp"

namespace offhook::bridge {

namespace {

constexpr Duration ping_every{5'000}, repeat_after{1'000};
constexpr int attempts = 3;
// A browser whose connection is gone and that sends nothing for so long, not even RTCP, is gone as well.
constexpr Duration gone{15'000}, look_every{3'000};

} // namespace

std::int64_t ng_packets(const Bencode &answer, const std::string &tag) {
    const Bencode *tags = answer.find("tags");
    const Bencode *mine = tags != nullptr ? tags->find(tag) : nullptr;
    const Bencode *medias = mine != nullptr ? mine->find("medias") : nullptr;
    std::int64_t sum = 0;
    if (medias == nullptr || medias->list() == nullptr) return sum;
    for (const auto &media : *medias->list()) {
        const Bencode *streams = media.find("streams");
        if (streams == nullptr || streams->list() == nullptr) continue;
        for (const auto &stream : *streams->list()) {
            const Bencode *stats = stream.find("stats");
            const Bencode *packets = stats != nullptr ? stats->find("packets") : nullptr;
            const auto *number = packets != nullptr ? std::get_if<std::int64_t>(&packets->value) : nullptr;
            sum += number != nullptr ? *number : 0;
        }
    }
    return sum;
}

class NgPlane::Impl : public std::enable_shared_from_this<Impl> {
public:
    using Answer = std::function<void(Result<Bencode>)>;

    struct Node {
        Address address;
        std::string name;
        bool alive = true;
    };
    struct Question {
        std::string datagram;
        std::size_t node = 0;
        int left = attempts;
        Answer answer;
        std::unique_ptr<Timer> timer;
    };

    Impl(Loop &loop, NgDescriptions::Options options, Told told)
        : loop_(loop), options_(std::move(options)), told_(std::move(told)), ping_(loop) {}

    Result<> start(const std::vector<std::string> &nodes) {
        for (const auto &text : nodes) {
            const auto address = sip::parse_socket(text);
            if (!address)
                return fail(Errc::config, "rtpengine:" + text + ": expected a numeric address and a port");
            nodes_.push_back({*address, text, true});
        }
        const bool v6 = nodes_.front().address.family() == AF_INET6;
        fd_ = Fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (!fd_) return fail_errno(Errc::network, errno, "a socket for rtpengine");
        auto watching = watch_.start(fd_.get(), FdWatch::read, [this](int) { receive(); });
        if (watching) ping();
        return watching;
    }

    [[nodiscard]] Loop &loop() const noexcept { return loop_; }
    [[nodiscard]] const NgDescriptions::Options &options() const noexcept { return options_; }
    [[nodiscard]] const std::string &name(std::size_t node) const { return nodes_[node].name; }

    [[nodiscard]] bool alive(std::size_t node) const { return nodes_[node].alive; }
    // A living node by the Call-ID, so that retries of a call meet the same one.
    [[nodiscard]] std::size_t node_for(const std::string &call_id) const {
        const std::size_t start = std::hash<std::string>{}(call_id) % nodes_.size();
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            if (nodes_[(start + i) % nodes_.size()].alive) return (start + i) % nodes_.size();
        return start;
    }

    void ask(std::size_t node, Bencode::Dict question, Answer answer) {
        const std::string cookie = sip::random_token(8);
        auto &asked = questions_[cookie];
        asked.datagram = cookie + " " + Bencode(std::move(question)).encode();
        asked.node = node;
        asked.answer = std::move(answer);
        asked.timer = std::make_unique<Timer>(loop_);
        send(cookie);
    }

private:
    void send(const std::string &cookie) {
        auto &asked = questions_.at(cookie);
        const Address &to = nodes_[asked.node].address;
        (void)sendto(fd_.get(), asked.datagram.data(), asked.datagram.size(), MSG_DONTWAIT, to.sockaddr_ptr(),
                     to.sockaddr_len());
        --asked.left;
        asked.timer->start(repeat_after, [this, cookie] {
            if (questions_.at(cookie).left > 0) return send(cookie);
            auto lost = std::move(questions_.at(cookie));
            questions_.erase(cookie);
            set_alive(lost.node, false, "it does not answer");
            lost.answer(fail(Errc::network, "rtpengine " + nodes_[lost.node].name + " does not answer", 503));
        });
    }

    void receive() {
        std::array<char, 65536> buffer{};
        sockaddr_storage from{};
        socklen_t length = sizeof from;
        ssize_t got = 0;
        while ((got = recvfrom(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                               reinterpret_cast<sockaddr *>(&from), &length)) > 0) {
            const std::string_view text(buffer.data(), static_cast<std::size_t>(got));
            const auto space = text.find(' ');
            const auto found = questions_.find(std::string(text.substr(0, space)));
            const Address source = Address::from_sockaddr(reinterpret_cast<sockaddr *>(&from));
            if (space == std::string_view::npos || found == questions_.end() ||
                !(nodes_[found->second.node].address == source))
                continue;
            auto asked = std::move(found->second);
            questions_.erase(found);
            asked.timer->cancel();
            auto parsed = Bencode::parse(text.substr(space + 1));
            if (parsed && parsed->text("result").empty())
                parsed = fail(Errc::parse, "no result in its answer");
            set_alive(asked.node, parsed.has_value(),
                      parsed ? std::string() : "its answer makes no sense: " + parsed.error().what);
            asked.answer(std::move(parsed));
        }
    }

    void set_alive(std::size_t node, bool alive, const std::string &reason) {
        if (std::exchange(nodes_[node].alive, alive) != alive) told_(nodes_[node].name, alive, reason);
    }

    void ping() {
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            ask(i, {{"command", "ping"}}, [](const Result<Bencode> &) {});
        ping_.start(ping_every, [this] { ping(); });
    }

    Loop &loop_;
    NgDescriptions::Options options_;
    Told told_;
    Fd fd_;
    FdWatch watch_;
    Timer ping_;
    std::vector<Node> nodes_;
    std::unordered_map<std::string, Question> questions_;
};

// The forks of a browser's call are branches of one call there: they share the browser's transport. rtpengine
// 10.5 cannot release a branch alone: its ports go with the call, and it is silenced instead. A browser plays
// one stream, so that of several early ones it gets the one whose description it has. A phone takes another
// address from each fork: there each is a call of its own. Tags are ours.
class NgSession final : public MediaSession, public std::enable_shared_from_this<NgSession> {
public:
    NgSession(std::shared_ptr<NgPlane::Impl> plane, const std::string &call_id, bool caller_web,
              const Address &caller, MediaPlane::Listener &listener)
        : plane_(std::move(plane)), listener_(listener), call_id_(call_id + sip::random_token(4)),
          node_(plane_->node_for(call_id)),
          caller_(caller_web, caller, plane_->options().srtp, plane_->options().avpf),
          alive_(std::make_shared<bool>(true)) {}
    ~NgSession() override {
        *alive_ = false;
        const bool offered = std::ranges::any_of(branches_, &Branch::offered);
        if (shared() && offered) forget(0);
        for (unsigned branch = 0; branch < branches_.size(); ++branch)
            drop(branch);
    }
    NgSession(const NgSession &) = delete;
    NgSession &operator=(const NgSession &) = delete;

    void add_branch(unsigned branch, bool web, const Address &remote) override {
        if (branches_.size() <= branch) branches_.resize(branch + 1);
        branches_[branch].descriptions =
            std::make_unique<NgDescriptions>(caller_, web, remote, plane_->options());
    }
    void offer(End from, unsigned branch, const std::string &sdp, Done done) override {
        Branch &known = branches_[branch];
        if (!plane_->alive(node_)) move(branch);
        auto question = known.descriptions->offer_flags(other(from));
        question["command"] = "offer";
        question["from-tag"] = tag(from, branch);
        if (known.offered)
            question["to-tag"] = tag(other(from), branch);
        else if (shared() && from == End::caller)
            question["via-branch"] = via(branch);
        known.offered = true;
        ask(branch, std::move(question), from, sdp, std::move(done));
    }
    void answer(End from, unsigned branch, const std::string &sdp, Done done) override {
        auto question = branches_[branch].descriptions->answer_flags(other(from));
        question["command"] = "answer";
        question["from-tag"] = tag(other(from), branch);
        question["to-tag"] = tag(from, branch);
        if (shared() && from == End::callee) question["via-branch"] = via(branch);
        ask(branch, std::move(question), from, sdp, std::move(done));
    }
    void keep_answer(unsigned branch, bool) override {
        kept_ = branches_[branch].descriptions->told(End::caller);
        for (auto &known : branches_)
            if (known.descriptions) known.descriptions->keep(kept_);
        heard_ = branch;
    }
    [[nodiscard]] bool answer_holds(unsigned branch) const override {
        return kept_.empty() || still_holds(kept_, branches_[branch].descriptions->told(End::caller));
    }
    std::optional<std::string> restart(End, unsigned, const std::string &) override { return {}; }
    void roll_back(unsigned branch) override { branches_[branch].descriptions->roll_back(); }
    void settle(unsigned branch) override {
        settled_ = branch;
        kept_.clear();
        branches_[branch].descriptions->keep({});
        heard_ = branch;
        silence();
        for (unsigned i = 0; i < branches_.size(); ++i)
            if (i != branch) drop(i);
    }
    void release(unsigned branch) override { drop(branch); }
    bool send_digit(End, char, Duration) override { return false; } // the INFO goes through
    bool request_key_frame(End) override { return false; }
    void impatient(End end, bool on) override {
        auto &watch = watches_[index(end)];
        if (!on) return watch.reset();
        if (watch) return;
        watch = std::make_unique<Watch>(plane_->loop());
        look(end);
    }
    [[nodiscard]] MediaFacts facts(End) const override { return {}; }

private:
    struct Branch {
        std::unique_ptr<NgDescriptions> descriptions;
        bool offered = false, answered = false, silent = false;
    };
    struct Watch { // over a browser whose connection is gone
        explicit Watch(Loop &loop) : timer(loop), since(loop.now()) {}
        Timer timer;
        std::int64_t packets = -1;
        TimePoint since;
    };
    void look(End end) {
        plane_->ask(node_, {{"command", "query"}, {"call-id", id(settled_)}},
                    [this, alive = alive_, end](const Result<Bencode> &reply) {
                        if (*alive && watches_[index(end)]) looked(end, reply);
                    });
    }
    void looked(End end, const Result<Bencode> &reply) {
        Watch &watch = *watches_[index(end)];
        const auto now = plane_->loop().now();
        const auto packets = reply ? ng_packets(*reply, tag(end, settled_)) : watch.packets;
        if (std::exchange(watch.packets, packets) != packets) watch.since = now;
        if (now - watch.since > gone)
            return listener_.on_media_lost(end, "nothing comes from the browser any more");
        watch.timer.start(look_every, [this, end] { look(end); });
    }
    [[nodiscard]] bool shared() const noexcept { return caller_.own.web; }
    static std::string tag(End end, unsigned branch) {
        return end == End::caller ? "caller" : "callee" + std::to_string(branch);
    }
    static std::string via(unsigned branch) { return "branch" + std::to_string(branch); }
    [[nodiscard]] std::string id(unsigned branch) const {
        return shared() ? call_id_ : call_id_ + "-" + std::to_string(branch);
    }

    void ask(unsigned branch, Bencode::Dict question, End from, const std::string &sdp, Done done) {
        const bool answering = *question["command"].string() == "answer";
        auto text = branches_[branch].descriptions->question(from, sdp, answering);
        if (!text) return done(std::move(text));
        question["call-id"] = id(branch);
        question["sdp"] = std::move(*text);
        plane_->ask(node_, std::move(question),
                    [this, alive = alive_, branch, from, sdp, answering,
                     done = std::move(done)](const Result<Bencode> &reply) {
                        if (*alive) done(told(branch, from, sdp, answering, reply));
                    });
    }
    // What the other end is told.
    Result<std::string> told(unsigned branch, End from, const std::string &sdp, bool answering,
                             const Result<Bencode> &reply) {
        NgDescriptions &descriptions = *branches_[branch].descriptions;
        auto out = engine_text(reply);
        if (out) out = answering ? descriptions.answer(from, sdp, *out) : descriptions.offer(from, sdp, *out);
        if (!out) {
            if (!answering) descriptions.roll_back();
            log_warning("bridge: call " + call_id_ + " on " + plane_->name(node_) + ": " + out.error().what);
        }
        branches_[branch].answered |= out && answering && from == End::callee;
        silence();
        return out;
    }
    // Of all branches that answered the caller hears one.
    void silence() {
        if (!shared() || !heard_) return;
        for (unsigned branch = 0; branch < branches_.size(); ++branch) {
            const bool silent = branches_[branch].answered && branch != *heard_;
            if (std::exchange(branches_[branch].silent, silent) == silent) continue;
            plane_->ask(node_,
                        {{"command", silent ? "block media" : "unblock media"},
                         {"call-id", id(branch)},
                         {"from-tag", tag(End::callee, branch)}},
                        [](const Result<Bencode> &) {});
        }
    }
    // Where the call began nobody answers any more: it goes on elsewhere, by transports that both ends are
    // told with this offer and its answer.
    void move(unsigned branch) {
        const auto living = plane_->node_for(call_id_);
        if (!branches_[branch].offered || !plane_->alive(living)) return;
        log_info("bridge: call " + call_id_ + " moves from rtpengine " + plane_->name(node_) + " to " +
                 plane_->name(living));
        node_ = living;
        branches_[branch].offered = false;
    }
    static Result<std::string> engine_text(const Result<Bencode> &reply) {
        if (!reply) return fail(reply.error().code, reply.error().what, 503);
        auto text = reply->text("sdp");
        if (reply->text("result") == "ok" && !text.empty()) return text;
        const std::string why = reply->text("error-reason");
        return fail(Errc::media, "rtpengine: " + (why.empty() ? "no description in its answer" : why), 488);
    }
    void drop(unsigned branch) {
        if (shared() || !std::exchange(branches_[branch].offered, false)) return;
        forget(branch);
    }
    void forget(unsigned branch) {
        plane_->ask(node_, {{"command", "delete"}, {"call-id", id(branch)}}, [](const Result<Bencode> &) {});
    }

    std::shared_ptr<NgPlane::Impl> plane_;
    MediaPlane::Listener &listener_;
    std::string call_id_;
    std::size_t node_;
    NgSide caller_;
    std::vector<Branch> branches_;
    unsigned settled_ = 0;
    std::vector<KeptLine> kept_;                    // what the caller was told first, while forks may answer
    std::optional<unsigned> heard_;                 // whose sound it gets
    std::array<std::unique_ptr<Watch>, 2> watches_; // by End
    std::shared_ptr<bool> alive_;
};

Result<std::unique_ptr<NgPlane>> NgPlane::open(Loop &loop, const Settings &settings, Told told) {
    auto impl = std::make_shared<Impl>(
        loop, NgDescriptions::Options{settings.codecs, settings.srtp, settings.avpf}, std::move(told));
    if (auto started = impl->start(settings.rtpengines); !started) return tl::unexpected(started.error());
    return std::unique_ptr<NgPlane>(new NgPlane(std::move(impl)));
}

NgPlane::~NgPlane() = default;

Result<std::unique_ptr<MediaSession>> NgPlane::open(const std::string &call_id, bool caller_web,
                                                    const Address &caller, Listener &listener) {
    return std::unique_ptr<MediaSession>(
        std::make_unique<NgSession>(impl_, call_id, caller_web, caller, listener));
}

} // namespace offhook::bridge
