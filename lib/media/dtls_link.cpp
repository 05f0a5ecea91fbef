#include "media/dtls_link.hpp"

namespace offhook::media {

Result<std::unique_ptr<DtlsLink>> DtlsLink::open(Loop &loop, DtlsRole role,
                                                 std::vector<DtlsFingerprint> expected, Events events) {
    auto identity = DtlsIdentity::of_process();
    if (!identity) return fail(identity.error());
    auto session = DtlsSession::open(std::move(*identity), role, std::move(expected));
    if (!session) return fail(session.error());
    return std::unique_ptr<DtlsLink>(new DtlsLink(loop, std::move(*session), std::move(events)));
}

DtlsLink::~DtlsLink() {
    if (failed_) return;
    session_->close();
    for (const auto &datagram : session_->take_output())
        events_.send(datagram);
}

void DtlsLink::start() {
    if (std::exchange(started_, true)) return;
    went_on(session_->start());
}

void DtlsLink::received(Bytes datagram) {
    if (!failed_) went_on(session_->receive(datagram));
}

void DtlsLink::went_on(const Result<> &outcome) {
    for (const auto &datagram : session_->take_output()) // an alert too
        events_.send(datagram);
    timer_.cancel();
    if (!outcome) {
        failed_ = true;
        return events_.failed(outcome.error());
    }
    if (const auto wait = session_->timer())
        timer_.start(*wait, [this] { went_on(session_->timer_expired()); });
    if (session_->keys() && !std::exchange(told_, true)) events_.keyed(*session_->keys());
}

} // namespace offhook::media
