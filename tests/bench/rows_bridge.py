"""The rows about WebSocket connections and the proxy behind them, against Kamailio: same certificates, digest and
number of connections, one server at a time."""

import os
import resource
import subprocess
import time

from measure import Row, cpu_seconds
from phones import PROGRAM, Failure, Phone, Reflector, Skip, Tool, need, tool, workdir
from processes import Process, free_port, sockets, wait_until
from rows import rows

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


def start_kamailio(kind):
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


def start_bridge(kind):
    if subprocess.run([PROGRAM, "wss-bridge", "--help"], capture_output=True).returncode != 0:
        raise Skip("this offhook has no wss-bridge")
    config = workdir() / f"bridge-{kind}.toml"
    users = "".join(f'[[bridge.user]]\nname = "{n:012}"\npassword = "{PASSWORD}"\n' for n in range(COUNTS[kind] + 1))
    pem = certificate()
    config.write_text(f'[tls]\ncertificate = "{pem}"\n[bridge]\ndomain = "{DOMAIN}"\n{users}')
    os.chmod(config, 0o600)
    port, sip = free_port(), free_port()
    argv = [PROGRAM, "wss-bridge", "-c", config, "--listen", f"{kind}://127.0.0.1:{port}", "--sip",
            f"udp:127.0.0.1:{sip}", "--origin", "*"]
    process = Phone(argv, "offhook-wss-bridge")
    if listens(process, port) == "ended":
        raise Failure(f"wss-bridge: {process.stderr()[-500:]}")
    return process, port, sip


class Crowd(Tool):
    """Connections that register and stay."""

    def __init__(self, kind, port, count):
        super().__init__("ws_load", "stay", kind, str(port), str(count), stdin=subprocess.PIPE)
        self.line(300)


def crowd_cost(start, kind, count):
    """(kB and CPU milliseconds of each connection with its registration)."""
    server, port, _ = start(kind)
    Crowd(kind, port, 1).stop()  # what the first connection sets up is not each one's
    time.sleep(0.5)
    memory, cpu = pss_kb(server), spent(server)
    crowd = Crowd(kind, port, count)
    cpu = spent(server) - cpu
    time.sleep(1)
    memory = pss_kb(server) - memory
    crowd.stop()
    server.stop()
    return memory / count, 1e3 * cpu / count


def crowd_rows(kind, most_kb, options):
    resource.setrlimit(resource.RLIMIT_NOFILE, (16384, max(16384, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
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


def transaction_cost(start, options):
    server, port, _ = start("ws")
    target = Reflector()
    tool("ws_load", "transact", "ws", port, target.uri, 200, 0.5)
    samples = []
    for _ in range(options.rounds):
        before = spent(server)
        done = tool("ws_load", "transact", "ws", port, target.uri, 300, 3)[0]
        samples.append(1e6 * (spent(server) - before) / max(1, done["answered"]))
    if done["answered"] < 0.9 * done["sent"]:
        raise Failure(f"{server.name} passed {done['answered']} of {done['sent']} requests")
    for process in (server, target):
        process.stop()
    return samples


@rows("bridge.proxy.cpu")
def proxied(options):
    """A MESSAGE from a WebSocket to a phone on UDP and its answer back, 300 a second."""
    ours = transaction_cost(start_bridge, options)
    try:
        theirs, note = transaction_cost(start_kamailio, options), ""
    except Skip as missing:
        theirs, note = [], str(missing)
    yield Row("bridge.proxy.cpu", "us", ours, theirs, "kamailio", 0.5, note=note)

