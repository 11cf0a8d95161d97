"""Pictures of runs and comparisons. Each takes and returns an `Axes`, and says in words when there is nothing to show.

What tells groups and kinds apart is never colour alone: line styles, markers, hatches and lightness differ too.
"""

from agentlab.analysis.plots.canvas import save_picture
from agentlab.analysis.plots.chunk_gaps import token_gaps
from agentlab.analysis.plots.cost_success import cost_vs_success
from agentlab.analysis.plots.first_token import ttft_ecdf
from agentlab.analysis.plots.forest_plot import forest
from agentlab.analysis.plots.prompt_growth import context_growth
from agentlab.analysis.plots.timeline import waterfall
from agentlab.analysis.plots.token_kinds import tokens_by_step

__all__ = [
    "context_growth",
    "cost_vs_success",
    "forest",
    "save_picture",
    "token_gaps",
    "tokens_by_step",
    "ttft_ecdf",
    "waterfall",
]
