"""Chromium, driven through chromedriver, which speaks JSON over HTTP (W3C WebDriver), so no further library is needed."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None,
    reason="needs chromium and chromedriver on the path; install both to run the browser tests",
)

ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",  # the network, blocked
]


class Browser:
    """The few commands of WebDriver that these tests need."""

    def __init__(self, profile):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.root = f"http://127.0.0.1:{free.getsockname()[1]}"
        port = self.root.rsplit(":", 1)[1]
        self.process = subprocess.Popen(
            [DRIVER, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()
        options = {"binary": CHROMIUM, "args": [*ARGUMENTS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self.session = f"/session/{answer['sessionId']}"
        self._ask("POST", f"{self.session}/timeouts", {"script": 300_000})

    def _wait(self):
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"{self.root}/status"):
                    return
            except urllib.error.URLError:
                time.sleep(0.1)
        raise TimeoutError("chromedriver did not answer within 20 seconds")

    def _ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["value"]

    def command(self, name, **parameters):
        return self._ask("POST", f"{self.session}/goog/cdp/execute", {"cmd": name, "params": parameters})

    def open(self, path, width, address=""):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.log("performance")
        self._ask("POST", f"{self.session}/url", {"url": path.as_uri() + address})

    def run(self, script):
        return self._ask("POST", f"{self.session}/execute/sync", {"script": script, "args": []})

    def point(self, selector):
        """Moves the mouse onto the first element that a selector finds."""
        place = self.run(
            f"const found = document.querySelector({json.dumps(selector)}); found.scrollIntoView({{block: 'center'}});"
            "const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]"
        )
        self._mouse("mouseMoved", place)
        return place

    def click(self, selector):
        """Presses the mouse on the first element that a selector finds."""
        place = self.point(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self._mouse(kind, place, button="left", clickCount=1)

    def _mouse(self, kind, place, **more):
        self.command("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], **more)

    def press(self, *keys):
        """Presses keys one after another, named as in `KeyboardEvent.key`."""
        codes = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Tab": 9, "Enter": 13, "End": 35}
        for key in keys:
            for kind in ("keyDown", "keyUp"):
                text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
                self.command(
                    "Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], **text
                )

    def log(self, kind):
        return self._ask("POST", f"{self.session}/se/log", {"type": kind})

    def requests(self):
        messages = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        asked = [item["params"]["request"]["url"] for item in messages if item["method"] == "Network.requestWillBeSent"]
        return {address for address in asked if not address.startswith("data:")}

    def close(self):
        try:
            self._ask("DELETE", self.session)
        finally:
            self.process.terminate()
            self.process.wait()
