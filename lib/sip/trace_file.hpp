// Reads back what format_trace() wrote (--trace=FILE, or a log with other lines between).
#pragma once

#include <string_view>

#include "sip/capture.hpp"

namespace offhook::sip {

// Errors: Errc::parse when there is not one message in it.
Result<CaptureReport> read_trace_file(std::string_view file, const CaptureSink &sink);

} // namespace offhook::sip
