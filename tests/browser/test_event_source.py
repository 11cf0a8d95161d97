"""A browser's `EventSource` reads the events of a run, is cut off, and goes on behind the last one it read."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from agentlab import Agent, ScriptedModel, call, tool
from agentlab.serve.app import create_app
from agentlab.serve.server import server_for
from tests.browser.jlab import CHROMIUM_FLAGS, find_chromium

pytestmark = pytest.mark.browser

TOKEN = "a-token-for-tests"  # noqa: S105  # of no use elsewhere

READ = """
([address, close]) => new Promise((resolve, reject) => {
  const read = [], source = new EventSource(address);
  source.onmessage = (message) => {
    if (message.data === "[DONE]") { source.close(); resolve(read); return; }
    read.push([message.lastEventId, JSON.parse(message.data).type]);
    if (read.length === close) { source.close(); resolve(read); }
  };
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) reject(new Error("refused")); };
})"""
START = """
async ([url, token]) => {
  const headers = {Authorization: `Bearer ${token}`, "Content-Type": "application/json"};
  const body = JSON.stringify({input: "hi"});
  return (await (await fetch(`${url}/v1/runs`, {method: "POST", headers, body})).json()).id;
}"""
RECONNECT = """
(address) => new Promise((resolve) => {
  let opened = 0;
  const source = new EventSource(address);
  source.onopen = () => { opened += 1; };
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) resolve(opened); };
})"""


@tool
def look_up(word: str) -> str:
    """Look a word up."""
    return word


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    agent = Agent(ScriptedModel([call("look_up", word="x"), "Done <b>here</b>."], ttft_s=0.05), [look_up])
    address: Future[str] = Future()
    server = server_for(create_app(agent, token=TOKEN), listening=address.set_result)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    yield address.result(timeout=30)
    server.should_exit = True
    thread.join(timeout=30)


@pytest.fixture(scope="module")
def page(url: str) -> Iterator[Any]:
    chromium = find_chromium()
    if chromium is None:
        told = "no Chromium: install one (`apt-get install chromium`), or set JLAB_CHROMIUM to its path"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        page = browser.new_page()
        page.goto(f"{url}/healthz")
        yield page
        browser.close()


def test_an_event_source_reads_a_run_to_its_end(page: Any, url: str) -> None:
    run_id = page.evaluate(START, [url, TOKEN])

    read = page.evaluate(READ, [f"{url}/v1/runs/{run_id}/events?token={TOKEN}", 0])

    assert [int(number) for number, _ in read] == list(range(len(read)))
    assert (read[0][1], read[-1][1]) == ("run_started", "run_finished")


def test_an_event_source_that_was_cut_off_goes_on_behind_what_it_read(page: Any, url: str) -> None:
    run_id = page.evaluate(START, [url, TOKEN])
    events = f"{url}/v1/runs/{run_id}/events?token={TOKEN}"

    first = page.evaluate(READ, [events, 5])
    rest = page.evaluate(READ, [f"{events}&last_event_id={first[-1][0]}", 0])

    assert [int(number) for number, _ in first + rest] == list(range(len(first + rest)))


def test_an_event_source_that_is_not_closed_comes_back_once_and_is_told_that_there_is_no_more(
    page: Any, url: str
) -> None:
    run_id = page.evaluate(START, [url, TOKEN])

    assert page.evaluate(RECONNECT, f"{url}/v1/runs/{run_id}/events?token={TOKEN}") == 1


def test_an_event_source_without_the_token_is_refused(page: Any, url: str) -> None:
    run_id = page.evaluate(START, [url, TOKEN])

    with pytest.raises(Exception, match="refused"):
        page.evaluate(READ, [f"{url}/v1/runs/{run_id}/events?token=wrong", 0])


def test_a_page_of_another_port_of_this_machine_may_read(page: Any, url: str) -> None:
    run_id = page.evaluate(START, [url, TOKEN])
    page.goto(f"{url.replace('127.0.0.1', 'localhost')}/healthz")

    read = page.evaluate(READ, [f"{url}/v1/runs/{run_id}/events?token={TOKEN}", 0])
    page.goto(f"{url}/healthz")

    assert read[-1][1] == "run_finished"
