// A thread that moves packets: its own epoll, calls pinned to it; packets of many calls that share a socket
// go in one sendmmsg. It shares nothing with the loop; they meet by post() here and by LoopMailbox there.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include <sys/socket.h>

#include "base/address.hpp"
#include "base/clock.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "base/touched.hpp"

namespace offhook::bridge {

class MediaWorker {
public:
    static constexpr std::size_t tail_room = 64;

    class Sink {
    public:
        // `packet` may be written to, and has `tail_room` more bytes behind it. `port`: as given to watch().
        virtual void received(unsigned port, std::span<std::uint8_t> packet, const Address &from,
                              TimePoint now) = 0;

    protected:
        ~Sink() = default;
    };

    class Stream { // a socket without datagrams
    public:
        // There is something to read, or room for what is to be written if that was wanted.
        virtual void ready(TimePoint now) = 0;

    protected:
        ~Stream() = default;
    };

    // Starts the thread. Errors: Errc::internal.
    static Result<std::unique_ptr<MediaWorker>> start();
    ~MediaWorker(); // ends the thread
    MediaWorker(const MediaWorker &) = delete;
    MediaWorker &operator=(const MediaWorker &) = delete;

    void post(std::function<void()> task); // from any thread; runs in this one, in order

    // The rest: from this thread only.
    enum class Traffic : std::uint8_t { light, heavy }; // heavy: of many calls, several at a time are there
    void watch(int fd, Sink &sink, unsigned port, Traffic traffic = Traffic::light);
    void watch_stream(int fd, Stream &stream);
    void want_room(int fd, bool on);             // of a stream
    void expect(int fd, const Touched &touched); // what a packet on `fd` makes the sink read
    void forget(int fd);                         // before closing it, and before its sink dies
    // Called about every `every`, until the next call with an empty function. Key: the owner.
    void tick(const void *owner, std::function<void(TimePoint now)> call);
    void hurry(Duration at_most);                                                 // until the next tick
    void send(int fd, const Address &to, std::span<const std::uint8_t> datagram); // at once
    // From a socket of many calls: copied, and sent with the others that the packets in hand lead to.
    void send_together(int fd, const Address &to, std::span<const std::uint8_t> datagram);
    [[nodiscard]] std::size_t watched() const noexcept { return watches_.size(); }

private:
    static constexpr unsigned batch = 16;
    static constexpr std::size_t slot = 2048;
    static constexpr Duration idle_tick{250};

    struct Watch {
        int fd = -1;
        unsigned port = 0;
        Sink *sink = nullptr; // null: a stream
        Stream *stream = nullptr;
        Traffic traffic = Traffic::light;
        bool dead = false;
        Touched touched{};
    };
    struct Outgoing { // NOLINT(cppcoreguidelines-pro-type-member-init): nobody reads beyond `size`
        int fd = -1;
        Address to;
        std::size_t size = 0;
        std::array<std::uint8_t, 1536> bytes;
    };

    MediaWorker() = default;
    void run();
    void run_tasks();
    void watch(std::unique_ptr<Watch> watch);
    void serve(Watch &watch, TimePoint now);
    void receive(Watch &watch, TimePoint now);
    void receive_many(Watch &watch, TimePoint now);
    void flush();
    void tick_all(TimePoint now);
    void set_timer();
    bool add(int fd, void *tag);

    Fd epoll_, wakeup_, timer_;
    std::thread thread_;
    std::mutex mutex_;
    std::vector<std::function<void()>> tasks_;
    bool stop_ = false;

    std::unordered_map<int, std::unique_ptr<Watch>> watches_;
    std::vector<std::unique_ptr<Watch>> dead_;
    std::unordered_map<const void *, std::function<void(TimePoint)>> ticks_;
    Duration tick_every_ = idle_tick;
    TimePoint next_tick_{};
    std::vector<Outgoing> outgoing_; // room for some, once anything is sent together
    std::size_t queued_ = 0;
    std::array<std::uint8_t, slot> buffer_{};
    std::vector<std::array<std::uint8_t, slot>> buffers_; // `batch` of them, once there is heavy traffic
};

} // namespace offhook::bridge
