"""SIPp scenarios of a transferee or transferor, put together from parts: SIPp has no includes, and the order of
202, NOTIFY and BYE is what is to be tested."""

from processes import workdir

_TAG = "[pid]SIPpTag01[call_number]"
_SDP = """      Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=- 1 {version} IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [media_port] RTP/AVP 0
      a=rtpmap:0 PCMU/8000
      a={direction}
"""
_EMPTY = "      Content-Length: 0\n"


def _send(text, retrans=False):
    return f"""  <send{' retrans="500"' if retrans else ''}>
    <![CDATA[
{text}
    ]]>
  </send>
"""


def reply(status, phrase, extra="", body=_EMPTY, tag=""):
    lines = f"""      SIP/2.0 {status} {phrase}
      [last_Via:]
      [last_From:]
      [last_To:]{tag}
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:peer@[local_ip]:[local_port];transport=[transport]>
"""
    return _send(lines + extra + body)


def request(method, cseq, extra="", body=_EMPTY, call="[call_id]"):
    """In the dialog that the caller's INVITE made."""
    lines = f"""      {method} [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      Max-Forwards: 70
      From[$to];tag={_TAG}
      To[$from]
      Call-ID: {call}
      CSeq: {cseq} {method}
      Contact: <sip:peer@[local_ip]:[local_port];transport=[transport]>
"""
    return _send(lines + extra + body, retrans=True)


def pause(ms):
    return f'  <pause milliseconds="{ms}"/>\n'


ANSWER = """  <recv request="INVITE" crlf="true" rrs="true">
    <action>
      <ereg regexp=".*" search_in="hdr" header="From" assign_to="from"/>
      <ereg regexp=".*" search_in="hdr" header="To" assign_to="to"/>
    </action>
  </recv>
""" + reply(180, "Ringing", tag=f";tag={_TAG}") + \
    reply(200, "OK", body=_SDP.format(version=1, direction="sendrecv"), tag=f";tag={_TAG}") + \
    '  <recv request="ACK"/>\n'


def reinvite(direction, answer, version):
    """The peer's re-INVITE with that direction."""
    return f"""  <recv request="INVITE">
    <action><ereg regexp="a={direction}" search_in="body" check_it="true" assign_to="d{version}"/></action>
  </recv>
""" + reply(200, "OK", body=_SDP.format(version=version, direction=answer)) + '  <recv request="ACK"/>\n'


HOLD = reinvite("sendonly", "recvonly", 2)
RESUME = reinvite("sendrecv", "sendrecv", 3)
NO_HOLD = '  <recv request="INVITE"/>\n' + reply(488, "Not Acceptable Here") + '  <recv request="ACK"/>\n'
REFER = """  <recv request="REFER">
    <action>
      <ereg regexp="&lt;sips?:[^ ]+&gt;" search_in="hdr" header="Refer-To:" check_it="true" assign_to="r1"/>
      <ereg regexp="&lt;sips?:[^ ]+&gt;" search_in="hdr" header="Referred-By:" check_it="true" assign_to="r2"/>
    </action>
  </recv>
"""


def notify(cseq, status, state="active;expires=60", event="refer", answer=200):
    return request("NOTIFY", cseq, f"      Event: {event}\n      Subscription-State: {state}\n",
                   "      Content-Type: message/sipfrag;version=2.0\n      Content-Length: [len]\n\n"
                   f"      SIP/2.0 {status}\n") + f'  <recv response="{answer}"/>\n'


END = "terminated;reason=noresource"
BYE = '  <recv request="BYE"/>\n' + reply(200, "OK")


def hang_up(cseq):
    return request("BYE", cseq) + '  <recv response="200"/>\n'


def refer(cseq, refer_to, expected, extra=""):
    return request("REFER", cseq, f"      Refer-To: {refer_to}\n{extra}") + f'  <recv response="{expected}"/>\n'


def expect_notify(status):
    """One of the transferee's NOTIFYs, answered."""
    return f"""  <recv request="NOTIFY">
    <action><ereg regexp="SIP/2.0 {status}" search_in="body" check_it="true" assign_to="n{status}"/></action>
  </recv>
""" + reply(200, "OK")


def script(name, *parts):
    """Writes the scenario; its path."""
    text = "".join(parts)
    variables = [v for v in ("d2", "d3", "r1", "r2", "n100", "n180", "n200", "n486", "from", "to")
                 if f'assign_to="{v}"' in text]
    path = workdir() / f"{name}.xml"
    path.write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{name}">\n{text}'
                    f'  <Reference variables="{",".join(variables)}"/>\n</scenario>\n')
    return path
