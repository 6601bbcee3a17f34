"""The HTML page in a browser: opened, pointed at, zoomed, dragged, searched, and a picture taken of it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time

import networks
import numpy as np
import pytest

import tinygrad_jac as tj
from tinygrad_jac import viz

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
    pytest.mark.skipif(os.name != "posix", reason="speaks to Chromium through inherited pipes"),
]
OPTIONS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars"
)


class Browser:
    """Chromium's DevTools protocol over two pipes: JSON messages that end with a zero byte."""

    def __init__(self, folder):
        to_read, self.to = os.pipe()
        self.back, to_write = os.pipe()

        # The browser reads from 3 and writes to 4; a small program of its own puts the pipes there.
        plug = "import fcntl, os, sys; r, w = (fcntl.fcntl(int(a), fcntl.F_DUPFD, 10) for a in sys.argv[1:3]); "
        plug += "os.dup2(r, 3); os.dup2(w, 4); os.execv(sys.argv[3], sys.argv[3:])"
        command = [CHROMIUM, *OPTIONS.split(), f"--user-data-dir={folder}", "--remote-debugging-pipe", "about:blank"]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [sys.executable, "-c", plug, str(to_read), str(to_write), *command],
            stdin=quiet, stdout=quiet, stderr=quiet, pass_fds=(to_read, to_write),
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self.rest, self.number, self.session = b"", 0, None
        self.events = []
        (page,) = [t for t in self("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self.session = self("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self(f"{domain}.enable")
        self("Emulation.setDeviceMetricsOverride", width=1000, height=700, deviceScaleFactor=1, mobile=False)

    def __call__(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def receive(self):
        while b"\0" not in self.rest:
            self.rest += os.read(self.back, 1 << 16)
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def open(self, path, fragment=""):
        self.events = []
        self("Page.navigate", url="about:blank")
        self("Page.navigate", url=path.as_uri() + fragment)
        while self.ask("document.readyState + location.protocol") != "completefile:":
            pass

    def ask(self, expression):
        found = self("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def mouse(self, kind, x, y, **more):
        self("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def middle_of(self, selector):
        return self.ask(
            f"(() => {{ const b = document.querySelector({selector!r}).getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2] })()"
        )

    def complaints(self):
        return [e["params"] for e in self.events if e.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]

    def requests(self):
        return [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]

    def close(self):
        self.session = None
        self("Browser.close")
        self.process.wait(timeout=20)
        os.close(self.to)
        os.close(self.back)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    made = Browser(tmp_path_factory.mktemp("profile"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A residual block with all that can be shown; in it n9 is the op `linear` of `down`, whose weight is n7."""
    with np.errstate(all="ignore"):
        g = viz.graph(networks.Residual(8), tj.tensor(networks.array(4, 8)), jacobians=True, values=True)
    path = tmp_path_factory.mktemp("page") / "graph.html"
    g.to_html(path)
    return path, {v["name"]: v["id"] for v in g.to_dict()["vertices"]}


def card(browser):
    return browser.ask("getComputedStyle(card).display === 'none' ? '' : card.innerText")


def scale(browser):
    return browser.ask("stage.clientWidth / document.querySelector('#stage svg').viewBox.baseVal.width")


def eventually(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_it_opens_without_a_complaint_and_asks_for_nothing(browser, page):
    path, _ = page
    browser.open(path)
    assert browser.ask("document.querySelectorAll('.vertex').length") == len(
        json.loads(browser.ask("document.getElementById('graph').textContent"))["vertices"]
    )
    assert browser.complaints() == []
    assert browser.requests() == [path.as_uri()]


def test_pointing_at_a_box_shows_what_is_known(browser, page):
    path, ids = page
    browser.open(path)
    assert card(browser) == ""
    browser.mouse("mouseMoved", *browser.middle_of(f"#{ids['maximum']}"))
    text = card(browser)
    for said in ("maximum", "(4, 16) float32", "y=0", "∂ 64×64 diagonal", "networks.py:", "self.down("):
        assert said in text
    assert browser.ask("card.querySelectorAll('.glyph').length") == 1
    assert browser.ask("document.querySelectorAll('.vertex.near').length") == 3  # itself and two neighbours
    browser.mouse("mouseMoved", 5, 690)
    assert card(browser) == ""
    assert browser.ask("document.querySelectorAll('.near').length") == 0


def test_a_click_keeps_it_open(browser, page):
    path, ids = page
    browser.open(path)
    x, y = browser.middle_of(f"#{ids['down.weight']}")
    browser.mouse("mouseMoved", x, y)
    for kind in ("mousePressed", "mouseReleased"):
        browser.mouse(kind, x, y, button="left", clickCount=1)
    browser.mouse("mouseMoved", 5, 690)
    assert "down.weight" in card(browser)
    assert "128 parameters" in card(browser)
    browser("Input.dispatchKeyEvent", type="keyDown", key="Escape")
    assert card(browser) == ""


def test_the_wheel_zooms_where_the_pointer_is(browser, page):
    path, ids = page
    browser.open(path)
    x, y = browser.middle_of(f"#{ids['maximum']}")
    before = scale(browser)
    browser.mouse("mouseWheel", x, y, deltaX=0, deltaY=-400)
    assert scale(browser) > 1.5 * before
    assert browser.middle_of(f"#{ids['maximum']}") == pytest.approx([x, y], abs=1)
    browser.ask("document.getElementById('fit').click()")
    assert browser.ask(
        "[...document.querySelectorAll('.vertex')].every(e => { const b = e.getBoundingClientRect(); "
        "return b.left >= 0 && b.top >= 0 && b.right <= 1000 && b.bottom <= 700 })"
    )


def test_on_a_telephone(browser, page):
    path, ids = page
    narrow = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    wide = {**narrow, "width": 1000, "height": 700}
    inside = (
        "(e => { const b = e.getBoundingClientRect(); "
        "return b.left >= 0 && b.top >= bar.getBoundingClientRect().bottom && b.right <= innerWidth })"
    )
    browser.open(path)
    browser("Emulation.setDeviceMetricsOverride", **narrow)
    try:
        browser.ask("new Promise(requestAnimationFrame)")
        browser.ask("document.getElementById('fit').click()")
        assert browser.ask(f"[...document.querySelectorAll('.vertex')].every({inside})")
        browser.open(path)  # at the size of reading, from the top
        assert browser.ask(f"({inside})(document.querySelector('.vertex'))")
        browser.mouse("mouseMoved", *browser.middle_of(f"#{ids['x']}"))
        assert browser.ask("card.getBoundingClientRect().right") <= 390
        assert browser.ask("card.getBoundingClientRect().left") >= 0
    finally:
        browser("Emulation.setDeviceMetricsOverride", **wide)


def test_a_window_that_changes_shows_all_again_unless_one_moved(browser, page):
    path, _ = page
    wide = {"width": 1000, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    browser.open(path)
    before = scale(browser)
    try:
        browser("Emulation.setDeviceMetricsOverride", **{**wide, "height": 660})
        assert eventually(lambda: scale(browser) < before), "the page is told of the change a little later"
        browser("Emulation.setDeviceMetricsOverride", **wide)
        browser.mouse("mouseWheel", 500, 300, deltaX=0, deltaY=-400)
        moved = scale(browser)
        browser("Emulation.setDeviceMetricsOverride", **{**wide, "height": 400})
        assert scale(browser) == pytest.approx(moved)
    finally:
        browser("Emulation.setDeviceMetricsOverride", **wide)


def test_dragging_moves_the_page(browser, page):
    path, ids = page
    browser.open(path)
    x, y = browser.middle_of(f"#{ids['maximum']}")
    browser.mouse("mousePressed", 5, 600, button="left", clickCount=1)
    browser.mouse("mouseMoved", 60, 580, button="left", buttons=1)
    browser.mouse("mouseReleased", 60, 580, button="left", clickCount=1)
    assert browser.middle_of(f"#{ids['maximum']}") == pytest.approx([x + 55, y - 20], abs=1)


def test_finding(browser, page):
    path, ids = page
    browser.open(path)
    browser.ask(
        "(() => { const box = document.getElementById('find'); box.focus(); box.value = 'down.w'; "
        "box.dispatchEvent(new Event('input')) })()"
    )
    assert browser.ask("[...document.querySelectorAll('.found')].map(e => e.id)") == [ids["down.weight"]]
    browser("Input.dispatchKeyEvent", type="keyDown", key="Enter")
    assert "down.weight" in card(browser)


def test_a_link_to_a_box(browser, page):
    path, ids = page
    browser.open(path, f"#{ids['down.weight']}")
    assert "down.weight" in card(browser)
    assert browser.middle_of(f"#{ids['down.weight']}") == pytest.approx([500, 350], abs=2)


def test_no_text_leaves_its_box(browser, page, tmp_path):
    """Widths are estimated without a font: here is one."""
    browser.open(networks_page(tmp_path))
    out = browser.ask(
        "[...document.querySelectorAll('.vertex')].filter(v => { const b = v.firstChild.getBoundingClientRect(); "
        "return [...v.querySelectorAll('text')].some(t => { const c = t.getBoundingClientRect(); "
        "return c.left < b.left || c.right > b.right }) }).map(v => v.textContent)"
    )
    assert out == []


def networks_page(folder):
    path = folder / "gpt.html"
    networks.gpt().to_html(path)
    return path


def test_a_picture_of_it(browser, page):
    path, _ = page
    browser.open(path)
    data = base64.b64decode(browser("Page.captureScreenshot", format="png")["data"])
    assert data.startswith(b"\x89PNG")
    assert len(data) > 10_000
