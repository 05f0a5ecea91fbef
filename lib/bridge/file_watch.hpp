// Notices that files on disk were replaced: written anew, renamed over, or reached by other symbolic links,
// as certbot and Kubernetes do it. Looks at what the paths lead to instead of asking inotify, which hears
// nothing of links further up, of network file systems and of folders mounted over.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "base/loop.hpp"

namespace offhook::bridge {

// What stat() tells of one file; two of them are equal as long as nobody has touched it.
struct FileStamp {
    bool present = false;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t modified_ns = 0, changed_ns = 0;

    static FileStamp of(const std::string &path) noexcept;
    friend bool operator==(const FileStamp &, const FileStamp &) = default;
};

class FileWatch {
public:
    static constexpr Duration look_every{1'000};

    // `changed` is called once for each change, after two looks in a row saw the same: whoever writes several
    // files, or one slowly, is given the time.
    FileWatch(Loop &loop, std::vector<std::string> paths, std::function<void()> changed);
    void known(); // what is there now was read by other means

private:
    [[nodiscard]] std::vector<FileStamp> stamps() const;
    void look();

    std::vector<std::string> paths_;
    std::function<void()> changed_;
    std::vector<FileStamp> told_, last_;
    Timer timer_;
};

} // namespace offhook::bridge
