"""YAML as plain data: what is read is maps, lists, texts and numbers, each said once, and never an object or code."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml
from pydantic import ValidationError

from agentlab.errors import InputError

MOST_LEVELS = 60
"""How deeply maps and lists may lie in each other."""

_TOLD_PROBLEMS = 3


def write_yaml(data: Any) -> str:
    """Plain data as YAML."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


def read_yaml(text: str) -> dict[str, Any]:
    """The map that the YAML holds.

    Raises:
        InputError: It is no YAML, no map, says something twice, or asks for more than plain data.
    """
    try:
        data = yaml.load(text, Loader=_Loader)  # noqa: S506  # a safe loader, made stricter
    except yaml.YAMLError as exc:
        raise InputError(f"this is no YAML that can be read: {exc}") from exc
    if not isinstance(data, dict):
        raise InputError(f"this YAML holds a {type(data).__name__}; it must be a map of settings")
    return data


def problems(exc: ValidationError) -> str:
    """What is wrong with data, in a line: where, and why."""
    found = [f"`{'.'.join(map(str, error['loc']))}`: {error['msg']}" for error in exc.errors(include_url=False)]
    more = f" and {len(found) - _TOLD_PROBLEMS} more" if len(found) > _TOLD_PROBLEMS else ""
    return "; ".join(found[:_TOLD_PROBLEMS]) + more


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        """Line ends that are none to most eyes would come back as blanks, were they not escaped in quotes."""
        odd = any(mark in data for mark in "\x85\u2028\u2029")
        return self.represent_scalar("tag:yaml.org,2002:str", data, style='"' if odd else None)


_Dumper.add_representer(str, _Dumper.represent_str)


class _Loader(yaml.SafeLoader):
    """Neither aliases, by which a few lines stand for gigabytes, nor keys that come twice, of which one is not seen."""

    _level = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it says `*` for what was said before; aliases are not read")
        if self._level > MOST_LEVELS:
            raise yaml.YAMLError(f"it has more than {MOST_LEVELS} levels")
        self._level += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._level -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.YAMLError(f"the key {twice[0]!r} comes twice in one map")
        return super().construct_mapping(node, deep=deep)
