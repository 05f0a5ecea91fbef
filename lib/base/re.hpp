// The only file that includes libre and librem. Their 1.x/2.0 headers are not self-contained in
// C++ and need the macros that libre's own makefile defines: without them `bool` becomes a macro,
// `struct sa` loses its IPv6 member and mbuf inlines trap.
#pragma once

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>

#include <openssl/ssl.h>

#ifndef HAVE_INTTYPES_H
#define HAVE_INTTYPES_H 1
#endif
#ifndef HAVE_STDBOOL_H
#define HAVE_STDBOOL_H 1
#endif
#ifndef HAVE_INET6
#define HAVE_INET6 1
#endif
#ifndef USE_OPENSSL
#define USE_OPENSSL 1
#endif
#ifndef USE_TLS
#define USE_TLS 1
#endif
#ifndef RELEASE
#define RELEASE 1
#endif

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
extern "C" {
#include <re.h>
#include <rem.h>
// re_dbg.h wants macros of the including module; these two keep their ABI from 1.1.0 to 2.0.1.
using dbg_print_h = void(int level, const char *p, size_t len, void *arg);
void dbg_init(int level, int flags);
void dbg_handler_set(dbg_print_h *ph, void *arg);
}
#pragma GCC diagnostic pop

#undef VERSION
#undef ARCH
#undef OS
#undef MIN
#undef MAX
#undef PL
#undef BREAKPOINT
#undef ALIGN_MASK
#undef ARRAY_SIZE
#undef IF_ERR_GOTO_OUT
#undef IF_ERR_RETURN
#undef RETURN_ERR
