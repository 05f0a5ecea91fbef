// --expect-dtmf, --expect-tone, --expect-header, --expect-audio and --min-mos: what a call must have shown by
// its end. Watches one call by its events.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "phone/phone.hpp"

namespace offhook {

struct ExpectationOptions {
    std::string dtmf;                                         // regular expression; empty: none
    std::vector<double> tone;                                 // Hz, heard together; empty: none
    std::vector<std::pair<std::string, std::string>> headers; // of the answer: name, regular expression
    bool audio = false;                                       // something louder than noise was heard
    double min_mos = 0;                                       // of what arrived; 0: none

    [[nodiscard]] bool any() const noexcept {
        return !dtmf.empty() || !tone.empty() || !headers.empty() || audio || min_mos > 0;
    }
};

// "NAME: REGEX" of --expect-header. Errors: invalid_argument.
Result<std::pair<std::string, std::string>> parse_header_expectation(std::string_view text);

class Expectations {
public:
    // The phone must outlive the returned object. Errors: invalid_argument (a regular expression that is
    // none).
    static Result<std::unique_ptr<Expectations>> watch(Phone &phone, CallId call, ExpectationOptions options);
    ~Expectations();
    Expectations(const Expectations &) = delete;
    Expectations &operator=(const Expectations &) = delete;

    // After call.ended of this call: Errc::expectation naming the first thing that was missing.
    [[nodiscard]] Result<> outcome() const;

private:
    struct Self;
    explicit Expectations(std::unique_ptr<Self> self);
    std::unique_ptr<Self> self_;
};

} // namespace offhook
