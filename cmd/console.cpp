#include "cmd/console.hpp"

#include <cstring>

#include <unistd.h>

#include "base/text.hpp"
#include "cmd/record_name.hpp"
#include "cmd/status_line.hpp"

namespace offhook::cmd {

namespace {

constexpr Duration redraw_interval{200}; // at most 5 a second

void put(const std::string &text) {
    (void)(write(STDERR_FILENO, text.data(), text.size()) < 0); // there is nobody to tell
}

} // namespace

Console::Console(Session &session, CallId call, std::string record_name)
    : session_(session), calls_(session, call), record_name_(std::move(record_name)),
      started_(session.loop().now()), redraw_(session.loop()) {
    auto terminal = Terminal::open([this](char key) { press(key); });
    if (!terminal) return; // the call goes on without keys
    terminal_ = std::move(*terminal);
    session_.output().set_status_hooks([this] { erase(); }, [this] { draw(); });
    tick();
}

Console::~Console() {
    session_.output().set_status_hooks({}, {});
    erase();
}

void Console::press(char key) {
    auto &phone = session_.phone();
    const CallId current = calls_.current();
    const auto call = phone.call(current);
    if (!call) return;
    if (target_) return type(key);
    if (calls_.press(key)) return draw();
    if (key == 'q') return show(phone.hang_up(current));
    if (key == 'h') return show(phone.hold(current, !call->held_locally));
    if (key == 'm') return show(phone.mute(current, !call->muted));
    if (key == 'r') return toggle_record(*call);
    if (key == 'x') {
        target_.emplace();
        return draw();
    }
    if (key == 'y') return show(phone.accept_transfer(current));
    if (key == 'n') return show(phone.refuse_transfer(current));
    if (key == '?')
        return session_.output().progress(
            "keys: 0-9 * # A-D digits, h hold, m mute, r record, q hang up, x transfer" + calls_.keys());
    if (std::strchr("0123456789*#ABCD", key) != nullptr && key != 0)
        show(phone.send_dtmf(current, std::string_view(&key, 1)));
}

// Enter hands the call over, Escape forgets it.
void Console::type(char key) {
    constexpr char escape = 27, backspace = 8, rubout = 127;
    constexpr std::size_t longest = 500;
    if (key == escape) {
        target_.reset();
    } else if (key == '\r' || key == '\n') {
        const std::string target = std::move(*target_);
        target_.reset();
        if (!target.empty()) return show(session_.phone().transfer(calls_.current(), target));
    } else if (key == backspace || key == rubout) {
        if (!target_->empty()) target_->pop_back();
    } else if (key >= ' ' && target_->size() < longest) {
        *target_ += key;
    }
    draw();
}

void Console::toggle_record(const CallView &call) {
    if (call.recording) return show(session_.phone().stop_record(calls_.current()));
    show(session_.phone().record(
        calls_.current(), expand_record_name(record_name_, call.remote, std::chrono::system_clock::now())));
}

void Console::show(const Result<> &done) {
    if (!done) session_.output().progress(done.error().what);
    draw();
}

void Console::tick() {
    draw();
    redraw_.start(redraw_interval, [this] { tick(); });
}

void Console::draw() {
    const auto call = session_.phone().call(calls_.current());
    if (!call || session_.finishing()) return erase();
    if (target_) {
        put("\r" + cut_to_width("transfer to (Enter, Esc): " + *target_, Terminal::width() - 1) + "\x1b[K");
        drawn_ = true;
        return;
    }
    StatusFacts facts;
    facts.call = *call;
    facts.beside = calls_.beside();
    facts.since_start = std::chrono::duration_cast<Duration>(session_.loop().now() - started_);
    facts.stats = session_.phone().stats(calls_.current());
    if (const auto *audio = session_.phone().audio(calls_.current()))
        facts.received_dbfs = audio->received_dbfs();
    put("\r" + format_status(facts, Terminal::width() - 1) + "\x1b[K");
    drawn_ = true;
}

void Console::erase() {
    if (std::exchange(drawn_, false)) put("\r\x1b[K");
}

} // namespace offhook::cmd
