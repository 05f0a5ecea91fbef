#include "bridge/file_watch.hpp"

#include <utility>

#include <sys/stat.h>

namespace offhook::bridge {

namespace {

std::int64_t nanoseconds(const timespec &time) noexcept {
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

} // namespace

FileStamp FileStamp::of(const std::string &path) noexcept {
    struct stat found {};
    if (::stat(path.c_str(), &found) != 0) return {};
    return {true,
            found.st_dev,
            found.st_ino,
            found.st_size,
            nanoseconds(found.st_mtim),
            nanoseconds(found.st_ctim)};
}

FileWatch::FileWatch(Loop &loop, std::vector<std::string> paths, std::function<void()> changed)
    : paths_(std::move(paths)), changed_(std::move(changed)), told_(stamps()), last_(told_), timer_(loop) {
    timer_.start(look_every, [this] { look(); });
}

std::vector<FileStamp> FileWatch::stamps() const {
    std::vector<FileStamp> out;
    out.reserve(paths_.size());
    for (const auto &path : paths_)
        out.push_back(FileStamp::of(path));
    return out;
}

void FileWatch::known() {
    told_ = last_ = stamps();
}

void FileWatch::look() {
    timer_.start(look_every, [this] { look(); });
    auto now = stamps();
    const bool settled = now == last_;
    last_ = std::move(now);
    if (!settled || last_ == told_) return;
    told_ = last_;
    changed_();
}

} // namespace offhook::bridge
