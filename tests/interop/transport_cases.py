"""Two offhooks over the rarer transports: SCTP in UDP (RFC 4168, RFC 6951) and DTLS."""

from harness import (Offhook, Skip, case, expect, expect_equal, expect_tone, make_certificate, workdir,
                     write_tone)

LEVEL = -15.0


def needs_usrsctp():
    phone = Offhook("--version", "-v", raw=True, audio=None)
    phone.exit_code(10)
    if "usrsctp" not in phone.stdout():
        raise Skip("offhook has no usrsctp (libusrsctp-dev), or the kernel has SCTP itself")


def listening(phone, token):
    """The port of the socket that it says it listens on."""
    addresses = phone.wait_event("listening")["addresses"]
    return next(a.rsplit(":", 1)[1] for a in addresses if a.startswith(token + ":"))


def sctp_answerer(*args, **options):
    phone = Offhook("answer", "--auto", "--listen", "sctp:127.0.0.1:0", "--sctp-udp-port", "0", *args, **options)
    return phone, f"sip:callee@127.0.0.1:{listening(phone, 'sctp')};transport=sctp", listening(phone, "sctp-udp")


def tones(call_args, answer_args):
    """Options that send a tone each way, and the check that both arrived."""
    one, other = (write_tone(workdir() / f"{hz}.wav", hz, 5, 8000, dbfs=LEVEL) for hz in (440, 660))
    here, there = workdir() / "here.wav", workdir() / "there.wav"
    call_args += ["--codecs", "pcmu", "--play", one, "--record", here, "--hangup-after", "2s", "--timeout", "30s"]
    answer_args += ["--play", other, "--record", there, "--then", "wait", "--timeout", "40s"]

    def check():
        for recording, sent, received in ((here, 440, 660), (there, 660, 440)):
            expect_tone(recording, sent, LEVEL, 1.3, side=0)
            expect_tone(recording, received, LEVEL, 1.3, side=1)
    return check


@case("a call over SCTP: tones both ways, holds, the callee hangs up")
def sctp_call():
    needs_usrsctp()
    call_args, answer_args = [], []
    check = tones(call_args, answer_args)
    trace = workdir() / "sip.txt"
    callee, uri, udp_port = sctp_answerer(*answer_args, name="callee")
    caller = Offhook("call", "--sctp-peer-udp-port", udp_port, f"--trace={trace}", *call_args, uri, name="caller")
    caller.ends(0)
    callee.ends(0)
    check()
    text = trace.read_text()
    expect("Via: SIP/2.0/SCTP " in text and "BYE sip:" in text, "SCTP in Via, and the BYE over it")
    expect_equal(text.count(" INVITE sip:") + text.count("\nINVITE sip:"), 1, "INVITEs: nothing is sent twice")

    callee, uri, udp_port = sctp_answerer("--do", "wait answer; hold; wait 300ms; resume; wait 300ms; hangup",
                                          "--timeout", "30s", name="callee-2")
    caller = Offhook("call", "--sctp-peer-udp-port", udp_port, "--then", "wait", "--timeout", "20s", uri,
                     name="caller-2")
    caller.ends(0)
    callee.ends(0)
    expect_equal(len(caller.events_named("call.remote-hold")), 2, "held and resumed")
    expect_equal(caller.events_named("call.ended")[0]["by"], "remote", "by")


@case("nobody listens on that SCTP port, or in that UDP port: exit 20 in one clear line")
def sctp_refused():
    needs_usrsctp()
    callee, uri, udp_port = sctp_answerer("--timeout", "40s", name="callee")
    port = int(listening(callee, "sctp"))
    wrong = uri.replace(f":{port};", f":{port ^ 1};")
    caller = Offhook("call", "--sctp-peer-udp-port", udp_port, "--timeout", "20s", wrong, name="wrong-port")
    expect_equal(caller.ends(20)["reason"], f"sctp:127.0.0.1:{port ^ 1}: Connection refused", "reason")
    callee.stop()
    caller = Offhook("call", "--sctp-peer-udp-port", udp_port, "--timeout", "20s", uri, name="nobody")
    expect_equal(caller.ends(20)["reason"], f"sctp:127.0.0.1:{port}: Connection refused", "reason")


@case("two that listen on SCTP need an encapsulation port each: the second one says so")
def sctp_port_taken():
    needs_usrsctp()
    first, _, udp_port = sctp_answerer("--timeout", "30s", name="first")
    second = Offhook("answer", "--auto", "--listen", "sctp:127.0.0.1:0", "--sctp-udp-port", udp_port, name="second")
    second.ends(20)
    lines = [line for line in second.stderr().splitlines() if "in use" in line]
    expect(len(lines) == 1 and "--sctp-udp-port" in lines[0], f"one clear line: {second.stderr()}")
    first.stop()


@case("a call over DTLS: tones both ways")
def dtls_call():
    certificate, ca = make_certificate()
    call_args, answer_args = [], []
    check = tones(call_args, answer_args)
    trace = workdir() / "sip.txt"
    callee = Offhook("answer", "--auto", "--listen", "dtls:127.0.0.1:0", "--tls-certificate", certificate, *answer_args,
                     name="callee")
    uri = f"sip:callee@127.0.0.1:{listening(callee, 'dtls')};transport=dtls"
    caller = Offhook("call", "--tls-ca", ca, f"--trace={trace}", *call_args, uri, name="caller")
    caller.ends(0)
    callee.ends(0)
    check()
    expect("Via: SIP/2.0/DTLS-UDP " in trace.read_text(), "DTLS-UDP in Via")
