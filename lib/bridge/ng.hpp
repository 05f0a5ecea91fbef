// The media plane on external rtpengine daemons, by their ng protocol: one bencoded dictionary for each
// datagram, a cookie in front, answers from a cache when a question is repeated. Calls stay with the daemon
// they started on; one that does not answer gets no new ones.
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

namespace offhook::bridge {

class NgPlane final : public MediaPlane {
public:
    using Told = std::function<void(std::string_view node, bool alive)>;

    // `nodes`: "HOST:PORT" with numeric hosts. Errors: Errc::network.
    static Result<std::unique_ptr<NgPlane>> open(Loop &loop, const std::vector<std::string> &nodes,
                                                 Told told);
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

// The commands for a description, as a dictionary without the command's name. Pure.
Bencode::Dict ng_offer(bool from_web, bool to_web);
Bencode::Dict ng_answer(bool from_web, bool to_web);
// How many packets `tag` has sent, in the answer to a "query".
std::int64_t ng_packets(const Bencode &answer, const std::string &tag);

} // namespace offhook::bridge
