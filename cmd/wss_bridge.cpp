// offhook wss-bridge: the command around lib/bridge.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include <unistd.h>

#include "base/descriptors.hpp"
#include "base/log.hpp"
#include "base/service_manager.hpp"
#include "base/text.hpp"
#include "bridge/anchor.hpp"
#include "bridge/certificate.hpp"
#include "bridge/file_watch.hpp"
#include "bridge/ng.hpp"
#include "bridge/proxy.hpp"
#include "bridge/settings_reader.hpp"
#include "bridge/status_socket.hpp"
#include "cmd/commands.hpp"
#include "cmd/output.hpp"
#include "cmd/setup.hpp"
#include "cmd/taps.hpp"

namespace offhook::cmd {

namespace {

constexpr int exit_timeout = 124, exit_interrupted = 130;
constexpr Duration farewell{1'000}; // for BYE to be sent and answered
constexpr std::size_t most_descriptors = 32'768;

Result<> apply_sockets(const GlobalOptions &global, const WssBridgeOptions &options,
                       bridge::Settings &settings) {
    if (!global.listen.empty()) settings.web.clear();
    for (const auto &text : global.listen) {
        auto socket = bridge::parse_web_socket(text);
        if (!socket) return fail(Errc::invalid_argument, "--listen: " + socket.error().what);
        settings.web.push_back(*socket);
    }
    if (!options.sip.empty()) settings.sip.clear();
    for (const auto &text : options.sip)
        settings.sip.push_back(bridge::parse_sip_socket(text).value());
    return {};
}

// Those whose form the command line's grammar does not know.
Result<> check_flags(const GlobalOptions &global, const WssBridgeOptions &options,
                     bridge::Settings &settings) {
    const auto named = [](const char *flag, const auto &parsed) -> Result<> {
        if (parsed) return {};
        return fail(parsed.error().code, std::string(flag) + ": " + parsed.error().what);
    };
    Result<> fits;
    if (!options.domain.empty()) fits = named("--domain", bridge::parse_domain(options.domain));
    if (fits && !options.www.empty()) fits = named("--www", bridge::parse_www(options.www));
    if (fits && !options.door_code.empty())
        fits = named("--door-code", bridge::parse_door_code(options.door_code));
    if (!global.codecs.empty()) settings.codecs.clear();
    for (const auto &text : split(global.codecs, ','))
        if (const auto codec = bridge::parse_bridge_codec(text); fits && !text.empty()) {
            fits = named("--codecs", codec);
            if (codec) settings.codecs.push_back(*codec);
        }
    return fits;
}

// Flags over the file.
Result<> apply(const GlobalOptions &global, const WssBridgeOptions &options, bridge::Settings &settings) {
    const auto set = [](const std::string &flag, std::string &into) {
        if (!flag.empty()) into = flag;
    };
    set(options.domain, settings.domain);
    set(options.www, settings.www);
    set(options.state_file, settings.state_file);
    set(options.door_code, settings.door_code);
    set(global.public_address, settings.public_address);
    set(global.tls_certificate, settings.tls.certificate);
    set(global.tls_key, settings.tls.key);
    set(global.tls_ca, settings.tls.ca_file);
    settings.tls.insecure |= global.tls_insecure;
    settings.allow_native |= options.allow_native;
    settings.hide_forks |= options.hide_forks;
    settings.avpf |= options.avpf;
    settings.allow_ws |= options.allow_ws;
    if (auto fits = check_flags(global, options, settings); !fits) return fits;
    if (global.srtp == "dtls") return fail(Errc::not_supported, "wss-bridge: --srtp dtls: phones get SDES");
    if (!global.srtp.empty())
        settings.srtp = global.srtp == "required"   ? bridge::PlainSrtp::require
                        : global.srtp == "optional" ? bridge::PlainSrtp::offer
                                                    : bridge::PlainSrtp::off;
    if (!options.origins.empty()) settings.origins = options.origins;
    if (!options.proxies.empty()) settings.proxies.clear();
    for (const auto &text : options.proxies)
        settings.proxies.push_back(Network::parse(text).value());
    if (auto sockets = apply_sockets(global, options, settings); !sockets) return sockets;
    if (!options.media.empty()) settings.rtpengines = bridge::parse_media(options.media).value();
    if (options.transcode) settings.transcode = *options.transcode;
    if (options.ice_port) settings.ice_port = *options.ice_port;
    settings.ice_tcp |= options.ice_tcp;
    if (settings.transcode > 0 && !settings.rtpengines.empty())
        return fail(Errc::config,
                    "wss-bridge: transcode is not for calls on rtpengine, which does it by itself");
    if (!options.upstream.empty()) settings.upstream = bridge::parse_upstream(options.upstream).value();
    if (!options.upstream_mode.empty())
        settings.upstream_mode = bridge::parse_upstream_mode(options.upstream_mode).value();
    if (!options.rtp_ports.empty()) {
        const auto range = bridge::parse_port_range(options.rtp_ports).value();
        settings.rtp_min = range.first;
        settings.rtp_max = range.second;
    }
    if (!settings.public_address.empty() && !Address::parse(settings.public_address))
        return fail(Errc::invalid_argument,
                    "--public-address: \"" + sanitise(settings.public_address) + "\" is no IP address");
    return {};
}

bool listens_secure(const bridge::Settings &settings) {
    const auto secure = [](const bridge::SocketSettings &socket) { return sip::is_secure(socket.kind); };
    return std::ranges::any_of(settings.web, secure) || std::ranges::any_of(settings.sip, secure);
}

// Errors: Errc::tls. Where none is given, one of our own is made and kept.
Result<> set_certificate(bridge::Settings &settings) {
    if (!listens_secure(settings) || !settings.tls.certificate.empty()) return {};
    std::vector<std::string> names{settings.domain, "localhost"};
    for (const auto &socket : settings.web)
        if (!socket.address.is_any()) names.push_back(socket.address.ip());
    if (const auto local = local_address_towards(Address::parse("192.0.2.1", 9).value()))
        names.push_back(local->ip());
    settings.tls.certificate = bridge::usual_certificate_path();
    return bridge::ensure_certificate(settings.tls.certificate, names);
}

Result<bridge::Settings> settings_for(const GlobalOptions &global, const WssBridgeOptions &options,
                                      std::vector<std::string> &warnings) {
    bridge::Settings settings;
    auto file = load_configuration(global);
    if (!file) return tl::unexpected(file.error());
    if (*file) {
        auto report = bridge::read_bridge_settings(**file, settings);
        if (!report.errors.empty()) return fail(Errc::config, report.errors.front());
        warnings = std::move(report.warnings);
        settings = std::move(report.settings);
    }
    if (auto applied = apply(global, options, settings); !applied) return tl::unexpected(applied.error());
    if (auto fits = bridge::check_upstream(settings); !fits) return tl::unexpected(fits.error());
    if (auto fits = bridge::check_ice(settings); !fits)
        return fail(fits.error().code, "wss-bridge: " + fits.error().what);
    if (auto fits = bridge::check_web(settings); !fits) return tl::unexpected(fits.error());
    if (auto fits = bridge::check_logins(settings); !fits) return tl::unexpected(fits.error());
    if (settings.web.empty()) settings.web = {{sip::TransportKind::wss, Address::any(AF_INET, 8443)}};
    if (settings.sip.empty())
        settings.sip = {{sip::TransportKind::udp, Address::any(AF_INET, 5060)},
                        {sip::TransportKind::tcp, Address::any(AF_INET, 5060)}};
    if (settings.domain.empty() && settings.upstream) settings.domain = settings.upstream->host;
    if (settings.domain.empty() && settings.users.empty())
        return fail(Errc::config, "wss-bridge: nobody can register (expected [bridge] with domain and "
                                  "[[bridge.user]] in the configuration)");
    if (settings.domain.empty()) return fail(Errc::config, "wss-bridge: no domain (expected --domain NAME)");
    if (!settings.peers.empty() && (settings.cluster_key.empty() || !settings.upstream))
        return fail(Errc::config, "wss-bridge: cluster_peers: expected cluster_key and upstream beside them");
    if (auto made = set_certificate(settings); !made) return tl::unexpected(made.error());
    return settings;
}

class Running {
public:
    Running(const GlobalOptions &global, Output &output)
        : output_(output), taps_(output), service_(loop_), timeout_(loop_), last_(loop_) {
        (void)std::signal(SIGPIPE, SIG_IGN);
        signals_ = std::make_unique<SignalWatch>(std::initializer_list<int>{SIGINT, SIGTERM, SIGHUP},
                                                 [this](int signo) { on_signal(signo); });
        if (global.timeout) timeout_.start(*global.timeout, [this] { finish(exit_timeout); });
    }

    Result<int> run(const GlobalOptions &global, bridge::Settings settings) {
        settings_ = std::move(settings);
        if (auto taps = taps_.open(global); !taps) return tl::unexpected(taps.error());
        watch_certificate();
        if (auto checked = check_tls(); !checked) return tl::unexpected(checked.error());
        if (auto media = open_media(); !media) return tl::unexpected(media.error());
        proxy_ = std::make_unique<bridge::Proxy>(loop_, settings_, *media_);
        watching_ = proxy_->core().events.add([this](const bridge::Event &event) {
            output_.event(event.name, event.fields, event.text);
            if (output_.broken()) finish(1);
        });
        if (taps_.wanted())
            proxy_->core().transports().set_tap(
                [this](const sip::Flow &flow, bool sent, std::string_view bytes) {
                    taps_.write_sip(flow, sent, bytes);
                });
        if (auto started = proxy_->start(); !started) return tl::unexpected(started.error());
        if (anchor_ != nullptr && settings_.ice_tcp)
            anchor_->accept_tcp(proxy_->core().transports(), proxy_->web());
        auto status = bridge::StatusSocket::open(bridge::StatusSocket::usual_path(),
                                                 [this] { return proxy_->status().dump(); });
        if (status)
            status_ = std::move(*status);
        else
            log_warning("--status will not work: " + status.error().what);
        output_.event("bridge.ready", Json::object().add("domain", settings_.domain), "ready: " + role());
        service_.ready(role());
        if (auto ran = loop_.run(); !ran) return tl::unexpected(ran.error());
        if (auto *pcap = taps_.pcap()) close(*pcap);
        return exit_;
    }

private:
    [[nodiscard]] std::string role() const {
        if (settings_.proxies_registrations()) return "the edge of " + settings_.upstream->host_port();
        const std::size_t count = settings_.users.size();
        return std::to_string(count) + (count == 1 ? " user" : " users") + " of " + settings_.domain;
    }

    Result<> open_media() {
        if (settings_.rtpengines.empty()) {
            if (auto *pcap = taps_.pcap()) log_packets(*pcap);
            auto anchor = bridge::AnchorPlane::open(settings_, packets_);
            if (!anchor) return tl::unexpected(anchor.error());
            anchor_ = anchor->get();
            media_ = std::move(*anchor);
            return {};
        }
        auto ng = bridge::NgPlane::open(
            loop_, settings_, [this](std::string_view node, bool alive, std::string_view reason) {
                auto event = Json::object().add("node", node).add("alive", alive);
                if (!alive) event.add("reason", reason);
                output_.event("bridge.rtpengine", event,
                              "rtpengine " + std::string(node) +
                                  (alive ? " is used again" : " gets no calls: " + std::string(reason)));
            });
        if (ng) media_ = std::move(*ng);
        return ng ? Result<>() : tl::unexpected(ng.error());
    }

    // Media into the capture, in the clear on both sides.
    void log_packets(sip::PcapWriter &pcap) {
        packets_ = std::make_shared<bridge::PacketLog>(
            bridge::PacketLog::Limits{},
            [&pcap](const bridge::PacketLog::Packet &packet) {
                pcap.write_datagram(packet.from, packet.to, packet.bytes, packet.when);
            },
            [] { log_warning("--pcap: the limit for media is reached; from now on only signalling"); });
    }

    void close(sip::PcapWriter &pcap) const {
        if (packets_) packets_->drain();
        if (packets_ && packets_->left_out() != 0)
            log_warning("--pcap: " + std::to_string(packets_->left_out()) +
                        " packets came too fast and are not in it");
        pcap.flush();
    }

    Result<> check_tls() {
        if (!listens_secure(settings_)) return {};
        const auto facts = bridge::check_certificate(settings_.tls.certificate, settings_.tls.key);
        if (!facts) return tl::unexpected(facts.error());
        if (facts->expired) log_warning("the certificate " + settings_.tls.certificate + " has expired");
        output_.event("bridge.certificate",
                      Json::object()
                          .add("file", settings_.tls.certificate)
                          .add("sha256", facts->fingerprint)
                          .add("until", facts->until),
                      "certificate " + settings_.tls.certificate + ", until " + facts->until + ", SHA-256 " +
                          facts->fingerprint);
        return {};
    }

    // Whoever renews it need not know of us: files are looked at, SIGHUP only makes it sooner.
    void watch_certificate() {
        if (!listens_secure(settings_)) return;
        std::vector<std::string> files{settings_.tls.certificate};
        if (!settings_.tls.key.empty()) files.push_back(settings_.tls.key);
        certificate_ = std::make_unique<bridge::FileWatch>(loop_, std::move(files), [this] { reload(); });
    }

    // New connections get the new certificate; those that are there stay.
    void reload() {
        if (certificate_) certificate_->known();
        auto used = check_tls();
        if (used && proxy_) used = proxy_->core().transports().set_tls(settings_.tls);
        if (!used) log_error(used.error().what + "; the old one stays");
    }

    void on_signal(int signo) {
        if (signo == SIGHUP) {
            service_.reloading();
            reload();
            return service_.ready(role());
        }
        if (finishing_) _exit(exit_interrupted); // asked twice: at once
        finish(signo == SIGTERM ? 0 : exit_interrupted);
    }

    void finish(int exit) {
        if (std::exchange(finishing_, true)) return;
        exit_ = exit;
        service_.stopping();
        const bool busy = proxy_ && proxy_->busy();
        if (proxy_) proxy_->hang_up_all("the bridge is shut down");
        last_.start(busy ? farewell : Duration{0}, [this] { loop_.stop(); });
    }

    Output &output_;
    Taps taps_;
    Loop loop_;
    ServiceManager service_;
    Timer timeout_, last_;
    std::unique_ptr<SignalWatch> signals_;
    std::shared_ptr<bridge::PacketLog> packets_; // null: no media in it
    bridge::Settings settings_;
    std::unique_ptr<bridge::MediaPlane> media_;
    bridge::AnchorPlane *anchor_ = nullptr; // media_, when it is in process
    std::unique_ptr<bridge::Proxy> proxy_;
    std::unique_ptr<bridge::StatusSocket> status_;
    std::unique_ptr<bridge::FileWatch> certificate_;
    Observers<bridge::Event>::Handle watching_;
    int exit_ = 0;
    bool finishing_ = false;
};

std::string member(const Json &object, std::string_view key) {
    const Json *value = object.find(key);
    if (value == nullptr) return "";
    if (const auto *text = value->as_string()) return sanitise(*text);
    return value->dump();
}

Result<int> show_status(Output &output) {
    const auto answer = bridge::StatusSocket::ask(bridge::StatusSocket::usual_path());
    if (!answer) return tl::unexpected(answer.error());
    const auto status = Json::parse(*answer);
    if (!status) return tl::unexpected(status.error());
    if (output.json()) {
        output.event("bridge.status", *status, "");
        output.result(0, Json::object());
        return 0;
    }
    output.text("domain   " + member(*status, "domain"));
    output.text("since    " + member(*status, "up_s") + " s, " + member(*status, "calls_total") + " calls, " +
                member(*status, "connections") + " connections");
    if (const Json *refusals = status->find("refusals");
        refusals != nullptr && refusals->as_object() != nullptr) {
        std::string line;
        for (const auto &[name, count] : *refusals->as_object())
            if (count.dump() != "0")
                line += (line.empty() ? "refused  " : ", ") + count.dump() + " " + sanitise(name);
        if (!line.empty()) output.text(line);
    }
    for (const auto &[list, head] :
         {std::pair("bindings", "user     "), {"lines", "line     "}, {"calls", "call     "}})
        if (const Json *items = status->find(list); items != nullptr && items->as_array() != nullptr)
            for (const auto &item : *items->as_array()) {
                std::string line = head;
                if (const auto *fields = item.as_object())
                    for (const auto &field : *fields)
                        line += (line.size() > 9 ? "  " : "") +
                                (field.first == "user" ? "" : field.first + "=") + member(item, field.first);
                output.text(line);
            }
    return 0;
}

} // namespace

Result<int> run(const GlobalOptions &global, const WssBridgeOptions &options) {
    Output output(global);
    if (options.status) return show_status(output);
    std::vector<std::string> warnings;
    auto settings = settings_for(global, options, warnings);
    if (!settings) return tl::unexpected(settings.error());
    for (const auto &warning : warnings)
        log_warning(warning);
    allow_descriptors(most_descriptors);
    Running running(global, output);
    auto exit = running.run(global, std::move(*settings));
    if (exit) output.result(*exit, Json::object());
    return exit;
}

} // namespace offhook::cmd
