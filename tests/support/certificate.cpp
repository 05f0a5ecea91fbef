#include "tests/support/certificate.hpp"

#include <cstdlib>
#include <memory>
#include <stdexcept>

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <unistd.h>

namespace offhook::test {

namespace {

template <auto Release>
struct With {
    template <class T>
    void operator()(T *object) const {
        Release(object);
    }
};
using Key = std::unique_ptr<EVP_PKEY, With<EVP_PKEY_free>>;
using Cert = std::unique_ptr<X509, With<X509_free>>;
using Bio = std::unique_ptr<BIO, With<BIO_free_all>>;

void require(bool ok, const char *what) {
    if (!ok) throw std::runtime_error(what);
}

template <class Write>
std::string pem(Write write) {
    const Bio bio(BIO_new(BIO_s_mem()));
    require(write(bio.get()) == 1, "write PEM");
    char *data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

Bio reading(const std::string &text) {
    return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

void extend(X509 *certificate, int nid, const std::string &value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    require(extension != nullptr, "certificate extension");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

Cert blank(const CertificateRequest &request, EVP_PKEY *key) {
    constexpr long day = 86400;
    Cert certificate(X509_new());
    X509_set_version(certificate.get(), 2);
    std::uint64_t serial = 0;
    RAND_bytes(reinterpret_cast<unsigned char *>(&serial), sizeof serial);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1U);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), request.valid_from_days * day);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), request.valid_until_days * day);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char *>(request.name.c_str()), -1, -1, 0);
    X509_set_pubkey(certificate.get(), key);
    return certificate;
}

Certificate sign(Cert certificate, EVP_PKEY *key, X509_NAME *issuer, EVP_PKEY *issuer_key) {
    X509_set_issuer_name(certificate.get(), issuer);
    require(X509_sign(certificate.get(), issuer_key, EVP_sha256()) > 0, "sign a certificate");
    return {pem([&](BIO *bio) { return PEM_write_bio_X509(bio, certificate.get()); }), pem([&](BIO *bio) {
                return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
            })};
}

} // namespace

Certificate make_authority(const std::string &name) {
    const Key key(EVP_EC_gen("P-256"));
    Cert certificate = blank({name, "", -400, 365}, key.get());
    extend(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
    X509_NAME *subject = X509_get_subject_name(certificate.get());
    return sign(std::move(certificate), key.get(), subject, key.get());
}

Certificate make_certificate(const CertificateRequest &request, const Certificate &authority) {
    const Key key(EVP_EC_gen("P-256"));
    const Cert issuer(PEM_read_bio_X509(reading(authority.certificate).get(), nullptr, nullptr, nullptr));
    const Key issuer_key(PEM_read_bio_PrivateKey(reading(authority.key).get(), nullptr, nullptr, nullptr));
    require(issuer && issuer_key, "read the authority");
    Cert certificate = blank(request, key.get());
    if (!request.san.empty()) extend(certificate.get(), NID_subject_alt_name, request.san);
    return sign(std::move(certificate), key.get(), X509_get_subject_name(issuer.get()), issuer_key.get());
}

TemporaryFile::TemporaryFile(const std::string &content) : path_("/tmp/offhook-test-XXXXXX") {
    const int fd = mkstemp(path_.data());
    require(fd >= 0 && write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()),
            "write a temporary file");
    close(fd);
}

TemporaryFile::~TemporaryFile() {
    unlink(path_.c_str());
}

} // namespace offhook::test
