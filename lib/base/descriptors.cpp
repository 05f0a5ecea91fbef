#include "base/descriptors.hpp"

#include <algorithm>

#include <sys/resource.h>

#include "base/re_start.hpp"

namespace offhook {

std::size_t descriptor_limit() noexcept {
    rlimit limit{};
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

std::size_t allow_descriptors(std::size_t wanted) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted) {
        limit.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    const std::size_t allowed = std::min(wanted, descriptor_limit());
    start_libre();
    fd_setsize(static_cast<int>(allowed)); // the first call decides, not the Loop's
    return allowed;
}

} // namespace offhook
