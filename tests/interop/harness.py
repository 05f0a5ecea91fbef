"""Everything a module of cases needs, under one name."""

from baresip import CODECS, Baresip
from cases import case
from certificates import make as make_certificate
from kamailio import Kamailio
from offhook import ALLOWANCE, Offhook, answerer, environment
from processes import (ROOT, Failure, Process, Skip, bound_port, expect, expect_equal, free_port, need, sockets,
                       wait_until, workdir)
from sipp import Sipp
from tone import Tone, expect_silence, expect_tone, read, rms_db, write_tone

__all__ = ["ALLOWANCE", "CODECS", "Baresip", "Failure", "Kamailio", "Offhook", "Process", "ROOT", "Sipp", "Skip", "Tone",
           "answerer", "bound_port", "case", "environment", "expect", "expect_equal", "expect_silence",
           "expect_tone", "free_port", "make_certificate", "need", "read", "rms_db", "sockets", "wait_until",
           "workdir", "write_tone"]
