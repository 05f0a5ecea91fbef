// The step language of --do and stdin (cli.md): `wait answer; play hello.wav; dtmf 123#; hangup`.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "phone/phone.hpp"

namespace offhook {

struct Step {
    enum class Kind : std::uint8_t {
        wait_answer,
        wait_ringing,
        wait_silence,
        wait_dtmf,
        wait_tone,
        wait_end,
        wait_time,
        play,
        loop, // plays until something else is played; the next step follows at once
        say,
        dtmf,
        record,
        hold,
        resume,
        mute,
        unmute,
        transfer,
        expect_dtmf,
        expect_tone,
        expect_audio,
        hangup
    } kind;
    std::string text;       // file, digits, URI, pattern, spoken text
    std::vector<double> hz; // tones
    Duration time{0};       // silence length, pause
    Duration limit{60'000}; // a wait that takes longer fails
    std::string source;     // as written, for messages
};

// Steps end at `;` or a line end; what holds one stands in double quotes. Every wait and expect takes a
// time-out as its last word (default 60 s for waits, 10 s for expects). Errors: invalid_argument naming the
// step and what was expected ("step 3 \"wiat 2s\": … did you mean wait?").
Result<std::vector<Step>> parse_steps(std::string_view text);

// Runs the steps one after another on a call; ends at the first failure.
class StepRunner {
public:
    // Errc::expectation naming the step; `sip` is the status when the call was refused before the step could
    // be done. Called once, from the loop; a failed step has hung up the call before.
    using Done = std::function<void(Result<>)>;
    // `say` turns text into a WAV file path (cmd knows the tts_command).
    using Say = std::function<Result<std::string>(std::string_view text)>;

    StepRunner(Loop &loop, Phone &phone, CallId call, std::vector<Step> steps, Say say, Done done);
    ~StepRunner();
    StepRunner(const StepRunner &) = delete;
    StepRunner &operator=(const StepRunner &) = delete;

    void add(std::vector<Step> steps); // steps that arrive later (stdin)
    void finish_when_idle();           // no more will come

private:
    struct Self;
    std::unique_ptr<Self> self_;
};

} // namespace offhook
