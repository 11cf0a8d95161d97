"""Drive a real JupyterLab in headless Chromium, from Python.

    with JLab({"t.ipynb": notebook(["1 + 1"])}) as lab:
        lab.open_notebook("t.ipynb")
        lab.run_all()
        lab.wait_idle()
        assert lab.cell_output_text(0) == "2"

Needs playwright (the Python package), JupyterLab, and a Chromium on PATH or named by `JLAB_CHROMIUM`.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

CHROMIUM_FLAGS = [  # --no-sandbox: containers and root
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {  # quiet, and every cell in the DOM
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
}
GIVEN_UP = "[anywidget] Failed to initialize model."
"""What anywidget throws when a busy page needs over two seconds for a widget. Ours hear Python all the same."""
_X = "(window.__pwned=window.__pwned||[]).push('{}')".format
XSS_PAYLOADS = {
    "script": f"<script>{_X('script')}</script>",
    "img": f'<img src="x" onerror="{_X("img")}">',
    "svg": f'<svg onload="{_X("svg")}"></svg>',
    "details": f'<details open ontoggle="{_X("details")}">d</details>',
    "iframe": '<iframe srcdoc="<script>parent.__pwned=(parent.__pwned||[]).concat(&quot;iframe&quot;)'
    '</script>"></iframe>',
    "a-js": f'<a href="javascript:{_X("a-js")}">a-js</a>',
    "md-js": f"[md-js](javascript:{_X('md-js')})",
    "breakout": f'</pre></textarea></title></script></style>--><img src=x onerror="{_X("breakout")}">',
}
"""Text as a model or a tool may return it. Each payload that runs as code adds its name to `window.__pwned`."""


def notebook(cells: list[str | dict], *, kernel: str = "python3", **metadata: Any) -> dict:
    """A notebook from code strings (or ready cell dicts)."""
    made = [
        c
        if isinstance(c, dict)
        else {"cell_type": "code", "source": c, "metadata": {}, "outputs": [], "execution_count": None, "id": f"c{i}"}
        for i, c in enumerate(cells)
    ]
    spec = {"name": kernel, "display_name": kernel, "language": "python"}
    return {"cells": made, "metadata": {"kernelspec": spec, **metadata}, "nbformat": 4, "nbformat_minor": 5}


def find_chromium() -> str | None:
    names = map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))
    return os.environ.get("JLAB_CHROMIUM") or next(filter(None, names), None)


class JLab:
    """A JupyterLab (app="notebook": Notebook 7) and a page on it.

    `python` may be another environment's interpreter, for the server and its kernels; `kernels` are interpreters for
    kernels alone, by the name that a notebook asks for.
    """

    def __init__(
        self,
        files: dict[str, Any] | None = None,
        *,
        settings: dict | None = None,
        env: dict | None = None,
        python: str = sys.executable,
        kernels: dict[str, str] | None = None,
        app: str = "jupyterlab",
        timeout: float = 60,
        headless: bool = True,
        scale: float = 1,
    ):
        self.files, self.settings, self.env = files or {}, {**SETTINGS, **(settings or {})}, env or {}
        self.python = Path(python).absolute()  # not resolved: a venv's python is a link
        self.kernels = kernels or {}
        self.app, self.timeout, self.headless = app, timeout, headless
        self.scale = scale  # pixels of a picture for each of the page
        self.console, self.dialogs = [], []  # the page's errors; its alert, confirm and prompt texts
        self.given_up = []  # models that came late, see `GIVEN_UP`
        self.starts = 0  # of pages and kernels
        self.spare: tuple[str, int] | None = None  # a kernel's name and the count above: what may be used again

    def __enter__(self) -> Self:
        chromium = find_chromium()
        assert chromium, "no Chromium: install one, or set JLAB_CHROMIUM to its path"
        self.proc = self._pw = self._browser = None
        self.tmp = Path(tempfile.mkdtemp(prefix="jlab-"))
        self.root = self.tmp / "work"
        try:
            for name, body in self.files.items():
                self.add(name, body)
            for plugin, value in self.settings.items():
                package, _, name = plugin.rpartition(":")
                self._write(self.tmp / "settings" / package / f"{name}.jupyterlab-settings", value)
            for name, python in self.kernels.items():
                argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
                spec = {"argv": argv, "display_name": name, "language": "python"}
                self._write(self.tmp / "data" / "kernels" / name / "kernel.json", spec)
            self._start_server()
            self._start_browser(chromium)
        except BaseException:
            self.close()
            raise
        return self

    def add(self, name: str, body: Any) -> None:
        """One more file for the server, as if somebody had sent it."""
        self._write(self.root / name, body)

    @staticmethod
    def _write(path: Path, body: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body if isinstance(body, str) else json.dumps(body), encoding="utf-8")

    def _start_server(self) -> None:
        self.root.mkdir(exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        self.token, self.url = secrets.token_hex(16), f"http://127.0.0.1:{port}"
        dirs = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",
            "JUPYTER_RUNTIME_DIR": "runtime",
            "IPYTHONDIR": "ipython",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        }
        env = {**os.environ, **{k: str(self.tmp / v) for k, v in dirs.items()}, "JUPYTER_TOKEN": self.token, **self.env}
        env["PATH"] = str(self.python.parent) + os.pathsep + env.get("PATH", "")
        as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        log = self.tmp / "server.log"
        with log.open("wb") as out:
            self.proc = subprocess.Popen(
                [
                    str(self.python),
                    "-m",
                    self.app,
                    "--no-browser",
                    "--ServerApp.ip=127.0.0.1",
                    f"--ServerApp.port={port}",
                    "--ServerApp.port_retries=0",
                    f"--ServerApp.root_dir={self.root}",
                    "--expose-app-in-browser",
                    *as_root,
                ],
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=env,
                cwd=self.root,
            )
        end = time.monotonic() + self.timeout
        while not self._answers():
            if self.proc.poll() is not None or time.monotonic() > end:
                raise RuntimeError("JupyterLab did not start:\n" + log.read_text()[-4000:])
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/api/status?token={self.token}", timeout=2).close()  # noqa: S310  # ours
        except OSError:
            return False
        return True

    def _start_browser(self, chromium: str) -> None:
        from playwright.sync_api import sync_playwright

        self._pw = sync_playwright().start()
        self._browser = self._pw.chromium.launch_persistent_context(  # a new profile each time
            str(self.tmp / "profile"),
            executable_path=chromium,
            headless=self.headless,
            args=CHROMIUM_FLAGS,
            device_scale_factor=self.scale,
        )
        self._browser.set_default_timeout(self.timeout * 1000)
        self._watch(self._browser.pages[0] if self._browser.pages else self._browser.new_page())

    def _watch(self, page: Any) -> None:
        self.page = page
        self.page.set_viewport_size({"width": 1280, "height": 900})
        self.page.on("console", lambda m: self.console.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", self._error)
        self.page.on("dialog", self._dialog)

    def _error(self, error: Any) -> None:
        if str(error) == GIVEN_UP:
            self.given_up.append(GIVEN_UP)
        else:
            self.console.append(f"pageerror: {error}")

    def _dialog(self, dialog: Any) -> None:
        if dialog.type != "beforeunload":  # JupyterLab's own, about unsaved changes
            self.dialogs.append(dialog.message)
        dialog.accept()

    def close(self) -> None:
        for thing, stop in ((self._browser, "close"), (self._pw, "stop")):
            with contextlib.suppress(Exception):  # it may be gone already
                getattr(thing, stop, lambda: None)()
        if self.proc:
            self.proc.terminate()  # the server ends its kernels, then itself
            try:
                self.proc.wait(15)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        shutil.rmtree(self.tmp, ignore_errors=True)

    def __exit__(self, *exc: object) -> None:
        self.close()

    def js(self, body: str, arg: Any = None) -> Any:
        """Run an async JS body with `app`, `panel`, `nb` (the open notebook) and `arg` in scope."""
        scope = "const app = window.jupyterapp, panel = app.shell.currentWidget, nb = panel.content;"
        return self.page.evaluate(f"async (arg) => {{ {scope} {body} }}", arg)

    def open_notebook(self, path: str) -> None:
        self.path = path
        self._load()
        self.page.wait_for_function("""() => { const p = window.jupyterapp?.shell?.currentWidget, s = p?.sessionContext;
            return !!(p?.content?.model && p.content.widgets?.length && s?.isReady
                      && (!s.session || s.session.kernel?.status === 'idle')); }""")

    def _load(self) -> None:
        self.starts += 1
        where = "notebooks" if self.app == "notebook" else "lab/tree"
        self.page.goto(f"{self.url}/{where}/{self.path}?reset&token={self.token}")

    def set_cells(self, cells: list[str]) -> None:
        """Put other cells in the place of those of the open notebook; page and kernel stay."""
        self.js(
            "const shared = nb.model.sharedModel;"
            " shared.transact(() => { shared.deleteCellRange(0, shared.cells.length);"
            " shared.insertCells(0, arg.map((source) => ({cell_type: 'code', source, metadata: {trusted: true}}))); });"
            " return null;",
            cells,
        )

    def reopen(self) -> None:
        """Load the page anew, with the notebook as it was saved last."""
        self.open_notebook(self.path)

    def reopen_while_busy(self) -> None:
        """As `reopen`, while a cell runs; what the cell waits for is for the caller to see to."""
        self._load()
        self.cell(0).wait_for()

    def reopen_without_kernel(self) -> None:
        """Load the page anew, and let no kernel start."""
        refuse = lambda route: route.abort() if route.request.method == "POST" else route.continue_()  # noqa: E731
        self.page.route("**/api/sessions*", refuse)
        self._load()
        self.cell(0).wait_for()
        self.page.unroute("**/api/sessions*")

    def new_tab(self) -> None:
        """Close the browser's tab and open an empty one; the server and its kernels go on."""
        page = self._browser.new_page()
        self.page.close()
        self._watch(page)

    def restart_kernel(self) -> None:
        """A new kernel for the open notebook, which keeps its outputs."""
        self.starts += 1
        self.js("await panel.sessionContext.session.kernel.restart(); await panel.sessionContext.ready; return null;")

    def shut_kernels(self) -> None:
        """End all kernels, so that they do not slow down what comes next."""
        self.starts += 1
        self.js("await app.serviceManager.sessions.shutdownAll(); return null;")

    def answer_input(self, index: int, text: str) -> None:
        """Type into the box in which a cell asks by `input()`."""
        box = self.cell(index).locator("input.jp-Stdin-input").last  # one that was answered goes a little later
        box.fill(text)
        box.press("Enter")

    def _command(self, name: str) -> None:
        self.js(
            "window.__running = (window.__running ?? 0) + 1;"
            " app.commands.execute(arg).finally(() => { window.__running--; }); return null;",
            name,
        )

    def run_all(self) -> None:
        """Start every cell and return at once: act on widgets, then wait_idle."""
        self._command("notebook:run-all-cells")

    def run_cell(self, index: int) -> None:
        self.js("nb.deselectAll(); nb.activeCellIndex = arg; return null;", index)
        self._command("notebook:run-cell")

    def wait_idle(self, timeout: float | None = None) -> None:
        """Until what run_all and run_cell started has ended and the kernel is idle."""
        idle = "window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
        self.page.wait_for_function(f"() => !window.__running && {idle}", timeout=(timeout or self.timeout) * 1000)

    def cell(self, index: int) -> Any:
        """Playwright locator of a cell: go on with .get_by_role("button", name=...) and the like."""
        return self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell").nth(index)

    def cell_output_text(self, index: int) -> str:
        return "\n".join(self.cell(index).locator(".jp-OutputArea-output").all_inner_texts()).strip()

    def eval(self, expression: str) -> str:
        """repr() of an expression in the kernel (after the cell that runs now, like any execute request)."""
        v = self.js(
            "const f = panel.sessionContext.session.kernel.requestExecute({code: '', silent: true,"
            " user_expressions: {v: arg}}); return (await f.done).content.user_expressions.v;",
            expression,
        )
        if v["status"] != "ok":
            raise RuntimeError(f"{v['ename']}: {v['evalue']}")
        return v["data"]["text/plain"]

    def save(self) -> dict:
        self.js("await app.commands.execute('docmanager:save'); return null;")
        return json.loads((self.root / self.js("return panel.context.path;")).read_text(encoding="utf-8"))

    def screenshot(self, path: str | Path) -> None:
        self.page.screenshot(path=str(path))

    def xss_fired(self) -> list[str]:
        """Names of the XSS_PAYLOADS that ran, in any frame, after a click on each javascript: link."""
        for link in self.page.locator('a[href^="javascript:"]').all():
            link.dispatch_event("click")
        self.page.wait_for_timeout(500)
        hits = [h for f in self.page.frames for h in f.evaluate("() => [...(window.__pwned || [])]")]
        return sorted(set(hits) | {f"dialog: {d}" for d in self.dialogs})
