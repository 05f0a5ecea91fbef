// The media plane on external rtpengine daemons, by their ng protocol: one bencoded dictionary for each
// datagram, a cookie in front, answers from a cache when a question is repeated. Calls stay with the daemon
// they started on; one that does not answer, or not sensibly, gets no new ones, and its calls move to another
// one with their next offer.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/fd.hpp"
#include "base/loop.hpp"
#include "bridge/bencode.hpp"
#include "bridge/media_plane.hpp"
#include "bridge/settings.hpp"

namespace offhook::bridge {

class NgPlane final : public MediaPlane {
public:
    // `reason`: why it is not used.
    using Told = std::function<void(std::string_view node, bool alive, std::string_view reason)>;

    // On settings.rtpengines, with numeric hosts. Errors: Errc::network, Errc::config.
    static Result<std::unique_ptr<NgPlane>> open(Loop &loop, const Settings &settings, Told told);
    NgPlane(const NgPlane &) = delete;
    NgPlane &operator=(const NgPlane &) = delete;
    ~NgPlane() override;

    Result<std::unique_ptr<MediaSession>> open(const std::string &call_id, bool caller_web,
                                               const Address &caller, Listener &listener) override;

private:
    class Impl;
    explicit NgPlane(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
    friend class NgSession;
    std::shared_ptr<Impl> impl_;
};

// How many packets `tag` has sent, in the answer to a "query".
std::int64_t ng_packets(const Bencode &answer, const std::string &tag);

} // namespace offhook::bridge
