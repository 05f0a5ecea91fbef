"""Kamailio as registrar and proxy: an own configuration on free loopback ports, never the package's service."""

import pathlib
import shutil
import socket

from processes import Failure, Process, free_port, need, wait_until, workdir

CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
{tls_listen}
{websocket_core}
server_header="Server: registrar"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "xlog.so"
loadmodule "auth.so"
{presence_modules}
{tls_module}
{websocket_modules}
{outbound_modules}
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "nonce_expire", 300)
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "timer_procs", 0)
modparam("registrar", "min_expires", {min_expires})
modparam("registrar", "default_expires", 60)
{path}
modparam("rr", "enable_full_lr", 1)

request_route {{
    xlog("L_ERR", "SEEN $rm from $si:$sp $proto\\n");
{websocket_request}
{outbound_request}
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    {presence_route}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
        sl_send_reply("404", "Not here");
        exit;
    }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{realm}", "{password}", "0")) {{ www_challenge("{realm}", "0"); exit; }}
        consume_credentials();
        save("location");
        exit;
    }}
    if (is_method("INVITE") && {challenge_calls}) {{
        if (!pv_proxy_authenticate("{realm}", "{password}", "0")) {{ proxy_challenge("{realm}", "0"); exit; }}
        consume_credentials();
    }}
    record_route();
    if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay();
}}
{websocket_routes}
"""

PATH = 'modparam("registrar", "use_path", 1)\nmodparam("registrar", "path_mode", 0)'

# RFC 7118: HTTP and SIP share the ports; only the path /ws has the WebSocket.
WEBSOCKET = dict(
    websocket_core="tcp_accept_no_cl=yes",
    websocket_modules="""loadmodule "nathelper.so"
loadmodule "xhttp.so"
loadmodule "websocket.so"
modparam("nathelper|registrar", "received_avp", "$avp(RECEIVED)")""",
    websocket_request="""    if (nat_uac_test(64)) {
        force_rport();
        if (is_method("REGISTER")) fix_nated_register(); else add_contact_alias();
    }
    if (has_totag()) handle_ruri_alias();""",
    websocket_routes="""onreply_route { if (nat_uac_test(64)) add_contact_alias(); }
event_route[xhttp:request] {
    set_reply_close();
    set_reply_no_connect();
    if ($hdr(Upgrade) =~ "websocket" && $hu == "/ws") {
        xlog("L_ERR", "SEEN UPGRADE from $si:$sp $proto\n");
        if (ws_handle_handshake()) exit;
    }
    xhttp_reply("404", "Not Found", "", "");
}""")

PRESENCE_MODULES = """loadmodule "db_text.so"
loadmodule "presence.so"
loadmodule "presence_xml.so"
loadmodule "presence_dialoginfo.so"
loadmodule "presence_mwi.so"
loadmodule "presence_reginfo.so"
modparam("db_text", "db_mode", 0)
modparam("presence|presence_xml", "db_url", "text://{tables}")
modparam("presence", "server_address", "sip:127.0.0.1:{port}")
modparam("presence", "min_expires_action", 1)
modparam("presence", "min_expires", 1)
modparam("presence_xml", "force_active", 1)
"""
PRESENCE_ROUTE = """if (is_method("PUBLISH")) { handle_publish(); exit; }
    if (is_method("SUBSCRIBE")) { handle_subscribe(); exit; }"""
TABLES = pathlib.Path("/usr/share/kamailio/dbtext/kamailio")

# RFC 5626 and RFC 5627, with STUN on the SIP ports.
OUTBOUND = dict(
    outbound_modules="""loadmodule "stun.so"
loadmodule "outbound.so"
modparam("registrar", "outbound_mode", 1)
modparam("registrar", "flow_timer", 1)""",
    outbound_request="""    if (has_totag() && is_gruu()) lookup("location");""")


class Kamailio:
    """The registrar of realm and domain 127.0.0.1:PORT; every user's password is `password`. stop() and start()
    keep the port; the bindings are in memory only and are lost."""

    def __init__(self, password="secret", algorithm="MD5", challenge_calls=True, certificate=None, min_expires=1,
                 websocket=False, presence=False, path=False, outbound=False):
        self.password, self.algorithm = password, algorithm
        self.challenge_calls, self.certificate, self.min_expires = challenge_calls, certificate, min_expires
        self.websocket, self.outbound = websocket, outbound
        self.presence, self.path = presence, path
        self.realm = "loopback.test"
        self.process, self._seen = None, []
        for _ in range(5):
            self.port, self.tls_port = free_port(), free_port()
            if self.start():
                return
        raise Failure(f"kamailio does not start: {self.process.stderr()[-800:]}")

    def _config(self):
        tls_module = tls_listen = ""
        if self.certificate:
            tls_listen = f"enable_tls=yes\nlisten=tls:127.0.0.1:{self.tls_port}"
            tls = workdir() / f"tls-{self.port}.cfg"
            tls.write_text("[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\n"
                           f"private_key = {self.certificate}\ncertificate = {self.certificate}\n"
                           "[client:default]\nmethod = TLSv1.2+\nverify_certificate = no\n")
            tls_module = f'loadmodule "tls.so"\nmodparam("tls", "config", "{tls}")'
        presence_modules = presence_route = ""
        if self.presence:
            tables = workdir() / f"tables-{self.port}"
            if not tables.exists():
                shutil.copytree(TABLES, tables)
            presence_modules = PRESENCE_MODULES.format(tables=tables, port=self.port)
            presence_route = PRESENCE_ROUTE
        values = dict(presence_modules=presence_modules, presence_route=presence_route, port=self.port, tls_listen=tls_listen, tls_module=tls_module, realm=self.realm,
                      algorithm=self.algorithm, password=self.password, min_expires=self.min_expires,
                      path=PATH if self.path else "",
                      challenge_calls=1 if self.challenge_calls else "$rU == \"\"")
        values.update({key: text if self.websocket else "" for key, text in WEBSOCKET.items()})
        values.update({key: text if self.outbound else "" for key, text in OUTBOUND.items()})
        return CONFIG.format(**values)

    def start(self):
        """False when it could not bind its ports."""
        directory = workdir() / f"kamailio-{self.port}"
        directory.mkdir(exist_ok=True)
        config = directory / "kamailio.cfg"
        config.write_text(self._config())
        self.process = Process([need("kamailio"), "-f", config, "-DD", "-E", "-m", "32", "-M", "8", "-w", directory,
                                "-Y", directory, "-P", directory / "pid"], "kamailio")
        def look():
            if not self.process.alive():
                return "ended"
            return self._answers() and "answers"
        return wait_until(look, "kamailio answers", 15, step=0.05) == "answers"

    def _answers(self):
        request = (f"OPTIONS sip:127.0.0.1:{self.port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{{port}};"
                   "branch=z9hG4bKprobe;rport\r\nFrom: <sip:probe@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\n"
                   "Call-ID: probe\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("127.0.0.1", self.port))
            probe.settimeout(0.3)
            try:
                probe.send(request.format(port=probe.getsockname()[1]).encode())
                return probe.recv(4096).startswith(b"SIP/2.0 200")
            except OSError:
                return False

    def stop(self):
        self._seen += self._log()
        self.process.stop()

    def restart(self):
        self.stop()
        self.start_again()

    def start_again(self):
        """Its ports may be held for a moment, by what is left of it or by another's connection."""
        wait_until(self.start, "kamailio starts again", 30, step=0.3)

    def _log(self):
        return [line.split("SEEN ", 1)[1] for line in self.process.stderr().splitlines() if "SEEN " in line]

    def seen(self, method):
        """How many requests of that method arrived."""
        return sum(1 for line in self._seen + self._log() if line.startswith(method + " "))

    def uri(self, transport="udp"):
        port = self.tls_port if transport in ("tls", "wss") else self.port
        return f"sip:127.0.0.1:{port};transport={transport}"
