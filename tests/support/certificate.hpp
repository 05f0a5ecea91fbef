// P-256 certificates made on the spot, so that no key lies in the repository and none expires.
#pragma once

#include <string>

namespace offhook::test {

struct Certificate {
    std::string certificate, key; // PEM
    [[nodiscard]] std::string both() const { return certificate + key; }
};

Certificate make_authority(const std::string &name);

struct CertificateRequest {
    std::string name;            // common name
    std::string san;             // "DNS:pbx.example.com", "IP:127.0.0.1"; may be empty
    long valid_from_days = -1;   // relative to now
    long valid_until_days = 365; //
};
Certificate make_certificate(const CertificateRequest &request, const Certificate &authority);

// A file that goes with its owner.
class TemporaryFile {
public:
    explicit TemporaryFile(const std::string &content);
    ~TemporaryFile();
    TemporaryFile(const TemporaryFile &) = delete;
    TemporaryFile &operator=(const TemporaryFile &) = delete;
    [[nodiscard]] const std::string &path() const { return path_; }

private:
    std::string path_;
};

} // namespace offhook::test
