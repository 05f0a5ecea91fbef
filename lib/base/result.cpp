#include "base/result.hpp"

#include <system_error>

namespace offhook {

Failure fail_errno(Errc code, int err, std::string_view doing) {
    return fail(code, std::string(doing) + ": " + std::generic_category().message(err));
}

} // namespace offhook
