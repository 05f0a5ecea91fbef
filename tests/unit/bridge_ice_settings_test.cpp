#include <doctest/doctest.h>

#include "bridge/settings_reader.hpp"

using namespace offhook;
using namespace offhook::bridge;

namespace {

std::string error(const std::string &lines) {
    auto root = parse_config("[bridge]\n" + lines, "x.toml");
    REQUIRE(root);
    const auto report = read_bridge_settings({"x.toml", *root, false}, {});
    if (!report.errors.empty()) return report.errors.front();
    const auto fits = check_ice(report.settings);
    return fits ? std::string() : fits.error().what;
}

bool holds(const std::string &text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_SUITE("bridge ice settings") {
    TEST_CASE("ports for media that fit together, and one clear line for each that does not") {
        CHECK(error("").empty());
        CHECK(error("ice_tcp = true\n").empty());
        CHECK(error("ice_port = 40000\n").empty());
        CHECK(error("ice_port = 20000\nrtp_ports = \"30000-30999\"\nmedia_workers = 4\n").empty());
        CHECK(holds(error("ice_port = 80\n"), "ice_port must be a whole number from 1024 to 65535"));
        CHECK(holds(error("ice_tcp = 1\n"), "ice_tcp must be true or false"));
        CHECK(holds(error("ice_port = 20000\n"), "ice_port 20000 is among the ports of phones (16384-32766"));
        CHECK(holds(error("ice_port = 29998\nrtp_ports = \"30000-30999\"\nmedia_workers = 3\n"),
                    "30000-30999"));
        CHECK(error("ice_port = 29998\nrtp_ports = \"30000-30999\"\nmedia_workers = 2\n").empty());
        CHECK(holds(error("ice_port = 65535\nmedia_workers = 2\n"), "each media worker takes one port"));
        for (const char *line : {"ice_port = 40000\n", "ice_tcp = true\n"})
            CHECK(holds(error(std::string(line) + "media = \"rtpengine:192.0.2.21:2223\"\n"), "rtpengine"));
    }
}
