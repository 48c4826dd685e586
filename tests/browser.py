"""Chromium without a window, driven over its own protocol through a pair of pipes: no package needed, no port opened."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0  # seconds for one answer


def program() -> str | None:
    """Where Chromium is, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page in Chromium; `with Browser(folder) as page`. What the page's console says is in `said`."""

    def __init__(self, folder: Path) -> None:
        found = program()
        if found is None:
            raise FileNotFoundError("chromium is not installed; on Debian: apt-get install chromium")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # High numbers first, so that neither of 3 and 4, which Chromium reads and writes, is in the way.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (theirs_in, theirs_out)]

        def give() -> None:
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe"]
        flags += ["--disable-background-networking", "--no-first-run", f"--user-data-dir={folder}", "about:blank"]
        self._process = subprocess.Popen(
            [found, *flags], close_fds=False, preexec_fn=give, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self._number, self._left, self._session = 0, b"", ""
        self.said: list[str] = []  # warnings, errors, exceptions
        self.requests: list[str] = []  # every address that was asked for

    def __enter__(self) -> "Browser":
        target = self._targets()[0]["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *what: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)
        os.close(self._in)
        os.close(self._out)

    def _targets(self) -> list[dict[str, Any]]:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
            if found:
                return found
            time.sleep(0.05)
        raise TimeoutError("chromium opened no page")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a command of the DevTools protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            if not select.select([self._in], [], [], PATIENCE)[0]:
                raise TimeoutError("chromium says nothing")
            more = os.read(self._in, 1 << 20)
            if not more:
                raise EOFError("chromium has ended")
            self._left += more
        message, _, self._left = self._left.partition(b"\0")
        event: dict[str, Any] = json.loads(message)
        self._note(event.get("method"), event.get("params", {}))
        return event

    def _note(self, method: str | None, params: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.said.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.said.append(f"{params['type']}: {params['args']}")
        elif method == "Log.entryAdded":
            self.said.append(f"{params['entry']['level']}: {params['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def open(self, path: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Loads a file and waits until it is drawn; on a window of so many CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=path.as_uri())
        while self.js("document.readyState + location.href") != "complete" + path.as_uri():
            time.sleep(0.02)
        self.settle()

    def js(self, expression: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        made = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in made:
            raise RuntimeError(json.dumps(made["exceptionDetails"]))
        return made["result"].get("value")

    def settle(self) -> None:
        """Waits for two frames: what was scheduled is drawn."""
        self.js("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")

    def click(self, x: float, y: float) -> None:
        """Moves the mouse to a place in the window, and clicks."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def click_in(self, selector: str, x: float = 0.5, y: float = 0.5) -> None:
        """Clicks on an element, scrolled into view, at so much of its width and height."""
        element = f"document.querySelector({json.dumps(selector)})"
        box = self.js(
            f"(() => {{ const e = {element}; e.scrollIntoView({{block: 'center', inline: 'nearest'}});"
            " const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()"
        )
        self.settle()
        self.click(box[0] + x * box[2], box[1] + y * box[3])

    def press(self, key: str, text: str = "") -> None:
        """Presses a key of that name."""
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def screenshot(self) -> bytes:
        """The page as it looks, all of it, as PNG."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])
