// Any bytes as a configuration file, as --do steps and as a target.
#include <string>

#include "base/json.hpp"
#include "base/text.hpp"
#include "phone/settings_reader.hpp"
#include "phone/steps.hpp"
#include "phone/target.hpp"
#include "tests/fuzz/body.hpp"

using namespace offhook;
using namespace offhook::fuzz;

FUZZ_BODY(config) {
    const auto text = text_of(input);
    auto root = parse_config(text, "offhook.toml");
    if (root) {
        const auto report = read_settings({"offhook.toml", std::move(*root)});
        for (const auto &error : report.errors)
            require(error.starts_with("offhook.toml:") && error.find('\n') == error.npos);
        for (const auto &warning : report.warnings)
            require(warning.find('\n') == warning.npos);
    } else {
        require(root.error().what.starts_with("offhook.toml:"));
    }
    (void)parse_steps(text);
    (void)parse_target(text, {}, "example.com");
    const std::string clean = sanitise(text);
    require(clean.find_first_of(std::string_view("\r\n\0\x1b", 4)) == clean.npos);
    (void)parse_duration(text);
}
