"""The registry of interop cases and the way one of them is run: `python3 cases.py MODULE CASE` in a process of
its own, so that the runner can bound its time and end everything it started by its process group."""

import importlib
import os
import pathlib
import signal
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
SKIP_EXIT = 77


class Case:
    def __init__(self, function, name, timeout, serial):
        self.function, self.name, self.timeout, self.serial = function, name, timeout, serial


_cases = {}  # of the module being imported: name -> Case


def case(name, *, timeout=60, serial=False):
    """Declares a case. serial: it measures time and runs alone."""
    def declare(function):
        if name in _cases:
            raise ValueError(f"two cases named {name!r}")
        _cases[name] = Case(function, name, timeout, serial)
        return function
    return declare


def modules():
    """Names of the modules with cases: every *_cases.py beside this file."""
    return sorted(p.stem for p in HERE.glob("*_cases.py"))


def load(module):
    """The cases of one module, by name."""
    sys.path[:0] = [str(HERE)] if str(HERE) not in sys.path else []
    own = sys.modules.get("cases") or sys.modules[__name__]
    own._cases.clear()
    importlib.import_module(module)
    return dict(own._cases)


def run(module, name):
    import processes
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by the runner"))
    chosen = load(module)[name]
    try:
        chosen.function()
        for process in processes._processes:
            process.check_sanitizers()
    except processes.Skip as skip:
        print(skip)
        return SKIP_EXIT
    except BaseException as error:  # whatever it is, the report comes first
        if isinstance(error, (processes.Failure, SystemExit)):
            frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.endswith("_cases.py")]
            where = f"{pathlib.Path(frames[-1].filename).name}:{frames[-1].lineno}: " if frames else ""
            print(f"{where}{error}")
        else:
            traceback.print_exc(file=sys.stdout)
        print(processes.logs())
        if os.environ.get("OFFHOOK_TEST_HOLD"):  # a developer wants to look around
            print(f"work directory {processes.workdir()}", flush=True)
            time.sleep(float(os.environ["OFFHOOK_TEST_HOLD"]))
        return 1
    finally:
        processes.end_all()
    return 0


if __name__ == "__main__":
    sys.modules["cases"] = sys.modules["__main__"]
    sys.exit(run(sys.argv[1], sys.argv[2]))
