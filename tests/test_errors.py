from __future__ import annotations

import copy
import inspect
import pickle
import re

import pytest

from agentlab import errors
from agentlab.errors import AgentLabError, ModelError

CLASSES = [c for _, c in inspect.getmembers(errors, inspect.isclass) if c.__module__ == errors.__name__]

SAMPLES: dict[type[AgentLabError], AgentLabError] = {
    errors.TimezoneError: errors.TimezoneError("Mars/Olympus"),
    errors.ToolArgumentError: errors.ToolArgumentError("search", "`limit` is '3'; it takes an int"),
    errors.UnknownToolError: errors.UnknownToolError("serch", ("search", "send_message")),
    errors.ToolRuleError: errors.ToolRuleError("pay", ("look",), ("Call `look` first.",)),
    errors.ToolTimeoutError: errors.ToolTimeoutError("search", 2.5),
    errors.NewerSchemaError: errors.NewerSchemaError("runs.db", 9, 1),
}


def sample(cls: type[AgentLabError]) -> AgentLabError:
    if issubclass(cls, ModelError):
        return cls("seen this, do that", status=429, retry_after_s=1.5, retryable=not cls.retryable)
    return SAMPLES.get(cls) or cls("seen this, do that")


def pickled_and_back(error: AgentLabError) -> AgentLabError:
    return pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_survives_pickling(cls: type[AgentLabError]) -> None:
    error = sample(cls)

    again = pickled_and_back(error)

    assert type(again) is cls
    assert str(again) == str(error)
    assert vars(again) == vars(error)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_can_be_copied(cls: type[AgentLabError]) -> None:
    assert str(copy.copy(sample(cls))) == str(sample(cls))


def test_notes_stay_with_a_model_error() -> None:
    error = ModelError("cut")
    error.add_note("while asking for step 3")

    assert pickled_and_back(error).__notes__ == ["while asking for step 3"]


def drawn_tree() -> dict[str, tuple[str, str | None]]:
    """Name -> (parent's name, builtin parent's name), as the module's docstring draws them."""
    tree: dict[str, tuple[str, str | None]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)(\w+Error)(?: \((\w+)\))?(?:  |$)", line)
        if found:
            depth = len(found[1]) // 4
            path[depth:] = [found[2]]
            tree[found[2]] = (path[depth - 1] if depth else "Exception", found[3])
    return tree


def test_the_docstring_draws_every_error_under_its_parents() -> None:
    bases = {c.__name__: [base.__name__ for base in c.__bases__] for c in CLASSES}

    assert {name: [base for base in parents if base] for name, parents in drawn_tree().items()} == bases


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_is_named_and_explained(cls: type[AgentLabError]) -> None:
    assert cls.__name__.endswith("Error")
    assert cls.__doc__


@pytest.mark.parametrize(
    ("error", "texts"),
    [
        (sample(errors.TimezoneError), ["'Mars/Olympus'", "'Europe/Paris'"]),
        (sample(errors.ToolArgumentError), ["`search`", "takes an int"]),
        (sample(errors.UnknownToolError), ["`serch`", "search, send_message"]),
        (errors.UnknownToolError("search", ()), ["available: none"]),
        (sample(errors.ToolTimeoutError), ["`search`", "2.5 s"]),
        (sample(errors.NewerSchemaError), ["runs.db", "version 9", "up to 1", "pip install -U agentlab-jupyter"]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_an_error_says_what_was_seen_and_what_to_do(error: AgentLabError, texts: list[str]) -> None:
    assert [text for text in texts if text not in str(error)] == []


def test_model_errors_have_codes_of_their_own() -> None:
    codes = [c.code for c in CLASSES if issubclass(c, ModelError) and c not in (ModelError, errors.ServerError)]

    assert len(set(codes)) == len(codes)
    assert errors.ServerError.code == ModelError.code == "INTERNAL_SERVER_ERROR"


def test_pace_is_retried_and_a_used_up_quota_is_not() -> None:
    assert errors.RateLimitError("slow down").retryable
    assert not errors.RateLimitError("quota", retryable=False).retryable
    assert errors.RateLimitError("slow down").retryable


def test_tool_errors_can_be_told_from_what_ends_a_run() -> None:
    shown_to_the_model = {c for c in CLASSES if issubclass(c, errors.ToolError)}

    assert not any(issubclass(c, ModelError) for c in shown_to_the_model)
    assert errors.ToolTimeoutError in shown_to_the_model
