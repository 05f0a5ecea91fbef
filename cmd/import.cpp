// config import: finds the files, shows what came of them, writes only where it was told to.
#include "cmd/import.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cmd/commands.hpp"
#include "cmd/input.hpp"

namespace offhook::cmd {

namespace {

namespace fs = std::filesystem;
using Read = void (*)(std::string_view, const std::string &, Imported &);

constexpr std::size_t largest_file = 1U << 20U;

const std::vector<std::string> phones{"baresip", "pjsua", "linphone", "twinkle"};

Result<bool> read_one(const fs::path &file, Read read, Imported &into) {
    auto text = read_input(file.string(), largest_file, std::nullopt);
    if (!text) return fail(Errc::invalid_argument, "config import: " + text.error().what);
    read(*text, file.filename().string(), into);
    return true;
}

// Which files of `path` (a directory, or one of them) are read by what.
std::vector<std::pair<fs::path, Read>> sources(const std::string &phone, const fs::path &path) {
    std::error_code ignored;
    const bool directory = fs::is_directory(path, ignored);
    std::vector<std::pair<fs::path, Read>> out;
    if (phone == "pjsua") return {{path, read_pjsua}};
    if (phone == "linphone") return {{directory ? path / "linphonerc" : path, read_linphone}};
    if (phone == "baresip") {
        if (!directory)
            return {{path, path.filename() == "contacts" ? read_baresip_contacts : read_baresip_accounts}};
        out.emplace_back(path / "accounts", read_baresip_accounts);
        if (fs::exists(path / "contacts", ignored))
            out.emplace_back(path / "contacts", read_baresip_contacts);
        return out;
    }
    if (!directory) return {{path, path.extension() == ".ab" ? read_twinkle_book : read_twinkle_profile}};
    for (const auto &entry : fs::directory_iterator(path, ignored)) {
        if (entry.path().extension() == ".cfg") out.emplace_back(entry.path(), read_twinkle_profile);
        if (entry.path().extension() == ".ab") out.emplace_back(entry.path(), read_twinkle_book);
    }
    std::sort(out.begin(), out.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
    return out;
}

Result<> write_new(const std::string &path, const std::string &text, bool force) {
    const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL);
    const Fd file(open(path.c_str(), flags, S_IRUSR | S_IWUSR));
    if (!file && errno == EEXIST)
        return fail(Errc::invalid_argument,
                    "config import: " + path + " exists already (--force overwrites it)");
    if (!file) return fail_errno(Errc::invalid_argument, errno, "config import: write " + path);
    (void)fchmod(file.get(), S_IRUSR | S_IWUSR); // there may be passwords in it
    std::string_view rest = text;
    while (!rest.empty()) {
        const ssize_t written = write(file.get(), rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return fail_errno(Errc::invalid_argument, errno, "config import: write " + path);
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
    return {};
}

std::string counted(std::size_t count, const std::string &what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

} // namespace

Result<int> import_configuration(const GlobalOptions &global, const ConfigOptions &options) {
    if (std::find(phones.begin(), phones.end(), options.phone) == phones.end())
        return fail(Errc::invalid_argument, "config import: unknown phone \"" + sanitise(options.phone) +
                                                "\" (expected baresip, pjsua, linphone or twinkle)" +
                                                suggestion(options.phone, phones));
    if (options.path.empty())
        return fail(Errc::invalid_argument,
                    "config import: from where? (expected config import " + options.phone + " PATH)");
    Output output(global);
    Imported imported;
    const auto files = sources(options.phone, options.path);
    for (const auto &[file, read] : files)
        if (auto done = read_one(file, read, imported); !done) return tl::unexpected(done.error());
    if (imported.accounts.empty() && imported.contacts.empty())
        return fail(Errc::invalid_argument,
                    "config import: " + options.path + ": no account or contact of " + options.phone +
                        " in it" + (imported.left_out.empty() ? "" : " (" + imported.left_out.front() + ")"));
    drop_unusable(imported);
    unique_names(imported);
    const bool to_file = !options.output.empty();
    const std::string text = to_toml(imported, to_file);
    if (to_file)
        if (auto written = write_new(options.output, text, options.force); !written)
            return tl::unexpected(written.error());
    if (!to_file && !output.json()) output.bytes(text);
    for (const auto &line : imported.left_out) {
        output.progress("left out: " + line);
        output.line("import.left-out", Json::object().add("text", line));
    }
    output.progress("imported " + counted(imported.accounts.size(), "account") + " and " +
                    counted(imported.contacts.size(), "contact") +
                    (to_file ? " into " + options.output : "") + ", " +
                    counted(imported.left_out.size(), "thing") + " left out");
    Json facts =
        Json::object().add("accounts", imported.accounts.size()).add("contacts", imported.contacts.size());
    facts.add("left_out", imported.left_out.size());
    if (!to_file) facts.add("toml", text);
    output.result(0, facts);
    return 0;
}

} // namespace offhook::cmd
