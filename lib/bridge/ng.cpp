#include "bridge/ng.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <sys/socket.h>

#include "base/log.hpp"
#include "sip/digest.hpp"
#include "sip/headers.hpp"
#include "sip/socket_address.hpp"

namespace offhook::bridge {

namespace {

constexpr Duration ping_every{5'000}, repeat_after{1'000};
constexpr int attempts = 3;
// A browser whose connection is gone and that sends nothing for so long, not even RTCP, is gone as well.
constexpr Duration gone{15'000}, look_every{3'000};

Bencode::List words(std::initializer_list<const char *> items) {
    return {items.begin(), items.end()};
}

} // namespace

Bencode::Dict ng_offer(bool, bool to_web) {
    if (to_web)
        return {{"ICE", "force"},
                {"ICE-lite", "forward"},
                {"DTLS", "passive"},
                {"SDES", words({"off"})},
                {"rtcp-mux", words({"offer", "require"})},
                {"transport-protocol", "UDP/TLS/RTP/SAVPF"},
                {"replace", words({"origin", "session-connection"})},
                {"flags", words({"generate-mid"})}};
    return {{"ICE", "remove"},
            {"DTLS", "off"},
            {"SDES", words({"off"})},
            {"rtcp-mux", words({"demux"})},
            {"transport-protocol", "RTP/AVP"},
            {"replace", words({"origin", "session-connection"})},
            {"flags", words({"no-rtcp-attribute"})}};
}

Bencode::Dict ng_answer(bool, bool to_web) {
    if (to_web)
        return {{"ICE", "force"},
                {"DTLS", "passive"},
                {"rtcp-mux", words({"require"})},
                {"transport-protocol", "UDP/TLS/RTP/SAVPF"},
                {"replace", words({"origin", "session-connection"})},
                {"flags", words({"generate-mid", "SDES-off"})}};
    return {{"ICE", "remove"},
            {"rtcp-mux", words({"demux"})},
            {"transport-protocol", "RTP/AVP"},
            {"replace", words({"origin", "session-connection"})}};
}

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

    Impl(Loop &loop, Told told) : loop_(loop), told_(std::move(told)), ping_(loop) {}

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
            set_alive(lost.node, false);
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
            if (!parsed) log_warning("rtpengine " + nodes_[asked.node].name + ": " + parsed.error().what);
            set_alive(asked.node, parsed.has_value());
            asked.answer(std::move(parsed));
        }
    }

    void set_alive(std::size_t node, bool alive) {
        if (nodes_[node].alive == alive) return;
        nodes_[node].alive = alive;
        told_(nodes_[node].name, alive);
    }

    void ping() {
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            ask(i, {{"command", "ping"}}, [](const Result<Bencode> &) {});
        ping_.start(ping_every, [this] { ping(); });
    }

    Loop &loop_;
    Told told_;
    Fd fd_;
    FdWatch watch_;
    Timer ping_;
    std::vector<Node> nodes_;
    std::unordered_map<std::string, Question> questions_;
};

// Each fork is a call of its own there: its tags are ours, "caller" and "callee".
class NgSession final : public MediaSession, public std::enable_shared_from_this<NgSession> {
public:
    NgSession(std::shared_ptr<NgPlane::Impl> plane, const std::string &call_id, bool caller_web,
              MediaPlane::Listener &listener)
        : plane_(std::move(plane)), listener_(listener), call_id_(call_id + sip::random_token(4)),
          node_(plane_->node_for(call_id)), caller_web_(caller_web), alive_(std::make_shared<bool>(true)) {}
    ~NgSession() override {
        *alive_ = false;
        for (unsigned branch = 0; branch < branches_.size(); ++branch)
            drop(branch);
    }
    NgSession(const NgSession &) = delete;
    NgSession &operator=(const NgSession &) = delete;

    void add_branch(unsigned branch, bool web, const Address &) override {
        if (branches_.size() <= branch) branches_.resize(branch + 1);
        branches_[branch] = {web, false};
    }
    void offer(End from, unsigned branch, const std::string &sdp, Done done) override {
        auto question = ng_offer(web(from, branch), web(other(from), branch));
        question["command"] = "offer";
        question["from-tag"] = tag(from);
        if (branches_[branch].offered) question["to-tag"] = tag(other(from));
        branches_[branch].offered = true;
        offerer_ = from;
        ask(branch, std::move(question), sdp, std::move(done));
    }
    void answer(End from, unsigned branch, const std::string &sdp, Done done) override {
        auto question = ng_answer(web(from, branch), web(other(from), branch));
        question["command"] = "answer";
        question["from-tag"] = tag(other(from));
        question["to-tag"] = tag(from);
        ask(branch, std::move(question), sdp, std::move(done));
    }
    // Each fork has ports and keys of its own there.
    void keep_answer(unsigned branch, bool) override { kept_ = branch; }
    [[nodiscard]] bool answer_holds(unsigned branch) const override { return !kept_ || *kept_ == branch; }
    std::optional<std::string> restart(End, unsigned, const std::string &) override { return {}; }
    void roll_back(unsigned) override {}
    void settle(unsigned branch) override {
        settled_ = branch;
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
        bool web = false, offered = false;
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
        const auto packets = reply ? ng_packets(*reply, tag(end)) : watch.packets;
        if (std::exchange(watch.packets, packets) != packets) watch.since = now;
        if (now - watch.since > gone)
            return listener_.on_media_lost(end, "nothing comes from the browser any more");
        watch.timer.start(look_every, [this, end] { look(end); });
    }
    static const char *tag(End end) { return end == End::caller ? "caller" : "callee"; }
    [[nodiscard]] bool web(End end, unsigned branch) const {
        return end == End::caller ? caller_web_ : branches_[branch].web;
    }
    [[nodiscard]] std::string id(unsigned branch) const { return call_id_ + "-" + std::to_string(branch); }

    void ask(unsigned branch, Bencode::Dict question, const std::string &sdp, Done done) {
        question["call-id"] = id(branch);
        question["sdp"] = sdp;
        plane_->ask(node_, std::move(question),
                    [alive = alive_, done = std::move(done)](const Result<Bencode> &reply) {
                        if (!*alive) return;
                        if (!reply) return done(fail(reply.error().code, reply.error().what, 503));
                        const std::string text = reply->text("sdp");
                        if (reply->text("result") != "ok" || text.empty())
                            return done(fail(Errc::media, "rtpengine: " + reply->text("error-reason"), 488));
                        done(text);
                    });
    }
    void drop(unsigned branch) {
        if (!branches_[branch].offered) return;
        branches_[branch].offered = false;
        plane_->ask(node_, {{"command", "delete"}, {"call-id", id(branch)}, {"from-tag", "caller"}},
                    [](const Result<Bencode> &) {});
    }

    std::shared_ptr<NgPlane::Impl> plane_;
    MediaPlane::Listener &listener_;
    std::string call_id_;
    std::size_t node_;
    bool caller_web_;
    End offerer_ = End::caller;
    std::vector<Branch> branches_;
    unsigned settled_ = 0;
    std::optional<unsigned> kept_;                  // the branch whose answer the caller has
    std::array<std::unique_ptr<Watch>, 2> watches_; // by End
    std::shared_ptr<bool> alive_;
};

Result<std::unique_ptr<NgPlane>> NgPlane::open(Loop &loop, const std::vector<std::string> &nodes, Told told) {
    auto impl = std::make_shared<Impl>(loop, std::move(told));
    if (auto started = impl->start(nodes); !started) return tl::unexpected(started.error());
    return std::unique_ptr<NgPlane>(new NgPlane(std::move(impl)));
}

NgPlane::~NgPlane() = default;

Result<std::unique_ptr<MediaSession>> NgPlane::open(const std::string &call_id, bool caller_web,
                                                    const Address &, Listener &listener) {
    return std::unique_ptr<MediaSession>(std::make_unique<NgSession>(impl_, call_id, caller_web, listener));
}

} // namespace offhook::bridge
