// The far end of what tests/bench/run measures. Prints JSON lines.
#include "peer.hpp"

#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

namespace peer {

// Starts a program and says after what wall and CPU time its INVITE arrived. {} in its arguments is our URI.
int first_invite(int argc, char **argv) {
    Socket socket;
    const int stamped = 1;
    (void)setsockopt(socket.fd(), SOL_SOCKET, SO_TIMESTAMPNS, &stamped, sizeof stamped);
    const std::string uri = "sip:bench@127.0.0.1:" + std::to_string(socket.port());
    std::vector<std::string> words;
    for (int i = 0; i < argc; ++i) {
        std::string word = argv[i];
        if (const auto at = word.find("{}"); at != word.npos) word.replace(at, 2, uri);
        words.push_back(word);
    }
    std::vector<char *> arguments;
    for (auto &word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    const auto started = now(CLOCK_REALTIME);
    if (posix_spawn(&pid, arguments[0], &files, nullptr, arguments.data(), environ) != 0) die(arguments[0]);
    int result = 1;
    while (socket.wait(10'000)) {
        char bytes[2048], control[256];
        iovec part{bytes, sizeof bytes};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        const auto size = recvmsg(socket.fd(), &message, 0);
        if (size < 7 || std::memcmp(bytes, "INVITE ", 7) != 0) continue;
        clockid_t clock{};
        const Microseconds cpu = clock_getcpuclockid(pid, &clock) == 0 ? now(clock) : 0;
        struct timespec arrived {};
        for (auto *c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c))
            if (c->cmsg_type == SCM_TIMESTAMPNS) std::memcpy(&arrived, CMSG_DATA(c), sizeof arrived);
        const auto wall = Microseconds{arrived.tv_sec} * 1'000'000 + arrived.tv_nsec / 1000 - started;
        std::printf("{\"wall_ms\":%.3f,\"cpu_ms\":%.3f}\n", static_cast<double>(wall) / 1e3,
                    static_cast<double>(cpu) / 1e3);
        result = 0;
        break;
    }
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return result;
}

namespace {

// Answers calls and reflects their RTP until killed.
class Reflector {
public:
    explicit Reflector(std::string_view codec) : codec_(codec_named(codec)) {}
    int run() {
        std::printf("{\"port\":%u}\n", sip_.port());
        (void)std::fflush(stdout);
        while (true) {
            pollfd both[2] = {{sip_.fd(), POLLIN, 0}, {rtp_.fd(), POLLIN, 0}};
            if (poll(both, 2, -1) < 0) return 1;
            sockaddr_in from{};
            while (const auto packet = rtp_.receive(&from)) {
                rtp_.send(*packet, from);
                if (packets_++ == 0) tell("rtp");
            }
            while (const auto message = sip_.receive(&from))
                on_sip(std::string(*message), from);
        }
    }

private:
    void on_sip(const std::string &message, const sockaddr_in &from) {
        if (message.starts_with("ACK ") || message.starts_with("SIP/2.0")) return;
        if (message.starts_with("REGISTER ")) return sip_.send(granted(message), from);
        if (!message.starts_with("INVITE ")) return sip_.send(response(message, "200 OK", sip_.port()), from);
        const auto sdp = sdp_of(rtp_.port(), matched(codec_, body(message)));
        sip_.send(response(message, "200 OK", sip_.port(), sdp), from);
    }
    static std::string granted(const std::string &request) {
        auto ok = response(request, "200 OK", 1);
        const auto contact = ok.find("Contact: ");
        const std::string bound(header(request, "Contact"));
        ok.replace(contact, ok.find("\r\n", contact) - contact, "Contact: " + bound + "\r\nExpires: 3600");
        return ok;
    }
    static void tell(const char *event) {
        std::printf("{\"event\":\"%s\"}\n", event);
        (void)std::fflush(stdout);
    }
    Codec codec_;
    Socket sip_, rtp_;
    std::uint64_t packets_ = 0;
};

} // namespace

int answer(std::string_view codec) {
    return Reflector(codec).run();
}

// Sends OPTIONS at an even rate and counts the 200s.
int options(std::uint16_t port, unsigned rate, double seconds) {
    Socket socket;
    const auto to = loopback(port);
    const auto total = static_cast<unsigned>(rate * seconds);
    const auto start = now();
    unsigned sent = 0, answered = 0;
    const auto drain = [&] {
        while (const auto message = socket.receive())
            answered += message->starts_with("SIP/2.0 200") ? 1 : 0;
    };
    const std::string me = "127.0.0.1:" + std::to_string(socket.port());
    while (sent < total) {
        for (; sent < total && now() - start >= Microseconds{sent} * 1'000'000 / rate; ++sent) {
            const std::string id = std::to_string(start) + "x" + std::to_string(sent);
            socket.send("OPTIONS sip:bench@127.0.0.1:" + std::to_string(port) +
                            " SIP/2.0\r\nVia: SIP/2.0/UDP " + me + ";branch=z9hG4bK" + id +
                            ";rport\r\nMax-Forwards: 70\r\nFrom: <sip:probe@127.0.0.1>;tag=" + id +
                            "\r\nTo: <sip:bench@127.0.0.1>\r\nCall-ID: " + id +
                            "\r\nCSeq: 1 OPTIONS\r\nContact: <sip:probe@" + me +
                            ">\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n",
                        to);
        }
        const auto due = start + Microseconds{sent} * 1'000'000 / rate - now();
        (void)socket.wait(static_cast<int>(due > 1000 ? due / 1000 : due > 0 ? 1 : 0));
        drain();
    }
    for (int i = 0; i < 50 && answered < total && socket.wait(100); ++i)
        drain();
    std::printf("{\"sent\":%u,\"answered\":%u}\n", sent, answered);
    return 0;
}

} // namespace peer

int main(int argc, char **argv) {
    const std::string_view mode = argc > 1 ? argv[1] : "";
    const auto number = [&](int i) { return i < argc ? std::atof(argv[i]) : 0.0; };
    const auto port = static_cast<std::uint16_t>(number(2));
    if (mode == "first-invite" && argc > 2) return peer::first_invite(argc - 2, argv + 2);
    if (mode == "answer" && argc > 2) return peer::answer(argv[2]);
    if (mode == "options") return peer::options(port, static_cast<unsigned>(number(3)), number(4));
    if (mode == "calls") return peer::calls(port, static_cast<unsigned>(number(3)), number(4));
    if (mode == "delay") return peer::delay(port, number(3));
    (void)std::fputs("usage: peer first-invite COMMAND... | answer CODEC | options PORT RATE SECONDS |\n"
                     "       calls PORT COUNT SECONDS | delay PORT SECONDS\n",
                     stderr);
    return 2;
}
