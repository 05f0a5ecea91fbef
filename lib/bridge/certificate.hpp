// The certificate of wss: one of our own where none is given, and its fingerprint for people to compare.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace offhook::bridge {

// Reads the PEM file at `path`, or makes it (P-256, self-signed, for `names` and addresses, readable by its
// owner only). Errors: Errc::tls, Errc::config.
Result<> ensure_certificate(const std::string &path, const std::vector<std::string> &names);
// In the state directory (base/directories.hpp); /var/lib/offhook where there is none.
std::string usual_certificate_path();

struct CertificateFacts {
    std::string fingerprint; // SHA-256, "AB:CD:…"
    std::string until;       // "2027-11-27"
    bool expired = false;
};
// Certificate and key belong together and can be read. `key` empty: it is in the same file. Errors: Errc::tls
// in plain words.
Result<CertificateFacts> check_certificate(const std::string &path, const std::string &key = {});

} // namespace offhook::bridge
