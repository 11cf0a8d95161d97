"""Pictures of runs and comparisons. Each takes and returns an `Axes`, and says in words when there is nothing to show.

What tells groups and kinds apart is never colour alone: line styles, markers, hatches and lightness differ too.
"""

from agentlab.analysis.plots.canvas import save_picture
from agentlab.analysis.plots.timeline import waterfall

__all__ = ["save_picture", "waterfall"]
