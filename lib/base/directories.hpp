// Where our files lie: what systemd gave the service (systemd.exec(5): STATE_DIRECTORY and the like), else
// the XDG base directories of the user. Relative values are ignored.
#pragma once

#include <string>

namespace offhook {

std::string state_directory();   // kept over a restart: ~/.local/state/offhook and the like; empty: nowhere
std::string runtime_directory(); // for sockets: $XDG_RUNTIME_DIR/offhook and the like; empty: nowhere
// A file that systemd gave this service alone (LoadCredential=). Its access list may show as bits of the
// group.
bool is_credential(const std::string &path);

} // namespace offhook
