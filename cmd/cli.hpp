// The command line: argv to values. The only place that knows the grammar.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "cmd/command_tree.hpp"
#include "cmd/options.hpp"

namespace offhook::cmd {

// `arguments` without the program's name. Errors: invalid_argument, not_supported ("not built in yet: …");
// one line.
Result<CommandLine> parse_command_line(const std::vector<std::string> &arguments);
CommandTree command_tree();

} // namespace offhook::cmd
