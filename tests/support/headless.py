"""Pages in a headless Chromium, spoken to through its DevTools pipe: no driver, and no package beside the browser."""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# The browser reads commands from 3 and writes to 4.
_START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"
)
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe")
_PATIENCE_S = 120.0


def program() -> str | None:
    """The path of a Chromium; None if there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Seen:
    """What a page did while it was loaded."""

    requests: list[str]
    complaints: list[Any]
    width: int


@contextmanager
def browser(path: str, profile: Path) -> Iterator[Browser]:
    (theirs_r, ours_w), (ours_r, theirs_w) = os.pipe(), os.pipe()
    # Out of the way of 3 and 4, which the browser wants.
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (theirs_r, theirs_w)]
    process = subprocess.Popen(
        [sys.executable, "-ESc", _START, *map(str, high), path, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=high,
        stderr=subprocess.DEVNULL,
    )
    for fd in (theirs_r, theirs_w, *high):
        os.close(fd)
    try:
        yield Browser(ours_r, ours_w)
    finally:
        process.kill()
        process.wait()
        os.close(ours_r)
        os.close(ours_w)


class Browser:
    def __init__(self, reads: int, writes: int) -> None:
        self.reads, self.writes, self.number, self.buffer = reads, writes, 0, b""
        self.events: list[dict[str, Any]] = []

    def open(self, url: str, width: int) -> Seen:
        """Loads a page in a window so wide, as a phone would if it is narrow."""
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self._call(f"{domain}.enable", session)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._call("Emulation.setDeviceMetricsOverride", session, **size)
        self.events.clear()
        self._call("Page.navigate", session, url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())
        found = self._call("Runtime.evaluate", session, expression="document.documentElement.scrollWidth")
        self._call("Target.closeTarget", targetId=target)
        bad = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return Seen(
            [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"],
            [event["params"] for event in self.events if event["method"] in bad],
            found["result"]["value"],
        )

    def _call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        self.number += 1
        of = {"sessionId": session} if session else {}
        os.write(
            self.writes, json.dumps({"id": self.number, "method": method, "params": params, **of}).encode() + b"\0"
        )
        while (message := self._message()).get("id") != self.number:
            self.events.append(message)
        assert "error" not in message, message
        return message["result"]

    def _message(self) -> dict[str, Any]:
        end_s = time.monotonic() + _PATIENCE_S
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.reads], [], [], max(0.0, end_s - time.monotonic()))
            assert ready, "the browser says nothing"
            read = os.read(self.reads, 1 << 20)
            assert read, "the browser ended"
            self.buffer += read
        line, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(line)
