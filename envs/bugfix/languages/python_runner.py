"""Runs unittest files and writes JUnit XML to standard output, in a sandbox: `python3 -I -S -B -c TEXT ROOT FILE...`.

The tests run in a child process that never holds the report: it sends one line per test, marked with a secret, and only
the parent, which runs none of the repository's code and cannot be traced or opened by it, writes XML.
"""

import ctypes
import importlib.util
import json
import os
import re
import resource
import select
import signal
import sys
import time
import traceback
import unittest
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any
from xml.sax.saxutils import quoteattr

# A test is timed by the processor it uses, so that a busy machine fails nobody; only the whole run by the clock.
TEST_SECONDS, RUN_SECONDS, MAX_TIMEOUTS = 1.0, 15.0, 2
MEMORY_BYTES, MAX_REPORT_BYTES = 384 << 20, 1 << 20
NUMBERS = (bool, int, float, complex, Fraction, Decimal)
Send = Callable[[str, str, str, str], None]
CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd]")


def comparable(first: Any, second: Any) -> bool:
    """Whether two values are of one kind, so that an object which equals everything equals nothing."""
    if isinstance(second, NUMBERS):
        return type(first) in NUMBERS
    if type(first) is not type(second):
        return False
    if type(second) in (list, tuple):
        return len(first) == len(second) and all(map(comparable, first, second))
    if type(second) is dict:
        return first.keys() == second.keys() and all(comparable(first[key], second[key]) for key in second)
    return True


def strict_equal(case: unittest.TestCase, first: Any, second: Any, msg: Any = None) -> None:
    """`assertEqual` that no `__eq__` of the repository can satisfy alone."""
    plain_equal(case, first, second, msg)
    if not comparable(first, second):
        case.fail(f"{first!r} is not of the same kind as {second!r}")


plain_equal = unittest.TestCase.assertEqual
unittest.TestCase.assertEqual = strict_equal  # type: ignore[assignment, method-assign]


class Sender(unittest.TestResult):
    """Sends each test's outcome; a test that takes too long is interrupted."""

    def __init__(self, send: Send, root: str) -> None:
        super().__init__()
        self.send, self.root, self.timeouts = send, root, 0

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.outcome, self.message = "passed", ""
        signal.setitimer(signal.ITIMER_PROF, TEST_SECONDS)

    def stopTest(self, test: unittest.TestCase) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        classname, _, name = test.id().rpartition(".")
        self.send(classname, name, self.outcome, self.message)
        if self.timeouts >= MAX_TIMEOUTS:
            self.stop()

    def note(self, outcome: str, error: Any) -> None:
        """Remember how the running test ended."""
        self.outcome = outcome
        if issubclass(error[0], TimeoutError):
            self.timeouts += 1
        self.message = explain(error, self.root)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.note("failed", err)

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        self.note("error", err)

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.note("failed", err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        self.outcome, self.message = "skipped", reason

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        self.note("failed", err)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self.outcome = "failed"


def explain(error: Any, root: str) -> str:
    """The error in one line, and where in the repository it passed."""
    kind, value, trace = error
    places = [frame for frame in traceback.extract_tb(trace, 50) if frame.filename.startswith(root)][-4:]
    where = [f"{os.path.relpath(frame.filename, root)}:{frame.lineno} in {frame.name}" for frame in places]
    return f"{kind.__name__}: {str(value)[:400]}\n" + "\n".join(where)


def too_long(*_: object) -> None:
    """Interrupts a test."""
    raise TimeoutError(f"the test took more than {TEST_SECONDS:g} s")


def run_child(root: str, files: Sequence[str], fd: int, secret: str) -> None:
    """Import and run the tests, sending a line for each."""

    def send(classname: str, name: str, outcome: str, message: str) -> None:
        os.write(fd, (json.dumps([secret, classname, name, outcome, message]) + "\n").encode())

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGPROF, too_long)
    sys.path.append(root)
    result = Sender(send, root)
    for file in files:
        module_name = file.removesuffix(".py").replace("/", ".")
        spec = importlib.util.spec_from_file_location(module_name, os.path.join(root, file))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        try:
            signal.setitimer(signal.ITIMER_PROF, TEST_SECONDS)
            spec.loader.exec_module(module)
            suite = unittest.defaultTestLoader.loadTestsFromModule(module)
        except BaseException:
            send(module_name, "import", "error", explain(sys.exc_info(), root))
            continue
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        suite.run(result)


def collect(pid: int, reader: int) -> bytes:
    """What the child sent until it ended or ran out of time; all its processes are gone afterwards."""
    data, deadline, ended = bytearray(), time.monotonic() + RUN_SECONDS, False
    while len(data) < MAX_REPORT_BYTES and time.monotonic() < deadline:
        if select.select([reader], [], [], 0 if ended else 0.05)[0]:
            part = os.read(reader, 65536)
            if not part:
                break
            data += part
        elif ended:
            break
        else:
            ended = os.waitpid(pid, os.WNOHANG)[0] == pid
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        ended = True
    return bytes(data)


def fork(root: str, files: Sequence[str], secret: str) -> bytes:
    """Run the tests in a child without input or output; returns what it sent."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return collect(pid, reader)
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        run_child(root, files, writer, secret)
    finally:
        os._exit(0)


def attribute(text: str) -> str:
    """A text as a quoted XML attribute."""
    return quoteattr(CONTROL.sub("?", text))


def xml(records: Sequence[Sequence[str]]) -> str:
    """The records as a JUnit report."""
    lines = ['<testsuites><testsuite name="unittest">']
    for classname, name, outcome, message in records:
        tag = {"failed": "failure", "error": "error", "skipped": "skipped"}.get(outcome)
        inner = f"<{tag} message={attribute(message)}/>" if tag else ""
        lines.append(f"<testcase classname={attribute(classname)} name={attribute(name)}>{inner}</testcase>")
    return "\n".join([*lines, "</testsuite></testsuites>"])


def records_of(data: bytes, secret: str) -> Iterator[list[str]]:
    """The lines that bear the secret."""
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            mark, *record = json.loads(line)
        except ValueError:
            continue
        if mark == secret and len(record) == 4:
            yield record


def main(root: str, *files: str) -> int:
    """Exit code 0 when there were tests and all passed."""
    ctypes.CDLL(None).prctl(4, 0)  # PR_SET_DUMPABLE: nobody of our own user may open /proc/self/fd or trace us
    secret = os.urandom(16).hex()
    records = list(records_of(fork(os.path.realpath(root), files, secret), secret))
    print(xml(records))
    return 0 if records and all(record[2] == "passed" for record in records) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
