#include "tests/support/speech.hpp"

#include <array>
#include <cstdio>
#include <memory>
#include <string>

namespace offhook::test {

namespace {

// Numbers bring all the sounds of a language in ever new order.
std::string sentence(unsigned number) {
    static const std::array<const char *, 6> texts{
        "The quick brown fox jumps over the lazy dog number ", "Please hold the line, your call is number ",
        "We have been trying to reach you about invoice ",     "Sphinx of black quartz, judge my vow of ",
        "Nine hundred and ninety sixers sing along to hymn ",  "The door on the left opens for visitor "};
    return texts[number % texts.size()] + std::to_string(number * 7919 % 1'000'000) + ". ";
}

} // namespace

Speech speech(unsigned seconds) {
    static const std::array<const char *, 6> voices{"en-us+m3", "en-us+f2", "en-gb+m7",
                                                    "en-gb+f4", "en-us+f5", "en-us+m1"};
    Speech speech;
    for (unsigned round = 0; speech.samples.size() < std::size_t{speech.rate} * seconds || round == 0;
         ++round) {
        std::string text;
        for (unsigned i = 0; i < (seconds > 60 ? 40U : 4U); ++i)
            text += sentence(round * 40 + i);
        const std::string command = std::string("espeak-ng --stdout -v ") + voices[round % voices.size()] +
                                    " '" + text + "' 2>/dev/null";
        const std::unique_ptr<FILE, int (*)(FILE *)> pipe(popen(command.c_str(), "r"), pclose);
        std::array<unsigned char, 44> header{};
        if (!pipe || fread(header.data(), 1, header.size(), pipe.get()) != header.size()) return {};
        speech.rate = header[24] | header[25] << 8U | header[26] << 16U; // of a canonical WAV header
        std::array<std::int16_t, 4096> block{};
        while (const auto got = fread(block.data(), sizeof block[0], block.size(), pipe.get()))
            speech.samples.insert(speech.samples.end(), block.begin(),
                                  block.begin() + static_cast<std::ptrdiff_t>(got));
    }
    return speech;
}

} // namespace offhook::test
