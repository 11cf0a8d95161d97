"""What an agent has that differs from the one that was recorded: told before a run goes on with it."""

from __future__ import annotations

from collections.abc import Collection

from agentlab.agent.settings import AgentSettings
from agentlab.trace.events import RunStarted


class AgentDiffersWarning(UserWarning):
    """A run is resumed with an agent that differs from the recorded one."""


def differences_between(recorded: RunStarted, settings: AgentSettings, *, but: Collection[str] = ()) -> tuple[str, ...]:
    """Each difference in words, but for those of some settings; empty when there is none."""
    found = [
        f"{name} was {old!r}, is {new!r}"
        for name, old, new in (
            ("model", recorded.model, settings.model.name),
            ("provider", recorded.provider, settings.model.provider),
            ("protocol", recorded.protocol, settings.protocol.name),
        )
        if old != new
    ]
    before, after = recorded.settings, settings.as_data()
    found += [f"setting `{name}` differs" for name in after if name not in but and before.get(name) != after[name]]
    tools = {tool.name: tool for tool in recorded.tools}
    found += [f"tool `{name}` is gone" for name in tools if name not in settings.offered]
    found += [f"tool `{name}` is new" for name in settings.offered if name not in tools]
    found += [
        f"tool `{name}` has another schema or description"
        for name, tool in tools.items()
        if name in settings.offered and settings.offered[name] != tool
    ]
    return tuple(found)
