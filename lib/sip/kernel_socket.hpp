// A socket of the kernel: TCP, or connected UDP under DTLS.
#pragma once

#include "sip/stream_socket.hpp"

namespace offhook::sip {

class KernelSocket : public StreamSocket {
public:
    explicit KernelSocket(Fd fd) : fd_(std::move(fd)) {}

    int connect(const Address &remote) override;
    int connected() override;
    [[nodiscard]] Address local() const override;
    ssize_t receive(std::span<char> into) override;
    ssize_t send(std::string_view bytes) override;
    void shut_down() override;
    Result<> watch(bool writing, Ready ready) override;
    void close() override;
    Fd release() override;

protected:
    [[nodiscard]] int fd() const { return fd_.get(); }

private:
    Fd fd_;
    bool writing_ = false;
    FdWatch watch_;
};

} // namespace offhook::sip
