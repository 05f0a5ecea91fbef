// A shared library that is loaded when it is first needed, not at every start: a call without files or G.722
// does not pay for the formats of libsndfile or the fax half of libspandsp. Never unloaded.
#pragma once

#include <dlfcn.h>

namespace offhook {

class SharedLibrary {
public:
    explicit SharedLibrary(const char *soname) noexcept : handle_(dlopen(soname, RTLD_NOW | RTLD_LOCAL)) {}

    // `function` gets the symbol of that name. Its type comes from the library's own header.
    template <class Function>
    void bind(Function *&function, const char *name) noexcept {
        function = handle_ == nullptr ? nullptr : reinterpret_cast<Function *>(dlsym(handle_, name));
        complete_ = complete_ && function != nullptr;
    }
    [[nodiscard]] bool complete() const noexcept { return handle_ != nullptr && complete_; } // all were there

private:
    void *handle_;
    bool complete_ = true;
};

} // namespace offhook
