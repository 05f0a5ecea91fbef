"""Every message of RFC 4475 to a running phone, over UDP and TCP; the outcome as EXPECTED.tsv says."""

import csv
import re

from harness import ROOT, Failure, answerer, case, expect
from wire import Wire, answers_options, final_statuses

DATA = ROOT / "tests/data/rfc4475"

# What may happen, by name of the message: final statuses; "none": nothing is answered; "close": a TCP connection
# may be closed instead. "dialog": the phone may ring or answer (a 1xx or 2xx, or a refusal of this call).
CALL = {200, 404, 406, 415, 480, 481, 486, 488, 606}
OUTCOMES = {
    "wsinv": CALL, "intmeth": {501, 405}, "esc01": CALL, "escnull": {501, 405}, "esc02": {501, 405},
    "lwsdisp": {200, 404}, "longreq": CALL, "dblreq": {501, 405}, "semiuri": {200, 404},
    "transports": {200, 404}, "mpart01": {200, 202, 404, 415, 405, 501}, "unreason": {"none"}, "noreason": {"none"},
    "badinv01": {400, "none", "close"}, "clerr": {400, "wait", "close"}, "ncl": {400, "close"}, "scalar02": {400},
    "scalarlg": {"none"}, "quotbal": {400}, "ltgtruri": {400} | CALL, "lwsruri": {400}, "lwsstart": {400} | CALL,
    "trws": {400} | CALL, "escruri": {400} | CALL, "baddate": {400} | CALL, "regbadct": {501, 405, 400},
    "badaspec": {400} | CALL, "baddn": {400} | CALL, "badvers": {505}, "mismatch01": {400},
    "mismatch02": {501, 405, 400}, "bigcode": {"none"}, "badbranch": {400} | CALL, "insuf": {400},
    "unkscm": {416}, "novelsc": {416}, "unksm2": {501, 405}, "bext01": {420}, "invut": {415},
    "regaut01": {501, 405}, "multi01": {400}, "mcl01": {400, "close"}, "bcast": {"none"}, "zeromf": {200, 404},
    "cparam01": {501, 405}, "cparam02": {501, 405}, "regescrt": {501, 405}, "sdp01": {406, 488, 606},
    "inv2543": CALL,
    # The archive's baddn lacks the empty line behind its headers; here it has it.
    "baddn whole": {400} | CALL,
}
# What a stream makes of them: without Content-Length nothing is framed, what follows a message is the next one,
# a head without its end is waited for.
STREAM = {"inv2543": {400, "close"}, "inv2543 sized": CALL, "dblreq": {501, 405, 400, "close"},
          "baddn": {"wait", "close"}}
# Headers that an answer must carry.
HEADERS = {"bext01": [rb"Unsupported:.*nothingSupportsThis\b", rb"Unsupported:.*nothingSupportsThisEither"],
           "invut": [rb"Accept:.*application/sdp"]}


def expected():
    with open(DATA / "EXPECTED.tsv", newline="") as table:
        return list(csv.DictReader(table, delimiter="\t"))


def probe(port, name, transport):
    """Sends one message, tells what came back: set of statuses, "none", "close" or "wait"."""
    raw = message(name)
    wire = Wire(port, transport)
    try:
        wire.send(reachable(raw) if transport == "udp" else raw)
        data = wire.until(rb"(?:^|\n)SIP/2\.0 [2-6]\d\d", 1.0)
        data += wire.receive(0.05)
        statuses = final_statuses(data)
        if statuses:
            end_call(wire, data, raw, transport)
        return statuses, data, wire.closed
    finally:
        wire.close()


def reachable(raw):
    """`rport` is added to the topmost Via where that leaves the point of the message as it is: a phone answers
    to the port of the Via otherwise (RFC 3261 §18.2.2), where nobody listens."""
    found = re.search(rb"(?im)^(v|via)[ \t]*:[^\r\n]*(?:\r\n[ \t][^\r\n]*)*", raw)
    if not found:
        return raw
    via = found[0]
    first = re.match(rb"[^,;]*", via)[0]
    return raw[:found.start()] + first + b";rport" + via[len(first):] + raw[found.end():]


def message(name):
    """The bytes of the archive. Several REGISTERs there share sent-by and branch, which makes each of them a
    retransmission of the one before (RFC 3261 §17.2.3): their branches are made different."""
    base = name.removesuffix(" whole").removesuffix(" sized")
    raw = (DATA / f"{base}.dat").read_bytes()
    if name.endswith(" whole"):
        raw += b"\r\n"
    if name.endswith(" sized"):
        head, body = raw.split(b"\r\n\r\n", 1)
        raw = head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    return re.sub(rb"(?<=branch=z9hG4bKkdjuw)(?=\r\n)", base.encode(), raw)


def end_call(wire, data, raw, transport):
    """An INVITE that was answered gets an ACK (so that nothing retransmits), a 200 a BYE."""
    response = re.search(rb"SIP/2\.0 (\d{3}).*?\r\n\r\n", data, re.S)
    cseq = re.search(rb"(?im)^cseq[ \t]*:\s*(\d+)\s+INVITE", response[0]) if response else None
    if not cseq:
        return
    def header(name):
        found = re.search(rb"(?im)^(?:" + name + rb")[ \t]*:[^\r\n]*", response[0])
        return found[0] + b"\r\n" if found else b""
    for method in [b"ACK"] + ([b"BYE"] if response[1].startswith(b"2") else []):
        number = cseq[1] if method == b"ACK" else str(int(cseq[1]) + 1).encode()
        via = header(b"via|v") if not response[1].startswith(b"2") else (
            f"Via: SIP/2.0/{transport.upper()} 127.0.0.1:{wire.local_port};rport;branch=z9hG4bK{method.decode()}e\r\n"
            .encode())
        target = re.search(rb"(?im)^(?:contact|m)[ \t]*:[^<\r\n]*<([^>]+)>", response[0])
        wire.send(method + b" " + (target[1] if target else b"sip:callee@127.0.0.1") + b" SIP/2.0\r\n" + via
                  + header(b"from|f") + header(b"to|t") + header(b"call-id|i") + b"CSeq: " + number + b" " + method
                  + b"\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n")
    wire.receive(0.1)


def judge(name, transport, statuses, data, closed):
    """A complaint, or None."""
    may = STREAM.get(name, OUTCOMES.get(name)) if transport == "tcp" else OUTCOMES[name]
    seen = f"{name} over {transport}: answered {statuses or 'nothing'}{', closed' if closed else ''}, may: {may}"
    if not statuses:
        silent = "none" in may or (closed and "close" in may) or (transport == "tcp" and "wait" in may)
        return None if silent else seen
    if not set(statuses) <= {s for s in may if isinstance(s, int)}:
        return seen
    for pattern in HEADERS.get(name, ()):
        if not re.search(rb"(?im)^" + pattern, data):
            return f"{seen}; no header {pattern}"
    return None


def run(transport):
    names = [row["name"] for row in expected()]
    missing = {name for name in OUTCOMES if " " not in name} ^ set(names)
    expect(not missing, f"EXPECTED.tsv and the table here differ: {missing}")
    complaints = []
    phone, uri = answerer("--count", "1000", "--codecs", "pcmu", transport=transport)
    port = phone.port(transport)
    for name in names + ["test", "baddn whole"] + (["inv2543 sized"] if transport == "tcp" else []):
        statuses, data, closed = probe(port, name, transport)
        complaint = judge(name, transport, statuses, data, closed) if name != "test" else None
        if complaint:
            complaints.append(complaint)
        if not phone.alive() or not answers_options(port, transport):
            phone.check_sanitizers()
            raise Failure(f"after {name} over {transport} the phone does not answer OPTIONS")
    expect(not phone.events_named("message.received"), "no message event")
    phone.stop()
    phone.check_sanitizers()
    expect(not complaints, "\n".join(complaints))


@case("every message over UDP", timeout=120)
def udp():
    run("udp")


@case("every message over TCP", timeout=120)
def tcp():
    run("tcp")


@case("a message in pieces and two messages in one segment over TCP")
def framing():
    from wire import options
    phone, _ = answerer(transport="tcp")
    port = phone.port("tcp")
    wire = Wire(port, "tcp")
    text = options(port, wire.local_port, "tcp").encode()
    for i in range(0, len(text), 37):
        wire.send(text[i:i + 37])
    expect(final_statuses(wire.until(rb"SIP/2\.0 200")) == [200], "the message in pieces is answered")
    wire.send(options(port, wire.local_port, "tcp", tag="one") + options(port, wire.local_port, "tcp", tag="two"))
    data = wire.until(rb"(?s)SIP/2\.0 200.*SIP/2\.0 200")
    expect(final_statuses(data) == [200, 200], "both messages of a segment are answered")
    phone.stop()


@case("64 kB datagrams and garbage cost nothing")
def garbage():
    phone, _ = answerer()
    port = phone.port()
    wire = Wire(port)
    for data in (b"", b"\0" * 65000, b"\r\n\r\n", b"A" * 65000, b"INVITE " * 9000, b"SIP/2.0 " + b"9" * 60000,
                 b"OPTIONS sip:a@b SIP/2.0\r\n" + b"Via: " * 12000, b"OPTIONS sip:a SIP/2.0\r\n" + b"a:\r\n" * 15000):
        wire.send(data)
        expect(answers_options(port, wait=2.0), f"OPTIONS is answered after {len(data)} bytes {data[:20]!r}")
    phone.stop()
