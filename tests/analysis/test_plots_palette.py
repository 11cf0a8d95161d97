"""Colours of each set are told apart in grey and by colour-blind eyes."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.colors import to_rgb

from agentlab.analysis.plots.palette import GROUPS, INK, MUTED, PAPER, PARTS, TIMES, TOKENS, VERDICTS, look_of_group
from agentlab.analysis.prompt_parts import PARTS as PARTS_OF_A_PROMPT
from agentlab.analysis.waterfall import Kind

Floats = npt.NDArray[np.float64]

XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
"""sRGB to XYZ under D65 (IEC 61966-2-1)."""

EYES = {
    "all cones": np.eye(3),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no blue cones": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""How colours are seen, in linear RGB: Machado, Oliveira and Fernandes (2009), severity 1."""

OKABE_ITO = ("#0072b2", "#e69f00", "#cc79a7", "#009e73", "#d55e00", "#56b4e9")
"""Well told apart in colour, and much less in grey: what the tests must refuse."""


def linear(color: str) -> Floats:
    encoded = np.array(to_rgb(color))
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def lab(rgb: Floats) -> Floats:
    """CIELAB of linear RGB: lightness from 0 to 100, and two axes of hue."""
    ratio = XYZ @ np.clip(rgb, 0, 1) / WHITE
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def lightness(color: str) -> float:
    return float(lab(linear(color))[0])


def least_step(colors: list[str]) -> float:
    """Between neighbours in grey."""
    return min(above - below for below, above in pairwise(sorted(map(lightness, colors))))


def least_distance(colors: list[str], eyes: str) -> float:
    seen = [lab(EYES[eyes] @ linear(color)) for color in colors]
    return min(float(np.linalg.norm(one - other)) for one, other in combinations(seen, 2))


SETS = {
    "groups": [look.color for look in GROUPS],
    "tokens": [TOKENS[kind]["facecolor"] for kind in ("cached input", "fresh input", "output", "reasoning")],
    "parts": [style["facecolor"] for style in PARTS.values()],
}


@pytest.mark.parametrize(("name", "step"), [("groups", 10), ("tokens", 15), ("parts", 8)])
def test_colours_are_steps_apart_in_grey(name: str, step: float) -> None:
    assert least_step(SETS[name]) >= step


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("name", SETS)
def test_colours_are_told_apart_by_all_eyes(name: str, eyes: str) -> None:
    assert least_distance(SETS[name], eyes) >= 12


def test_a_set_that_is_not_is_seen() -> None:
    assert least_step(list(OKABE_ITO)) < 8
    assert least_distance(["#d00000", "#6b6b00"], "no green cones") < 12
    assert least_distance(["#d00000", "#6b6b00"], "all cones") > 50


def test_lightness_is_that_of_cielab() -> None:
    assert lightness("#ffffff") == pytest.approx(100, abs=0.01)
    assert lightness("#777777") == pytest.approx(50, abs=0.1)


def test_kinds_of_one_lightness_differ_in_their_hatch() -> None:
    thick = {kind: style for kind, style in TIMES.items() if kind != "idle"}  # which is a thin line
    for styles in (thick, TOKENS, PARTS):
        for one, other in combinations(styles.values(), 2):
            apart = abs(lightness(one["facecolor"]) - lightness(other["facecolor"]))
            assert apart >= 8 or one.get("hatch") != other.get("hatch")


def test_verdicts_differ_in_their_markers() -> None:
    looks = [(style["marker"], style["markerfacecolor"] == PAPER) for style in VERDICTS.values()]

    assert len(set(looks)) == len(looks)


def test_writing_stands_out_from_paper() -> None:
    for color, least in ((INK, 7), (MUTED, 4.5)):  # contrast ratios of WCAG 2.2, AAA and AA
        luminance = float(XYZ[1] @ linear(color))
        assert 1.05 / (luminance + 0.05) >= least


def test_groups_differ_in_line_and_marker_too() -> None:
    assert len({look.marker for look in GROUPS}) == len({look.linestyle for look in GROUPS}) == len(GROUPS)
    many = [look_of_group(number) for number in range(30)]
    assert len({(look.color, look.linestyle, look.marker) for look in many}) == 30


def test_every_kind_has_its_style() -> None:
    assert list(PARTS) == list(PARTS_OF_A_PROMPT)
    assert set(TIMES) == set(Kind.__args__)  # type: ignore[attr-defined]
