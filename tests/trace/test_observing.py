from __future__ import annotations

import logging

from agentlab import Agent, ScriptedModel
from agentlab.trace.observing import observe


def hello():
    return Agent(ScriptedModel(["Hello."])).run("Hi").wait()


def test_an_observer_is_told_of_every_event_of_every_run_with_the_trace_that_holds_it():
    told = []
    stop = observe(lambda trace, event: told.append((trace.events[-1], event)))

    first, second = hello(), hello()
    stop()

    assert [event for _, event in told] == [*first.trace, *second.trace]
    assert all(last is event for last, event in told)


def test_an_observer_that_has_stopped_is_told_nothing_and_others_are():
    told = {"one": 0, "other": 0}

    def count(name):
        return lambda trace, event: told.update({name: told[name] + 1})

    stop_one, stop_other = observe(count("one")), observe(count("other"))
    stop_one()
    stop_one()
    run = hello()
    stop_other()

    assert told == {"one": 0, "other": len(run.trace)}


def test_an_observer_that_raises_harms_no_run_and_is_told_of_once_without_the_error_text(caplog):
    told = []

    def raise_always(trace, event):
        raise ValueError("Hi, my key is here")

    stops = [observe(raise_always), observe(lambda trace, event: told.append(event))]
    with caplog.at_level(logging.WARNING):
        run = hello()
    for stop in stops:
        stop()

    assert run.text == "Hello."
    assert run.stop_reason == "end_turn"
    assert told == list(run.trace)
    assert [record.getMessage() for record in caplog.records] == [
        "an observer of runs failed (ValueError) and may miss events; the runs go on"
    ]
