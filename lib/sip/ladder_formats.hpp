// A call flow for documents: the same entries as the text ladder.
#pragma once

#include <string>
#include <vector>

#include "sip/ladder.hpp"

namespace offhook::sip {

// A table: time, from, to, message. Cells hold nothing that Markdown could take for markup.
std::string format_markdown(const std::vector<LadderEntry> &entries);
// A sequenceDiagram for Mermaid, without the fence.
std::string format_mermaid(const std::vector<LadderEntry> &entries);

} // namespace offhook::sip
