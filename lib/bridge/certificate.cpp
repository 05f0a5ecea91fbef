#include "bridge/certificate.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>

#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "base/address.hpp"
#include "base/directories.hpp"

namespace offhook::bridge {

namespace {

constexpr long days_valid = 825; // browsers refuse longer ones
constexpr long day = 86'400;

template <class T, void (*Free)(T *)>
struct Freer {
    void operator()(T *pointer) const noexcept { Free(pointer); }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509, X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION, X509_EXTENSION_free>>;
struct CloseFile {
    void operator()(std::FILE *file) const noexcept { (void)std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

bool add_extension(X509 *certificate, int id, const std::string &value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

Certificate make_certificate(EVP_PKEY *key, const std::vector<std::string> &names) {
    Certificate certificate(X509_new());
    std::array<unsigned char, 8> serial{};
    if (!certificate || RAND_bytes(serial.data(), static_cast<int>(serial.size())) != 1) return {};
    serial[0] &= 0x7f;
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()),
                            std::uint64_t{serial[0]} << 32 | std::uint64_t{serial[1]} << 24 |
                                serial[2] << 16 | serial[3] << 8 | serial[4]);
    X509_set_version(certificate.get(), 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -day);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), days_valid * day);
    const std::string shown = names.empty() ? "offhook" : names.front();
    X509_NAME *name = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char *>(shown.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate.get(), name);
    X509_set_pubkey(certificate.get(), key);
    std::string alternatives;
    for (const auto &one : names)
        alternatives +=
            (alternatives.empty() ? "" : ",") + std::string(Address::parse(one) ? "IP:" : "DNS:") + one;
    if (!alternatives.empty() && !add_extension(certificate.get(), NID_subject_alt_name, alternatives))
        return {};
    if (!add_extension(certificate.get(), NID_ext_key_usage, "serverAuth")) return {};
    if (X509_sign(certificate.get(), key, EVP_sha256()) == 0) return {};
    return certificate;
}

} // namespace

std::string usual_certificate_path() {
    const auto state = state_directory();
    return (state.empty() ? "/var/lib/offhook" : state) + "/bridge.pem";
}

Result<> ensure_certificate(const std::string &path, const std::vector<std::string> &names) {
    if (access(path.c_str(), F_OK) == 0) return {};
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
    const Key key(EVP_EC_gen("P-256"));
    const Certificate certificate = key ? make_certificate(key.get(), names) : Certificate();
    if (!certificate) return fail(Errc::tls, "cannot make a certificate");
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return fail_errno(Errc::config, errno, "write a certificate to " + path);
    std::FILE *file = fdopen(fd, "w");
    const bool wrote = file != nullptr && PEM_write_X509(file, certificate.get()) == 1 &&
                       PEM_write_PrivateKey(file, key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
    if (file != nullptr && std::fclose(file) == 0 && wrote) return {};
    (void)unlink(path.c_str()); // half a certificate would be in the way of the next start
    return fail(Errc::config, "cannot write a certificate to " + path + " (is the disk full?)");
}

Result<CertificateFacts> check_certificate(const std::string &path, const std::string &key_path) {
    const std::string &key_file = key_path.empty() ? path : key_path;
    const std::string expected = key_path.empty() ? " (expected PEM with chain and key)" : " (expected PEM)";
    const File file(std::fopen(path.c_str(), "re"));
    if (!file) return tl::unexpected(fail_errno(Errc::tls, errno, "the certificate " + path).value());
    const Certificate certificate(PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
    if (!certificate) return fail(Errc::tls, path + " holds no certificate" + expected);
    const File secret(std::fopen(key_file.c_str(), "re"));
    if (!secret) return tl::unexpected(fail_errno(Errc::tls, errno, "the private key " + key_file).value());
    const Key key(PEM_read_PrivateKey(secret.get(), nullptr, nullptr, nullptr));
    if (!key) return fail(Errc::tls, key_file + " holds no private key" + expected);
    if (X509_check_private_key(certificate.get(), key.get()) != 1)
        return fail(Errc::tls, "the certificate in " + path + " does not match its key" +
                                   (key_path.empty() ? "" : " in " + key_path));
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    X509_digest(certificate.get(), EVP_sha256(), digest.data(), &size);
    CertificateFacts facts;
    for (unsigned i = 0; i < size; ++i) {
        std::array<char, 4> pair{};
        std::snprintf(pair.data(), pair.size(), i == 0 ? "%02X" : ":%02X", digest.at(i));
        facts.fingerprint += pair.data();
    }
    std::tm end{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate.get()), &end) == 1) {
        std::array<char, 16> text{};
        (void)std::strftime(text.data(), text.size(), "%Y-%m-%d", &end);
        facts.until = text.data();
    }
    facts.expired = X509_cmp_current_time(X509_get0_notAfter(certificate.get())) < 0;
    return facts;
}

} // namespace offhook::bridge
