#include "sip/dns_lookup.hpp"

#include <sys/stat.h>

#include "base/callback.hpp"

namespace offhook::sip {

namespace {

constexpr std::size_t records_at_most = 64;
constexpr std::uint32_t servers_at_most = 4;

long long resolv_conf_changed_at() {
    struct stat status {};
    if (stat("/etc/resolv.conf", &status) != 0) return 0;
    return static_cast<long long>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
}

std::vector<Address> system_servers() {
    char domain[256] = "";
    struct sa found[servers_at_most];
    std::uint32_t count = servers_at_most;
    if (dns_srv_get(domain, sizeof domain, found, &count) != 0) return {};
    std::vector<Address> servers;
    for (std::uint32_t i = 0; i < count; ++i)
        servers.emplace_back(found[i]);
    return servers;
}

std::string text(const char *value) {
    return value != nullptr ? value : "";
}

Address address_of(const struct dnsrr &record) {
    struct sa address {};
    if (record.type == static_cast<std::uint16_t>(DnsLookup::Type::a))
        sa_set_in(&address, record.rdata.a.addr, 0);
    else
        sa_set_in6(&address, record.rdata.aaaa.addr, 0);
    return Address(address);
}

bool take(struct dnsrr *record, void *arg) noexcept {
    auto &answer = *static_cast<DnsLookup::Answer *>(arg);
    return guard([&] {
        switch (static_cast<DnsLookup::Type>(record->type)) {
        case DnsLookup::Type::naptr:
            answer.naptr.push_back({record->rdata.naptr.order, record->rdata.naptr.pref,
                                    text(record->rdata.naptr.flags), text(record->rdata.naptr.services),
                                    text(record->rdata.naptr.replace)});
            break;
        case DnsLookup::Type::srv:
            answer.srv.push_back({record->rdata.srv.pri, record->rdata.srv.weight, record->rdata.srv.port,
                                  text(record->rdata.srv.target)});
            break;
        case DnsLookup::Type::a:
        case DnsLookup::Type::aaaa:
            answer.addresses.push_back(address_of(*record));
            break;
        }
        return answer.naptr.size() + answer.srv.size() + answer.addresses.size() >= records_at_most;
    });
}

} // namespace

void DnsLookup::Question::answered(int err, const struct dnshdr *header, struct list *answers) {
    Answer answer;
    if (err == 0 && header != nullptr && header->rcode == 0)
        for (const Type type : {Type::naptr, Type::srv, Type::a, Type::aaaa}) // CNAMEs are followed
            (void)dns_rrlist_apply(answers, name_.c_str(), static_cast<std::uint16_t>(type), DNS_CLASS_IN,
                                   true, take, &answer);
    const Done done = std::move(done_); // may destroy us
    done(answer);
}

// dnsc_alloc() fails where the kernel has no IPv6 (libre-notes §3.8): then names have addresses only.
bool DnsLookup::prepare() {
    const long long changed = fixed_.empty() ? resolv_conf_changed_at() : 0;
    if (client_ && changed == read_at_) return true;
    read_at_ = changed;
    servers_ = fixed_.empty() ? system_servers() : fixed_;
    if (servers_.empty()) {
        client_.reset();
        return false;
    }
    std::vector<struct sa> raw;
    for (const Address &server : servers_)
        raw.push_back(server.raw());
    const auto count = static_cast<std::uint32_t>(raw.size());
    if (client_) return dnsc_srv_set(client_.get(), raw.data(), count) == 0;
    return dnsc_alloc(client_.out(), nullptr, raw.data(), count) == 0;
}

std::unique_ptr<DnsLookup::Question> DnsLookup::ask(const std::string &name, Type type, Done done) {
    if (!prepare()) return nullptr;
    auto question = std::make_unique<Question>(std::move(done));
    question->name_ = name;
    const int err = dnsc_query(
        question->query_.out(), client_.get(), name.c_str(), static_cast<std::uint16_t>(type), DNS_CLASS_IN,
        true,
        [](int failed, const struct dnshdr *header, struct list *answers, struct list *, struct list *,
           void *arg) noexcept {
            guard([&] { static_cast<Question *>(arg)->answered(failed, header, answers); });
        },
        question.get());
    return err == 0 ? std::move(question) : nullptr;
}

} // namespace offhook::sip
