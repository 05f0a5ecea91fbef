// NAPTR, SRV and address records by libre's DNS client.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/ref.hpp"
#include "sip/resolve_plan.hpp"

namespace offhook::sip {

class DnsLookup {
public:
    struct Answer { // of the types asked for; empty when there are none, or nobody answered
        std::vector<NaptrRecord> naptr;
        std::vector<SrvRecord> srv;
        std::vector<Address> addresses;
    };
    using Done = std::function<void(const Answer &answer)>;

    // One question; destroy it to cancel.
    class Question {
    public:
        explicit Question(Done done) : done_(std::move(done)) {}
        Question(const Question &) = delete;
        Question &operator=(const Question &) = delete;
        ~Question() = default;

    private:
        friend class DnsLookup;
        void answered(int err, const struct dnshdr *header, struct list *answers);

        std::string name_;
        Done done_;
        Ref<struct dns_query> query_; // libre clears it when the query is over: must not move
    };
    enum class Type : std::uint16_t { a = 1, aaaa = 28, srv = 33, naptr = 35 };

    // `nameservers` empty: those of /etc/resolv.conf, read again when it changes.
    explicit DnsLookup(std::vector<Address> nameservers) : fixed_(std::move(nameservers)) {}

    // Null when there is no DNS to ask (no server configured, no sockets). `done` runs from the loop.
    std::unique_ptr<Question> ask(const std::string &name, Type type, Done done);

private:
    bool prepare();

    std::vector<Address> fixed_;
    std::vector<Address> servers_;
    long long read_at_ = -1; // modification time of resolv.conf as read, in ns
    Ref<struct dnsc> client_;
};

} // namespace offhook::sip
