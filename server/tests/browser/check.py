#!/usr/bin/env python3
"""Looks at the pages in a real browser, as people see them.

    cargo build -p runbook-server --example pages
    pip install playwright          # the driver only: the browser is CHROMIUM, or /usr/bin/chromium
    server/tests/browser/check.py TARGET/debug/examples/pages [FOLDER FOR PICTURES]

On a phone and on a desk, light and dark: nothing is wider than the screen, what is tapped is large
enough, texts stand out from their ground, nothing breaks the content policy. Then two people: one with a
script, who sees live what the other, on a phone without one, does.
"""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
SCREENS = {"phone": (360, 800), "desk": (1280, 900)}
LIVE = "() => document.getElementById('live').textContent === 'Live'"

TOO_SMALL = """() => [...document.querySelectorAll('a, button, summary, select, input:not([type=hidden])')]
    .filter((one) => !one.closest('p:not(.buttons), dd, li.log, .log, svg, footer, label, .skip, ol.plain, span.quiet'))
    .map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
    .filter(([, box]) => box.width && box.height && box.height < 40).map(([html]) => html)"""

# The ratio of the lightness of a text and its ground, as WCAG 2 has it.
TOO_FAINT = """() => {
    const parts = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
        .map((part) => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
    const ground = (one) => {
        for (; one; one = one.parentElement) {
            const colour = parts(getComputedStyle(one).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const one of document.querySelectorAll('body *:not(svg *)')) {
        const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.nodeValue.trim());
        if (!own || !one.getClientRects().length) continue;
        const [a, b] = [light(parts(getComputedStyle(one).color)), light(ground(one))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) found.push(one.outerHTML.slice(0, 80));
    }
    return found;
}"""


class Server:
    """The example, on a port of its own."""

    def __init__(self, program):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % probe.getsockname()[1]
        self.program = program
        self.said = ""

    def start(self):
        self.process = subprocess.Popen([self.program, self.address, "max"], stdout=subprocess.PIPE, text=True)
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit("the server did not start")
            self.said += line
            if line.strip() == f"http://{self.address}":
                return

    def stop(self):
        self.process.kill()
        self.process.wait()

    def place(self, name):
        found = re.search(rf"^{re.escape(name)}: (\S+)$", self.said, re.M).group(1)
        return found if found.startswith("http") else f"http://{self.address}{found}"


def pages(server):
    home = f"http://{server.address}"
    asked = server.place("waits for an approval")
    yield from ((name or "home", f"{home}/{name}") for name in
                ["", "runs", "approvals", "runbooks", "alerts", "incidents", "access", "audit", "login"])
    yield "run", asked.split("/approve")[0]
    yield "approve", asked
    yield "destructive", server.place("destructive")
    yield "by-hand", server.place("by hand")
    yield "choice", server.place("a choice")
    yield "simulated", server.place("simulated")
    yield "cancel", asked.split("/approve")[0] + "/cancel"
    yield "runbook", home + "/runbooks/high-latency"
    yield "start", home + "/runbooks/high-latency/start"
    yield "readiness", home + "/runbooks/high-latency/readiness"
    yield "alert", server.place("alert")
    yield "incident", server.place("incident")
    yield "declare", home + "/incidents/declare"


def look(browser, server, pictures, faults):
    for screen, (width, height) in SCREENS.items():
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = context.new_page()
            page.on("console", lambda message: faults.append(f"{page.url} says: {message.text}"))
            page.on("pageerror", lambda error: faults.append(f"{page.url} fails: {error}"))
            for name, address in pages(server):
                page.goto(address)
                about = f"{name}, {screen}, {scheme}"
                if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                    faults.append(f"{about}: wider than the screen")
                faults += [f"{about}: too small: {html}" for html in page.evaluate(TOO_SMALL)]
                faults += [f"{about}: too faint: {html}" for html in page.evaluate(TOO_FAINT)]
                if pictures:
                    page.screenshot(path=pictures / f"{name}-{screen}-{scheme}.png", full_page=True)
            context.close()


def work(browser, server, faults):
    """Ada, on a phone without a script, approves what Max is looking at."""

    def check(what, holds):
        if not holds:
            faults.append(what)

    asked = server.place("waits for an approval")
    # What waits for a change evaluates texts, which the policy forbids to pages.
    desk = browser.new_context(bypass_csp=True)
    run, decision = desk.new_page(), desk.new_page()
    run.goto(asked.split("/approve")[0])
    run.wait_for_function(LIVE)
    run.click("#step-preflight > summary")
    run.evaluate("window.kept = document.getElementById('step-preflight')")
    run.focus("#step-latency > summary")
    decision.goto(asked)
    decision.fill("#comment", "let me think")
    decision.wait_for_function(LIVE)

    phone = browser.new_context(viewport={"width": 360, "height": 800}, java_script_enabled=False)
    ada = phone.new_page()
    ada.goto(server.place("approver"))
    ada.goto(asked)
    ada.fill("#comment", "go")
    ada.click("button.large")
    began = time.monotonic()
    run.wait_for_function("() => document.querySelector('#head .pill').textContent.includes('succeeded')", polling=5)
    took = time.monotonic() - began
    print(f"the other one saw it after {took * 1000:.0f} ms")
    check("a change takes long to be seen", took < 2)
    check("an open step is closed by a change", run.evaluate("window.kept.isConnected && window.kept.open"))
    check("a change takes the focus away", run.evaluate("document.activeElement.parentElement.id") == "step-latency")
    decision.wait_for_selector("[data-moved]", state="visible")
    check("what was typed is gone", decision.input_value("#comment") == "let me think")

    run.keyboard.press("g")
    run.keyboard.press("i")
    run.wait_for_url("**/incidents")
    run.keyboard.press("?")
    check("the list of keys does not open", run.is_visible("#keys"))
    run.keyboard.press("Escape")
    run.wait_for_function(LIVE)
    server.stop()
    run.wait_for_function("() => document.getElementById('live').textContent.startsWith('Offline')")
    server.start()
    run.wait_for_function(LIVE)


def main():
    server = Server(sys.argv[1])
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    faults = []
    server.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            look(browser, server, pictures, faults)
            work(browser, server, faults)
            browser.close()
    finally:
        server.stop()
    for fault in faults:
        print(fault)
    print("%d passed, %d failed" % (0 if faults else 1, len(faults)))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
