"""SIPp scenarios written as a list of steps, where only what matters is said: `Scenario("name").recv(...).send(...)`.
The side that sends INVITE uses invite(), ack(), request(); the called side reply() and ask()."""

from processes import workdir
from xml.sax.saxutils import quoteattr

SDP = """v=0
o=- 1 {version} IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a={direction}
"""


def sdp(direction="sendrecv", version=1):
    return SDP.format(direction=direction, version=version)


class Scenario:
    def __init__(self, name):
        self.name, self.steps, self.variables = name, [], []

    def recv(self, what, checks=None, optional=False, timeout=None, keep=None):
        """what: a method or a status. checks: {header: pattern} that must match, or "!pattern" that must not.
        keep: {header: variable} whole values for later."""
        kind = "response" if str(what).isdigit() else "request"
        actions = ""
        for header, pattern in (checks or {}).items():
            pattern, inverse = (pattern[1:], ' check_it_inverse="true"') if pattern.startswith("!") else \
                (pattern, ' check_it="true"')
            actions += (f'<ereg regexp={quoteattr(pattern)} search_in={self._where(header)}'
                        f'{inverse} assign_to="{self._variable()}"/>')
        for header, variable in (keep or {}).items():
            name, pattern = variable if isinstance(variable, tuple) else (variable, None)
            self.variables.append(name)
            if pattern:  # a group of it
                actions += (f'<ereg regexp={quoteattr(pattern)} search_in={self._where(header)} check_it="true" '
                            f'assign_to="{self._variable()},{name}"/>')
            else:
                actions += f'<ereg regexp=".*" search_in={self._where(header)} assign_to="{name}"/>'
        extra = (' optional="true"' if optional else "") + (f' timeout="{timeout}"' if timeout else "")
        extra += ' rrs="true"' if kind == "response" and str(what).startswith("2") else ""
        self.steps.append(f'<recv {kind}="{what}"{extra}>'
                          + (f"<action>{actions}</action>" if actions else "") + "</recv>")
        return self

    @staticmethod
    def _where(header):
        return '"msg"' if header == "*" else f'"hdr" header="{header}:"'

    def _variable(self):
        self.variables.append(f"check{len(self.variables)}")
        return self.variables[-1]

    def send(self, text, retrans=None):
        lines = "\n".join("      " + line.strip() if line.strip() else "" for line in text.strip("\n").split("\n"))
        again = f' retrans="{retrans}"' if retrans else ""
        self.steps.append(f"<send{again}><![CDATA[\n\n{lines}\n\n]]></send>")
        return self

    def pause(self, milliseconds):
        self.steps.append(f'<pause milliseconds="{milliseconds}"/>')
        return self

    # The calling side.
    def request(self, method, number, headers="", body=None, branch="[branch]", uri="[next_url]", tagged=True,
                retrans=500):
        to = "[peer_tag_param]" if tagged else ""
        head = f"""{method} {uri} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}
Max-Forwards: 70
From: "Caller" <sip:caller@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>{to}
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:caller@[local_ip]:[local_port];transport=[transport]>
"""
        return self.send(head + _end(headers, body), None if method == "ACK" else retrans)

    def invite(self, headers="", body=None, number=1):
        return self.request("INVITE", number, headers, body, uri="sip:[service]@[remote_ip]:[remote_port]", tagged=False)

    def ack(self, number=1, body=None, refused=False):
        uri = "sip:[service]@[remote_ip]:[remote_port]" if refused else "[next_url]"
        return self.request("ACK", number, body=body, branch="[branch-3]" if refused else "[branch]", uri=uri)

    # The called side.
    def called(self, checks=None, tag="called", keep=None):
        """INVITE arrives; what ask() needs is kept."""
        self.tag = tag
        return self.recv("INVITE", checks, keep={"Via": "via", "From": "from", "To": "to", "CSeq": "cseq", "Call-ID": "callid",
                                                 "Contact": ("target", "<([^>]*)>"), **(keep or {})})

    def answer(self, status, phrase, headers="", body=None, retrans=None):
        """A response to the INVITE, whatever came since."""
        return self.send(f"""SIP/2.0 {status} {phrase}
Via:[$via]
From:[$from]
To:[$to];tag={self.tag}
Call-ID:[$callid]
CSeq:[$cseq]
Contact: <sip:called@[local_ip]:[local_port];transport=[transport]>
""" + _end(headers, body), retrans)

    def reply(self, status=200, phrase="OK", headers="", body=None):
        """A response to what came last."""
        return self.send(f"""SIP/2.0 {status} {phrase}
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:called@[local_ip]:[local_port];transport=[transport]>
""" + _end(headers, body))

    def ask(self, method, number, headers="", body=None):
        """A request of the called side inside the dialog."""
        return self.send(f"""{method} [$target] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From:[$to];tag={self.tag}
To:[$from]
Call-ID:[$callid]
CSeq: {number} {method}
Contact: <sip:called@[local_ip]:[local_port];transport=[transport]>
""" + _end(headers, body), 500)

    def write(self):
        path = workdir() / f"{self.name}.xml"
        reference = f'<Reference variables="{",".join(self.variables)}"/>' if self.variables else ""
        path.write_text('<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="' + self.name + '">\n'
                        + "\n".join(self.steps) + "\n" + reference + "\n</scenario>\n")
        return path


def _end(headers, body):
    head = headers.strip("\n") + "\n" if headers else ""
    if body is None:
        return head + "Content-Length: 0\n\n"
    return head + "Content-Type: application/sdp\nContent-Length: [len]\n\n" + body
