// Preloaded into a program under test: its monotonic clock runs FAST_CLOCK times as fast, and so do its waits.
// What lasts 90 s is over in 9.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

static long factor(void) {
    static long value;
    if (value == 0) {
        const char *text = getenv("FAST_CLOCK");
        value = text != NULL && atol(text) > 0 ? atol(text) : 1;
    }
    return value;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    static struct timespec start;
    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
        real(CLOCK_MONOTONIC, &start);
    }
    const int result = real(clock, now);
    if (result != 0 || clock != CLOCK_MONOTONIC) return result;
    const long long passed =
        ((now->tv_sec - start.tv_sec) * 1000000000LL + now->tv_nsec - start.tv_nsec) * factor() + start.tv_nsec;
    now->tv_sec = start.tv_sec + (time_t)(passed / 1000000000LL);
    now->tv_nsec = (long)(passed % 1000000000LL);
    return 0;
}

int epoll_wait(int poll, struct epoll_event *events, int most, int timeout_ms) {
    static int (*real)(int, struct epoll_event *, int, int);
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "epoll_wait");
    return real(poll, events, most, timeout_ms > 0 ? (int)((timeout_ms + factor() - 1) / factor()) : timeout_ms);
}
