// The forms that option values take. Each checks one text and says what was expected (invalid_argument).
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "cmd/options.hpp"

namespace offhook::cmd {

Result<std::string> parse_choice(const std::string &text, const std::string &words); // "a|b|c"
Result<std::string> parse_listen_text(const std::string &text);
// The same text, checked; the bridge reads them again.
Result<std::string> parse_sip_socket_text(const std::string &text);
Result<std::string> parse_media_text(const std::string &text);
Result<std::string> parse_upstream_text(const std::string &text);
Result<std::string> parse_origin_text(const std::string &text);
Result<std::string> parse_network_text(const std::string &text); // an address, or "192.0.2.0/24"
Result<std::string> parse_port_range_text(const std::string &text);
Result<std::string> parse_sip_uri(const std::string &text);
Result<std::string> parse_proxy(const std::string &text); // sip: URI, ws:// or wss:// URL
Result<std::string> parse_dtmf_digits(const std::string &text);
Result<std::string> parse_regex_text(const std::string &text);   // POSIX extended
Result<Header> parse_extra_header(const std::string &text);      // refuses those that the phone writes itself
Result<Header> parse_any_header(const std::string &text);        // all but Via, CSeq and Content-Length
Result<std::string> parse_method_token(const std::string &text); // not ACK, not CANCEL
Result<std::string> parse_expect(const std::string &text);       // "2xx,404" or "none"
bool status_matches(unsigned status, const std::string &expect); // as parse_expect() took it
Result<Header> parse_expected_header(const std::string &text);   // NAME: REGEX
Result<std::vector<double>> parse_tones(const std::string &text);
Result<double> parse_mos(const std::string &text);
Result<int> parse_int(const std::string &text, int low, int high);
Result<Duration> parse_duration_from(const std::string &text, Duration least);
Result<unsigned> parse_status(const std::string &text);

} // namespace offhook::cmd
