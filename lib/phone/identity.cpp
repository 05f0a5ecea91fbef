#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include "base/directories.hpp"
#include "phone/account.hpp"
#include "sip/digest.hpp"
#include "sip/uri.hpp"

namespace offhook {

namespace {

constexpr std::size_t urn_length = 9 + 36; // "urn:uuid:" and the UUID

// A random UUID (RFC 4122 §4.4).
std::string make_urn() {
    auto hex = sip::random_token(16);
    hex[12] = '4';
    hex[16] = "89ab"[static_cast<unsigned>(hex[16]) % 4];
    // not "-": g++ 12 warns wrongly of it
    for (const std::size_t at : {20U, 16U, 12U, 8U})
        hex.insert(at, 1, '-');
    return "urn:uuid:" + hex;
}

std::string read_urn(const std::filesystem::path &file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    const bool good = line.size() == urn_length && line.starts_with("urn:uuid:") &&
                      line.find_first_not_of("0123456789abcdef-", 9) == std::string::npos;
    return good ? line : std::string{};
}

void keep_urn(const std::filesystem::path &file, const std::string &urn) {
    std::error_code ignored;
    std::filesystem::create_directories(file.parent_path(), ignored);
    const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return; // read-only home: not fatal
    const auto line = urn + "\n";
    if (::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::unlink(file.c_str());
    ::close(fd);
}

std::string find_instance_id() {
    const std::filesystem::path directory = state_directory();
    if (directory.empty()) return make_urn();
    const auto file = directory / "instance-id";
    if (auto known = read_urn(file); !known.empty()) return known;
    auto urn = make_urn();
    keep_urn(file, urn);
    if (auto theirs = read_urn(file); !theirs.empty()) return theirs; // another process was faster
    return urn;
}

} // namespace

std::string instance_id() {
    static const std::string urn = find_instance_id();
    return urn;
}

std::string login_user() {
    std::array<char, 4096> buffer{};
    struct passwd entry {};
    struct passwd *found = nullptr;
    if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
        return sip::escape_user(found->pw_name);
    return "anonymous";
}

} // namespace offhook
