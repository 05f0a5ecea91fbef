// Two phones in one loop on 127.0.0.1, which note down every event.
#pragma once

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include <doctest/doctest.h>

#include "phone/phone.hpp"
#include "tests/support/sip_party.hpp"

namespace offhook::test {

inline PhoneSettings loopback_settings() {
    PhoneSettings settings;
    settings.audio = "none";
    settings.codecs = {"pcmu", "pcma"};
    settings.listen.push_back({sip::TransportKind::udp, *Address::parse("127.0.0.1")});
    return settings;
}

struct PhoneParty {
    PhoneParty(Loop &loop, PhoneSettings settings) {
        auto opened = Phone::open(loop, std::move(settings));
        REQUIRE_MESSAGE(opened.has_value(), (opened ? std::string{} : opened.error().what));
        phone = std::move(*opened);
        handle = phone->events().add([this](const Event &event) { on_event(event); });
    }

    [[nodiscard]] std::string address() const { // "127.0.0.1:40000"
        const auto sockets = phone->listening();
        return sockets.front().substr(sockets.front().find(':') + 1);
    }
    [[nodiscard]] std::string uri(std::string_view user = "bob") const {
        return "sip:" + std::string(user) + "@" + address();
    }

    template <class E>
    [[nodiscard]] const E *last() const {
        for (auto event = seen.rbegin(); event != seen.rend(); ++event)
            if (const auto *found = std::get_if<E>(&*event)) return found;
        return nullptr;
    }
    template <class E>
    [[nodiscard]] std::size_t count() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(seen, [](const Event &event) { return std::holds_alternative<E>(event); }));
    }
    template <class E>
    [[nodiscard]] bool saw() const {
        return last<E>() != nullptr;
    }
    [[nodiscard]] std::string digits(bool sent) const {
        std::string all;
        for (const auto &event : seen)
            if (const auto *dtmf = std::get_if<event::CallDtmf>(&event);
                dtmf != nullptr && dtmf->sent == sent)
                all += dtmf->digit;
        return all;
    }
    [[nodiscard]] CallId call() const { return current; }

    std::unique_ptr<Phone> phone;
    std::vector<Event> seen;
    bool auto_answer = true;
    CallId current{};
    Observers<Event>::Handle handle;

private:
    void on_event(const Event &event) {
        seen.push_back(event);
        if (const auto *incoming = std::get_if<event::CallIncoming>(&event)) {
            current = incoming->call.id;
            if (auto_answer) CHECK(phone->answer(current).has_value());
        }
    }
};

struct PhonePair {
    explicit PhonePair(const PhoneSettings &a = loopback_settings(),
                       const PhoneSettings &b = loopback_settings())
        : alice(loop, a), bob(loop, b) {}

    bool until(const std::function<bool()> &done, Duration limit = Duration{10'000}) {
        return run_until(loop, done, limit);
    }
    void dial(DialOptions options = {}) {
        const auto call = alice.phone->dial(bob.uri(), std::move(options));
        REQUIRE_MESSAGE(call.has_value(), (call ? std::string{} : call.error().what));
        alice.current = *call;
    }
    bool talk(DialOptions options = {}) {
        dial(std::move(options));
        return until([&] { return alice.saw<event::CallAnswered>() && bob.saw<event::CallAnswered>(); });
    }
    bool ended() {
        return until([&] { return alice.saw<event::CallEnded>() && bob.saw<event::CallEnded>(); });
    }

    Loop loop;
    PhoneParty alice, bob;
};

} // namespace offhook::test
