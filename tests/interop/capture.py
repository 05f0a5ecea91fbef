"""Capture files, read by tshark."""

import collections
import subprocess

from processes import need


def rtp_streams(path):
    """The RTP in it: (source port, destination port) -> payloads in hexadecimal digits, in order."""
    # Not by the descriptions: one of them speaks of DTLS-SRTP, and the file has it in the clear.
    command = [need("tshark"), "-n", "-r", path, "-o", "sdp.establish_conversation:FALSE", "--enable-heuristic", "rtp_udp",
               "-Y", "rtp", "-T", "fields", "-e", "udp.srcport", "-e", "udp.dstport", "-e", "rtp.payload"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    streams = collections.defaultdict(list)
    for line in lines:
        source, target, payload = line.split("\t")
        streams[int(source), int(target)].append(payload.replace(":", ""))
    return streams
