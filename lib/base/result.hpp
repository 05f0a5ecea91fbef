// Errors are values: every function that can fail returns Result<T>.
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

namespace offhook {

// The kind of failure; sip/status.hpp maps it (and a SIP status) to the exit code of cli.md.
enum class Errc {
    internal,         // a bug or an impossible answer of a library
    invalid_argument, // what the user gave us cannot be used
    config,           // the configuration file cannot be used
    parse,            // bytes from the network break their grammar
    network,          // DNS, refused, unreachable, connection lost
    tls,              // handshake, certificate or name
    timeout,          // nobody answered in time
    rejected,         // the peer said no; `sip` has the status
    authentication,   // no credentials for the challenge, or they were refused
    media,            // no common codec, no RTP
    device,           // sound card or audio file
    not_found,
    not_supported,
    expectation, // an --expect-* or a step failed
};

// What went wrong, in words a user can act on. `sip` is the status code when a peer said no, else 0.
struct Error {
    Errc code = Errc::internal;
    std::string what;
    unsigned sip = 0;
};

template <class T = void>
using Result = tl::expected<T, Error>;

using Failure = tl::unexpected<Error>;

[[nodiscard]] inline Failure fail(Error error) {
    return Failure(std::move(error));
}
[[nodiscard]] inline Failure fail(Errc code, std::string what, unsigned sip = 0) {
    return Failure(Error{code, std::move(what), sip});
}

// For errno-style returns of libre and the kernel:
//   if (int err = udp_listen(...)) return fail_errno(Errc::network, err, "listen on udp:127.0.0.1:5060");
[[nodiscard]] Failure fail_errno(Errc code, int err, std::string_view doing);

} // namespace offhook
