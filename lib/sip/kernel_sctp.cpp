// SCTP of the kernel, one-to-one style (RFC 6458 §4).
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>

// sctp.h needs what these declare.
// clang-format off
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <linux/sctp.h>
// clang-format on

#include "sip/kernel_socket.hpp"
#include "sip/sctp.hpp"
#include "sip/sctp_messages.hpp"

namespace offhook::sip {

namespace {

class KernelSctp final : public KernelSocket {
public:
    explicit KernelSctp(Fd fd) : KernelSocket(std::move(fd)) {
        const int yes = 1;
        (void)setsockopt(KernelSocket::fd(), IPPROTO_SCTP, SCTP_NODELAY, &yes, sizeof yes);
    }
    ssize_t receive(std::span<char> into) override;
    ssize_t send(std::string_view bytes) override;

private:
    SctpReceived received_;
};

ssize_t KernelSctp::receive(std::span<char> into) {
    while (received_.empty()) {
        iovec part{into.data(), into.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        const ssize_t size = recvmsg(fd(), &message, 0);
        if (size <= 0) return size;
        if ((message.msg_flags & MSG_NOTIFICATION) != 0) continue;
        if (received_.add({into.data(), static_cast<std::size_t>(size)}, (message.msg_flags & MSG_EOR) != 0))
            continue;
        errno = EMSGSIZE;
        return -1;
    }
    return static_cast<ssize_t>(received_.take(into));
}

// Out of order on stream 0 (RFC 4168 §5.1): a lost message must not delay the others.
ssize_t KernelSctp::send(std::string_view bytes) {
    const std::string_view body = bytes.substr(sctp_messages::prefix);
    iovec part{const_cast<char *>(body.data()), body.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(sctp_sndinfo))> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_SCTP;
    header->cmsg_type = SCTP_SNDINFO;
    header->cmsg_len = CMSG_LEN(sizeof(sctp_sndinfo));
    sctp_sndinfo info{};
    info.snd_flags = SCTP_UNORDERED;
    std::memcpy(CMSG_DATA(header), &info, sizeof info);
    const ssize_t sent = sendmsg(fd(), &message, MSG_NOSIGNAL);
    return sent < 0 ? sent : static_cast<ssize_t>(bytes.size());
}

} // namespace

bool kernel_has_sctp() noexcept {
    static const bool has = static_cast<bool>(Fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP)));
    return has;
}

std::unique_ptr<StreamSocket> kernel_sctp_socket(Fd fd) {
    return std::make_unique<KernelSctp>(std::move(fd));
}

} // namespace offhook::sip
