// From argv to exit code.
#include "base/log.hpp"
#include "cmd/cli.hpp"
#include "cmd/commands.hpp"
#include "cmd/output.hpp"
#include "sip/status.hpp"

namespace offhook::cmd {

namespace {

int failed(const GlobalOptions &global, const Error &error) {
    Output output(global);
    output.error(error.what);
    // A request that cannot be served is the user's to change, whatever SIP would call it.
    const int exit = error.code == Errc::not_supported && error.sip == 0 ? 2 : sip::exit_code(error);
    output.result(exit, Json::object().add("error", error.what));
    return exit;
}

} // namespace

int main_of(int argc, char **argv) {
    const auto line = parse_command_line({argv + 1, argv + argc});
    if (!line) return failed({}, line.error());
    if (auto ready = Output::set_up_log(line->global); !ready) return failed(line->global, ready.error());
    const auto exit =
        std::visit([&](const auto &options) { return run(line->global, options); }, line->command);
    return exit ? *exit : failed(line->global, exit.error());
}

} // namespace offhook::cmd
