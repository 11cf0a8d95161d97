"""Runs notebooks without a person and saves them with their outputs: `python -m tests.notebooks.save notebooks/0*`.

Cells that are tagged `nbval-skip` run with the others, but keep the outputs that were saved: a real model's words
differ from machine to machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def save(path: Path) -> None:
    """Run one notebook, and write it where it was."""
    notebook = nbformat.read(path, as_version=4)
    kept = {cell.id: cell.get("outputs") for cell in notebook.cells if "nbval-skip" in cell.metadata.get("tags", [])}
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": path.parent}})
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.id in kept:
            cell.outputs, cell.execution_count = kept[cell.id], None
    notebook.metadata = nbformat.from_dict(METADATA)
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        save(Path(name))
        print(name)
