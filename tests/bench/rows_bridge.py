"""The rows about WebSocket connections and the proxy behind them, against Kamailio: same certificates, digest and
number of connections, one server at a time."""

import os
import subprocess
import time

from measure import Row, cpu_seconds
from phones import PROGRAM, Failure, Phone, Reflector, Skip, Tool, need, tool, workdir
from processes import Process, free_port, sockets, wait_until
from rows import peer_or_none, rows
from web_client import Dawdlers, allow_many_sockets, timed_register

DOMAIN, PASSWORD = "house.test", "secret"
COUNTS = {"ws": 5000, "wss": 2000}

KAMAILIO = """#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
tcp_children=1
tcp_max_connections=8192
tls_max_connections=4096
dns=no
rev_dns=no
tcp_accept_no_cl=yes
tcp_connection_lifetime=3605
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
{tls}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "rr.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xhttp.so"
loadmodule "websocket.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
modparam("auth", "nonce_expire", 300)
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "timer_procs", 0)
request_route {{
    force_rport();
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{domain}", "{password}", "0")) {{ www_challenge("{domain}", "0"); exit; }}
        consume_credentials();
        save("location");
        exit;
    }}
    if (!pv_proxy_authenticate("{domain}", "{password}", "0")) {{ proxy_challenge("{domain}", "0"); exit; }}
    consume_credentials();
    record_route();
    t_relay();
}}
event_route[xhttp:request] {{
    if ($hdr(Upgrade) =~ "websocket" && ws_handle_handshake()) exit;
    xhttp_reply("404", "Not Found", "", "");
}}
"""


def certificate():
    """A P-256 certificate for both servers."""
    pem = workdir() / "bench.pem"
    if not pem.exists():
        key, crt = workdir() / "bench.key", workdir() / "bench.crt"
        subprocess.run([need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", crt, "-subj", f"/CN={DOMAIN}", "-days", "2"], check=True,
                       capture_output=True)
        pem.write_text(key.read_text() + crt.read_text())
    return pem


def listens(process, port):
    return wait_until(lambda: (process.alive() and ("tcp", "127.0.0.1", port) in all_sockets(process)) or
                      (not process.alive() and "ended"), f"{process.name} listens", 20)


def family(process):
    """It and its children: Kamailio is several processes."""
    pids = [process.pid]
    for pid in pids:
        try:
            with open(f"/proc/{pid}/task/{pid}/children") as children:
                pids += [int(p) for p in children.read().split()]
        except OSError:
            pass
    return pids


def all_sockets(process):
    return [s for pid in family(process) for s in sockets(pid)]


def pss_kb(process):
    """Proportional set size: what several processes share counts once."""
    total = 0
    for pid in family(process):
        with open(f"/proc/{pid}/smaps_rollup") as rollup:
            total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
    return total


def spent(process):
    return sum(cpu_seconds(pid) for pid in family(process))


def start_kamailio(kind, _phone=None):
    port = free_port()
    tls_port = free_port()
    lines = ""
    if kind == "wss":
        pem = certificate()
        (workdir() / "kamailio-tls.cfg").write_text(
            f"[server:default]\nmethod = TLSv1.2+\nprivate_key = {pem}\ncertificate = {pem}\n")
        lines = (f'enable_tls=yes\nlisten=tls:127.0.0.1:{tls_port}\nloadmodule "tls.so"\n'
                 f'modparam("tls", "config", "{workdir()}/kamailio-tls.cfg")')
    path = workdir() / f"kamailio-bench-{kind}.cfg"
    path.write_text(KAMAILIO.format(port=port, tls=lines, domain=DOMAIN, password=PASSWORD))
    process = Process([need("kamailio"), "-f", path, "-DD", "-E", "-m", "1024", "-M", "64", "-Y", workdir(), "-w",
                       workdir()], "kamailio")
    ws_port = tls_port if kind == "wss" else port
    if listens(process, ws_port) == "ended":
        raise Failure(f"kamailio: {process.stderr()[-500:]}")
    return process, ws_port, port


def start_bridge(kind, phone=None):
    """`phone`: where the one at bench@DOMAIN is reached."""
    if subprocess.run([PROGRAM, "wss-bridge", "--help"], capture_output=True).returncode != 0:
        raise Skip("this offhook has no wss-bridge")
    config = workdir() / f"bridge-{kind}.toml"
    users = "".join(f'[[bridge.user]]\nname = "{n:012}"\npassword = "{PASSWORD}"\n' for n in range(2 * COUNTS[kind]))
    device = f'[[bridge.device]]\nname = "bench"\nuri = "{phone}"\n' if phone else ""
    config.write_text(f'[tls]\ncertificate = "{certificate()}"\n[bridge]\ndomain = "{DOMAIN}"\n{device}{users}')
    os.chmod(config, 0o600)
    port, sip = free_port(), free_port()
    argv = [PROGRAM, "wss-bridge", "-c", config, "--listen", f"{kind}://127.0.0.1:{port}", "--sip",
            f"udp:127.0.0.1:{sip}", "--origin", "*"]
    process = Phone(argv, "offhook-wss-bridge")
    if listens(process, port) == "ended":
        raise Failure(f"wss-bridge: {process.stderr()[-500:]}")
    return process, port, sip


class Crowd(Tool):
    """Connections that register, as the users of `first` and later numbers, and stay."""

    def __init__(self, kind, port, count, first=0):
        super().__init__("ws_load", "stay", kind, str(port), str(count), str(first), stdin=subprocess.PIPE)
        self.line(300)


def crowd_cost(start, kind, count):
    """(kB and CPU milliseconds of each connection with its registration)."""
    server, port, _ = start(kind)
    # What the first ones set up is not each one's, and what starting left free in the heap has to be used up.
    early = Crowd(kind, port, count // 2, count)
    time.sleep(0.5)
    memory, cpu = pss_kb(server), spent(server)
    crowd = Crowd(kind, port, count)
    cpu = spent(server) - cpu
    time.sleep(1)
    memory = pss_kb(server) - memory
    for one in (early, crowd, server):
        one.stop()
    return memory / count, 1e3 * cpu / count


def crowd_rows(kind, most_kb, options):
    allow_many_sockets()
    count = COUNTS[kind] // (10 if options.quick else 1)
    ours = crowd_cost(start_bridge, kind, count)
    try:
        theirs, note = crowd_cost(start_kamailio, kind, count), f"{count} connections, each registered"
    except Skip as missing:
        theirs, note = None, str(missing)
    yield Row(f"bridge.{kind}.memory", "kB", ours[:1], [theirs[0]] if theirs else [], "kamailio", most=most_kb, note=note)
    yield Row(f"bridge.{kind}.connect", "ms CPU", ours[1:], [theirs[1]] if theirs else [], "kamailio", 0.7, note=note)


@rows("bridge.ws.memory", "bridge.ws.connect")
def idle_ws(options):
    """WebSocket connections, each registered with digest and then idle."""
    yield from crowd_rows("ws", 8, options)


@rows("bridge.wss.memory", "bridge.wss.connect")
def idle_wss(options):
    yield from crowd_rows("wss", 30, options)


class Passing:
    """A server with a phone behind it, and what a request from a WebSocket to that phone costs it."""

    def __init__(self, start, uri=None):
        self.phone = Reflector()
        self.server, self.port, _ = start("ws", self.phone.uri)
        self.uri = uri or self.phone.uri
        self.cost(200, 0.5)

    def cost(self, rate, seconds):
        """Microseconds of each request and its answer."""
        before = spent(self.server)
        done = tool("ws_load", "transact", "ws", self.port, self.uri, rate, seconds)[0]
        if done["answered"] < 0.9 * done["sent"] or not done["asked"]:
            raise Failure(f"{self.server.name} passed {done['answered']} of {done['sent']} requests")
        return 1e6 * (spent(self.server) - before) / done["answered"]

    def stop(self):
        self.server.stop()
        self.phone.stop()


@rows("bridge.proxy.cpu")
def proxied(options):
    """A MESSAGE from a WebSocket to a phone on UDP and its answer back, 300 a second, in turn. Both servers demand digest
    of each; ours routes by its users and devices, Kamailio by the URI."""
    ours = Passing(start_bridge, f"sip:bench@{DOMAIN}")
    theirs, note = peer_or_none(lambda: Passing(start_kamailio))
    samples = [(ours.cost(300, 3), theirs and theirs.cost(300, 3)) for _ in range(max(3, options.rounds))]
    for one in filter(None, (ours, theirs)):
        one.stop()
    yield Row("bridge.proxy.cpu", "us", [s[0] for s in samples], [s[1] for s in samples] if theirs else [], "kamailio", 0.5,
              note=note or "each request with digest")


def register_among_dawdlers(start, kind, options):
    """Milliseconds from connecting to being registered, one after another, among a thousand slow handshakes."""
    server, port, _ = start(kind)
    address, tls, samples = f"127.0.0.1:{port}", kind == "wss", []
    crowd = Dawdlers(address, tls, 1000)
    for number in range(4 * options.rounds):
        status, seconds = timed_register(address, f"{number:012}", PASSWORD, tls, DOMAIN)
        if status != 200:
            raise Failure(f"{server.name}: REGISTER was answered {status}")
        samples.append(1e3 * seconds)
    left = crowd.open()
    crowd.end()
    server.stop()
    return samples, f"{left} of 1000 slow handshakes still there"


def flood_row(kind, options):
    allow_many_sockets()
    ours, note = register_among_dawdlers(start_bridge, kind, options)
    try:
        theirs = register_among_dawdlers(start_kamailio, kind, options)[0]
    except (Failure, Skip, OSError) as missing:
        theirs, note = [], f"{note}; {missing}"
    yield Row(f"bridge.flood.{kind}", "ms", ours, theirs, "kamailio", most=200, note=note)


@rows("bridge.flood.ws")
def flood_ws(options):
    """A legitimate REGISTER while a thousand connections dawdle."""
    yield from flood_row("ws", options)


@rows("bridge.flood.wss")
def flood_wss(options):
    yield from flood_row("wss", options)
