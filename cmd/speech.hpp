#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace offhook::cmd {

// Text into sound files by another program (tts_command: the text is its last argument, WAV comes on its
// stdout). Each text is spoken once; the files vanish with this object.
class Speech {
public:
    explicit Speech(std::vector<std::string> command) : command_(std::move(command)) {}
    ~Speech();
    Speech(const Speech &) = delete;
    Speech &operator=(const Speech &) = delete;

    // The path of a WAV file. Blocks while the program speaks (10 s at most). Errors: device.
    Result<std::string> say(const std::string &text);

private:
    std::vector<std::string> command_;
    std::map<std::string, std::string> files_;
};

} // namespace offhook::cmd
