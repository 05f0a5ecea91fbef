// A UDP relay on loopback between two SIP ends that loses datagrams by a seeded generator. Both ends take it
// for their peer: addresses inside the messages are rewritten, so that everything of a dialog comes this way.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "base/address.hpp"
#include "base/fd.hpp"
#include "base/loop.hpp"

namespace offhook::test {

class LossyRelay {
public:
    // `loss`: share of datagrams lost, 0 … 1, each way.
    LossyRelay(Address caller, Address callee, double loss, unsigned seed);

    [[nodiscard]] Address for_caller() const { return towards_caller_.address; } // whom the caller calls
    [[nodiscard]] std::size_t lost() const { return lost_; }
    [[nodiscard]] std::size_t passed() const { return passed_; }

private:
    struct Side {
        Fd fd;
        Address address;
        FdWatch watch;
        void open();
    };
    void forward(const Side &from, const Side &to, const Address &receiver);
    [[nodiscard]] std::string rewritten(std::string_view bytes) const;

    Address caller_, callee_;
    Side towards_caller_, towards_callee_;
    std::mt19937 random_;
    std::bernoulli_distribution loses_;
    std::size_t lost_ = 0, passed_ = 0;
};

} // namespace offhook::test
