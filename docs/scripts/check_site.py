"""Look at every page of the built site as a reader's browser does: ``python docs/scripts/check_site.py [FOLDER]``.

In headless Chromium, on a wide screen and on a phone, each page has to typeset its formulas, to ask the network for
nothing, to say no error, and to be no wider than the window: what is wider scrolls in its own box. Without Chromium
what the files themselves show is checked: that links lead somewhere, and that nothing comes from another host.

``--shots FOLDER`` keeps pictures of the pages, light and dark, on both screens; names of pages may follow.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]
SCREENS = {"desk": (1280, 900), "phone": (390, 844)}
FLAGS = """
    --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --hide-scrollbars --remote-debugging-pipe
"""
# Formulas typeset, or not, or with red where a command is unknown; what sticks out of the window and is in no box of
# its own (on a phone the theme would move the whole article).
LOOK = """(async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  await document.fonts.ready;
  const width = document.documentElement.clientWidth;
  const boxed = e => { for (let p = e.parentElement; p && p.tagName !== 'ARTICLE'; p = p.parentElement)
    if (getComputedStyle(p).overflowX !== 'visible') return true; return false; };
  const words = e => (e.textContent || '').trim().replace(/\\s+/g, ' ').slice(0, 50);
  const out = [...document.querySelectorAll('article *')].filter(e => {
    const r = e.getBoundingClientRect();
    return r.width > 0 && r.right > width + 1 && !boxed(e); });
  return {
    width, scroll: document.documentElement.scrollWidth,
    out: out.slice(0, 3).map(e => e.tagName + ' ' + words(e)),
    raw: [...document.querySelectorAll('.math')].filter(e => !e.querySelector('mjx-container')).length,
    formulas: document.querySelectorAll('mjx-container').length,
    errors: [...document.querySelectorAll('mjx-container [data-mml-node=merror], mjx-container [fill=red]')].map(
      e => words(e.closest('.math'))),
    broken: [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src),
    nameless: [...document.querySelectorAll('article img')].filter(i => !i.alt).map(i => i.src),
  };
})()"""


class Links(HTMLParser):
    """What a page names, what it links to, and what it loads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.names.update(filter(None, (given.get("id"), given.get("name"))))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        elif tag != "a":
            self.loaded += [value for key, value in attrs if key in ("src", "href") and value]


def faults_of_files(site: Path) -> Iterator[str]:
    """Links that lead nowhere; anything that another host would have to serve."""
    pages = {path: Links(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        where = path.relative_to(site)
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loaded and parts.scheme != "data":
                    yield f"{where} loads {link}"
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                yield f"{where} links to {link}, which is not there"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                yield f"{where} links to {link}: no such place on that page"


class Chromium:
    """A browser, spoken to in its own protocol over a pipe."""

    def __init__(self, program: str, profile: str) -> None:
        down, up = os.pipe(), os.pipe()

        def plug() -> None:  # the browser reads from 3 and writes to 4
            read, write = os.dup(down[0]), os.dup(up[1])
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            [program, *FLAGS.split(), f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=plug, pass_fds=(3, 4, down[0], up[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(down[0])
        os.close(up[1])
        self.to, self.back = os.fdopen(down[1], "wb", buffering=0), os.fdopen(up[0], "rb")
        self.count, self.events = 0, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    session: str | None = None

    def receive(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self.back.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("Chromium has gone")
            text += byte
        return json.loads(text)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.to.write(json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self.count:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, page: Path, screen: str, scheme: str = "light") -> dict[str, Any]:
        """Show a page; what `LOOK` saw there, and what the browser said meanwhile."""
        width, height = SCREENS[screen]
        phone = screen == "phone"
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1,
                  mobile=phone)  # fmt: skip
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self.receive())
        seen = self.call("Runtime.evaluate", expression=LOOK, awaitPromise=True, returnByValue=True)["result"]["value"]
        seen["said"] = [
            e["params"]["entry"]["text"] for e in self.events if e.get("method") == "Log.entryAdded"
            and e["params"]["entry"]["level"] == "error"
        ] + [
            e["params"]["exceptionDetails"].get("exception", {}).get("description", "an exception")
            for e in self.events if e.get("method") == "Runtime.exceptionThrown"
        ]  # fmt: skip
        asked = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        seen["asked"] = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
        return seen

    def shot(self, path: Path, whole: bool = True) -> None:
        """A picture of what is shown, of the whole length of the page."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 12000), "scale": 1}
        made = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **({"clip": clip} if whole else {}))
        path.write_bytes(base64.b64decode(made["data"]))

    def close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self.session = None
            self.call("Browser.close")
        self.to.close()
        self.back.close()
        self.process.wait(10)


def faults_of(seen: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a page as it was seen."""
    if seen["scroll"] > seen["width"]:
        yield f"is {seen['scroll']} wide in a window of {seen['width']}"
    sentences = {
        "out": "sticks out of the window: {}", "errors": "has a formula with an error: {}",
        "broken": "lacks a picture: {}", "nameless": "has a picture without a text: {}",
        "said": "makes the browser say: {}", "asked": "asks the network for {}",
    }  # fmt: skip
    for key, sentence in sentences.items():
        yield from (sentence.format(what) for what in seen[key])
    if seen["raw"]:
        yield f"leaves {seen['raw']} formulas as they are typed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", nargs="?", type=Path, default=ROOT / "docs/_build/html")
    parser.add_argument("--shots", type=Path, help="folder of the pictures")
    parser.add_argument("--pages", nargs="*", help="only these, as book/index")
    given = parser.parse_args()
    wrong = list(faults_of_files(given.site))
    pages = sorted(p for p in given.site.rglob("*.html") if given.pages is None or
                   p.relative_to(given.site).with_suffix("").as_posix() in given.pages)  # fmt: skip
    if not pages:
        parser.error(f"no pages in {given.site}")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    formulas = 0
    if program is None:
        print("no Chromium on this machine: the pages are not looked at, only their links")
    else:
        with tempfile.TemporaryDirectory() as profile:
            browser = Chromium(program, profile)
            try:
                for page in pages:
                    name = page.relative_to(given.site).with_suffix("").as_posix()
                    for screen in SCREENS:
                        seen = browser.open(page, screen)
                        formulas += seen["formulas"]
                        wrong += [f"{name} ({screen}) {fault}" for fault in faults_of(seen)]
                        for scheme in ("light", "dark") if given.shots else ():
                            given.shots.mkdir(parents=True, exist_ok=True)
                            browser.open(page, screen, scheme)
                            browser.shot(given.shots / f"{name.replace('/', '-')}-{screen}-{scheme}.png")
            finally:
                browser.close()
    print(*wrong, sep="\n")
    print(f"{len(pages)} pages, {formulas // 2} formulas, {len(wrong)} faults")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
