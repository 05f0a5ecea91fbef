"""offhook calls SIPp: what each answer means, told by the exit code and the result line."""

import hashlib
import re
import signal

from harness import Offhook, Sipp, case, expect, expect_equal, expect_tone, wait_until, workdir, write_tone

# status, phrase, exit code; and whether it is refused after ringing
REFUSALS = [(486, "Busy Here", 10), (600, "Busy Everywhere", 10), (404, "Not Found", 13), (410, "Gone", 13),
            (484, "Address Incomplete", 13), (604, "Does Not Exist Anywhere", 13), (603, "Decline", 12),
            (403, "Forbidden", 12), (480, "Temporarily Unavailable", 11), (408, "Request Timeout", 11),
            (488, "Not Acceptable Here", 30), (503, "Service Unavailable", 16), (500, "Server Internal Error", 16),
            (606, "Not Acceptable", 17), (420, "Bad Extension", 15), (499, "Unheard Of", 15)]


def call(uri, *args, **options):
    return Offhook("call", "--timeout", "25s", *args, uri, **options)


def check_ending(phone, exit_code, code, by="remote", **more):
    """The exit code, the result line and call.ended tell the same."""
    result = phone.ends(exit_code)
    ended = phone.events_named("call.ended")
    expect_equal(len(ended), 1, "number of call.ended")
    for key, value in dict(code=code, by=by, exit=exit_code, **more).items():
        expect_equal(ended[0].get(key), value, f"call.ended {key}")
    expect_equal(result.get("code"), code, "code in the result")
    return ended[0]


def refuse(code, phrase, exit_code, scenario="refuse"):
    peer = Sipp(scenario, keys={"code": code, "phrase": phrase, "header": "X-Refused: yes"})
    ended = check_ending(phone := call(peer.uri()), exit_code, code)
    peer.succeeds()
    expect_equal(len(peer.received("INVITE")), 1, "INVITEs")
    expect_equal(ended["reason"], phrase, "reason")
    expect_equal(len(phone.events_named("call.ringing")), 1 if scenario == "ring_refuse" else 0, "call.ringing")


@case("each refusal has its exit code", timeout=120)
def refusals():
    for code, phrase, exit_code in REFUSALS:
        refuse(code, phrase, exit_code)


@case("rings, then busy")
def ring_refuse():
    refuse(486, "Busy Here", 10, "ring_refuse")


@case("302 is told, not followed")
def redirected():
    target = Sipp("answer")
    peer = Sipp("redirect", keys={"contact": target.uri()})
    ended = check_ending(call(peer.uri()), 18, 302)
    peer.succeeds()
    expect(str(target.port) in ended.get("redirect", ""), f"redirect names the target: {ended}")
    expect_equal(target.received("INVITE"), [], "INVITEs at the target")


@case("302 with --follow calls the new target")
def followed():
    target = Sipp("answer")
    peer = Sipp("redirect", keys={"contact": target.uri()})
    phone = call(peer.uri(), "--follow", "--hangup-after", "300ms")
    result = phone.ends(0)
    peer.succeeds()
    target.succeeds()
    expect_equal(result.get("code"), 200, "code in the result")


@case("302 that points to itself ends")
def redirect_loop():
    again = Sipp("redirect", calls=6, keys={"contact": "sip:again@[local_ip]:[local_port]"})
    phone = call(again.uri(), "--follow")
    phone.ends(18)
    expect(len(again.received("INVITE")) <= 6, "at most five redirections are followed")


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def check_digest(header, method, algorithm, digest, password="secret"):
    fields = {k: v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', header)}
    expect_equal(fields.get("algorithm", "MD5"), algorithm, "algorithm")
    a1 = digest(f"{fields['username']}:{fields['realm']}:{password}")
    a2 = digest(f"{method}:{fields['uri']}")
    wanted = digest(":".join([a1, fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"], a2]))
    expect_equal(fields["response"], wanted, "digest response")
    expect_equal((fields["username"], fields["realm"], fields["nc"]), ("alice", "sipp.test", "00000001"), "fields")


def challenged(algorithm, digest):
    peer = Sipp("challenge", keys={"algorithm": algorithm})
    phone = call(peer.uri(), "--aor", f"sip:alice@127.0.0.1:{peer.port}", "--proxy", peer.uri(), "--hangup-after",
                 "200ms", env={"OFFHOOK_PASSWORD": "secret"})
    phone.ends(0)
    peer.succeeds()
    first, second = peer.received("INVITE")
    expect("Authorization" not in first, "no credentials before a challenge")
    check_digest(re.search(r"^Proxy-Authorization: (.*)$", second, re.M)[1], "INVITE", algorithm, digest)
    numbers = [int(re.search(r"^CSeq: (\d+)", m, re.M)[1]) for m in (first, second)]
    expect_equal(numbers[1], numbers[0] + 1, "CSeq of the second INVITE")
    expect("secret" not in phone.stderr() + phone.stdout(), "the password is printed")


@case("407, MD5, then 200")
def challenge_md5():
    challenged("MD5", md5)


@case("407, SHA-256, then 200")
def challenge_sha256():
    challenged("SHA-256", sha256)


def sha512_256(text):
    return hashlib.new("sha512_256", text.encode()).hexdigest()


@case("407, SHA-512-256, then 200")
def challenge_sha512():
    challenged("SHA-512-256", sha512_256)


@case("407 again and again: one try, exit 14")
def challenge_forever():
    peer = Sipp("challenge_forever")
    phone = call(peer.uri(), "--aor", f"sip:alice@127.0.0.1:{peer.port}", "--proxy", peer.uri(),
                 env={"OFFHOOK_PASSWORD": "wrong"})
    check_ending(phone, 14, 407)
    peer.succeeds()
    expect_equal(len(peer.received("INVITE")), 2, "INVITEs")


@case("407 without a password: one INVITE, exit 14")
def challenge_without_password():
    peer = Sipp("challenge", keys={"algorithm": "MD5"})
    phone = call(peer.uri())
    phone.ends(14)
    expect_equal(len(peer.received("INVITE")), 1, "INVITEs")


@case("183 with early media, then 200")
def early_media():
    peer = Sipp("early")
    phone = call(peer.uri(), "--hangup-after", "300ms")
    early = phone.wait_event("call.early", {"code": 183})
    answered = phone.wait_event("call.answered")
    expect(answered["seen"] - early["seen"] > 0.7, "early media comes a second before the answer")
    phone.ends(0)
    peer.succeeds()


@case("an announcement before 404")
def announcement():
    peer = Sipp("early_only")
    phone = call(peer.uri())
    phone.wait_event("call.early", {"code": 183})
    check_ending(phone, 13, 404)
    peer.succeeds()


@case("ring timeout: CANCEL, exit 11")
def ring_timeout():
    peer = Sipp("cancelled")
    ended = check_ending(call(peer.uri(), "--ring-timeout", "700ms"), 11, 487, by="timeout")
    peer.succeeds()
    expect_equal(ended["answered"], False, "answered")


@case("200 crosses the CANCEL: ACK and BYE")
def cancel_race():
    for scenario in ("cancel_race", "cancel_481"):
        peer = Sipp(scenario)
        phone = call(peer.uri(), "--ring-timeout", "500ms")
        phone.ends(11)
        peer.succeeds()


@case("two forked 200: the second leg gets ACK and BYE")
def forked():
    peer = Sipp("forked")
    phone = call(peer.uri(), "--hangup-after", "700ms")
    ended = check_ending(phone, 0, 200, by="local")
    peer.succeeds()
    expect(ended["talk_ms"] >= 600, "the first leg goes on")
    expect_equal(len(phone.events_named("call.answered")), 1, "answers")


@case("BYE with Reason is read; one that blames the media ends with 30")
def bye_reason():
    for reason, code in (('Q.850;cause=31;text="gone"', 0), ('Q.850;cause=31, SIP;cause=488;text="No media"', 30),
                         ('SIP;cause=200;text="488"', 0), ('SIP;cause=200;text="a, SIP;cause=488;b"', 0)):
        peer = Sipp("bye_reason", keys={"reason": reason})
        ended = check_ending(call(peer.uri(), "--then", "wait"), code, 200)
        peer.succeeds()
        expect_equal(ended.get("reason_header"), reason, "Reason")


@case("further targets are tried in turn")
def further_targets():
    busy = Sipp("refuse", keys={"code": 486, "phrase": "Busy Here", "header": "X-First: yes"})
    second = Sipp("answer")
    phone = Offhook("call", "--timeout", "20s", "--hangup-after", "200ms", busy.uri(), second.uri())
    expect_equal(phone.ends(0).get("code"), 200, "code")
    busy.succeeds()
    second.succeeds()
    expect_equal([e["code"] for e in phone.events_named("call.ended")], [486, 200], "calls")


@case("--retry tries again")
def retry():
    peer = Sipp("refuse", calls=2, keys={"code": 480, "phrase": "Away", "header": "X-Away: yes"})
    phone = call(peer.uri(), "--retry", "1", "--retry-wait", "200ms")
    phone.ends(11)
    peer.succeeds()
    expect_equal(len(peer.received("INVITE")), 2, "INVITEs")


@case("headers and subject are sent, the answer's are checked")
def headers():
    peer = Sipp("answer")
    phone = call(peer.uri(), "--header", "X-Case: headers", "--subject", "a test", "--hangup-after", "200ms")
    phone.ends(0)
    invite = peer.received("INVITE")[0]
    expect("X-Case: headers" in invite and re.search(r"^(Subject|s): a test", invite, re.M), f"headers: {invite}")
    peer = Sipp("answer")
    phone = call(peer.uri(), "--expect-header", "X-Missing: yes", "--hangup-after", "200ms")
    phone.ends(40)
    peer.succeeds()


@case("over TCP and with a tel-like user")
def tcp():
    peer = Sipp("answer", transport="t1")
    phone = call(peer.uri("+4930123", "tcp"), "--hangup-after", "200ms")
    phone.ends(0)
    peer.succeeds()
    expect(peer.received("INVITE")[0].startswith("INVITE sip:+4930123@"), "Request-URI")


@case("SIGTERM while it rings sends CANCEL, in a call BYE")
def signals():
    peer = Sipp("cancelled")
    phone = call(peer.uri())
    phone.wait_event("call.ringing")
    phone.signal(signal.SIGTERM)
    phone.ends(130, 4)
    peer.succeeds()
    peer = Sipp("answer")
    phone = call(peer.uri(), "--then", "wait")
    phone.wait_event("call.answered")
    phone.signal(signal.SIGINT)
    phone.ends(130, 4)
    peer.succeeds()
    expect_equal(len(peer.received("BYE")), 1, "BYEs")


@case("a second SIGINT leaves at once")
def second_signal():
    peer = Sipp("silent", keys={"pause": 10000})
    phone = call(peer.uri())
    wait_until(lambda: peer.received("INVITE"), "the INVITE")
    phone.signal(signal.SIGINT)
    phone.signal(signal.SIGINT)
    code = phone.exit_code(3)
    expect_equal(code, 130, "exit code")


@case("a recording is closed and playable after SIGTERM")
def recording_survives():
    peer = Sipp("answer")
    tone = write_tone(workdir() / "tone.wav", 440, 10)
    recording = workdir() / "cut.wav"
    phone = call(peer.uri(), "--play", tone, "--record", recording, "--then", "wait")
    phone.wait_event("call.answered")
    wait_until(lambda: recording.exists() and recording.stat().st_size > 40000, "a second is recorded")
    phone.signal(signal.SIGTERM)
    phone.ends(130, 5)
    expect_tone(recording, 440, -12, 0.8)
