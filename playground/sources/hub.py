"""Fetches a model from the Hugging Face hub, all files of one commit, and says in a sentence why that failed.

Knows repositories and files. Does not know what a base model or a drafter is made of: the caller looks at the config
before the weights are fetched, and at the folder afterwards.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playground.config import PlaygroundError
from playground.progress import Report, told_bar
from playground.sources.checkpoint import first_line, weights_are_there

_PATTERNS: dict[str, Any] = {
    "allow_patterns": ["*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken", "*.md", "*.safetensors"],
    "ignore_patterns": ["onnx/*", "original/*", "runs/*", "metal/*", "openvino/*", "coreml/*", "consolidated*"],
}


def fetch(repository: str, report: Report, check_config: Callable[[dict[str, Any], str], None]) -> Path:
    """The local folder of a hub repository's safetensors model, downloading what is not there yet.

    The newest commit is asked for once and everything comes from it. What was fetched wholly before is used without
    asking the hub.

    Args:
        check_config: called with config.json and the repository's id before any weights are fetched.

    Raises:
        PlaygroundError: missing, gated, without safetensors, unreachable, or no room on the disk.
    """
    from huggingface_hub import resolve_revision, snapshot_download

    with _explained(repository):
        if (held := _held(repository)) is not None:
            report(1.0, f"{repository} is downloaded")
            return held
        report(0.0, f"Looking at {repository}")
        revision = resolve_revision(repository)
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns="config.json"))
        if (config := folder / "config.json").is_file():
            check_config(json.loads(config.read_text(encoding="utf-8")), repository)
        files = snapshot_download(repository, revision=revision, **_PATTERNS, dry_run=True)
        if not any(file.filename.endswith(".safetensors") for file in files):
            raise _no_safetensors(repository)
        bar = told_bar(_share_of([file.file_size or 0 for file in files if file.will_download], repository, report))
        snapshot_download(repository, revision=revision, **_PATTERNS, tqdm_class=bar)
        report(1.0, f"{repository} is downloaded")
    return folder


def _share_of(sizes: list[int], repository: str, report: Report) -> Callable[[float, str], None]:
    """Bytes of the library's bars as a share of all that is to be downloaded; its bars over files are left out."""
    total = max(1, sum(sizes))

    def tell(done: float, unit: str) -> None:
        if unit == "B":
            report(min(1.0, done / total), f"Downloading {repository}: {done / 1e6:,.0f} of {total / 1e6:,.0f} MB")

    return tell


def _held(repository: str) -> Path | None:
    """The folder of a repository that is wholly in the hub's cache already, asked without the network."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, local_files_only=True, **_PATTERNS))
    except LocalEntryNotFoundError:
        return None
    return folder if (folder / "config.json").is_file() and weights_are_there(folder) else None


def _no_safetensors(repository: str) -> PlaygroundError:
    return PlaygroundError(
        f"{repository} has no safetensors weights on the hub. Pickled weights are not loaded, since opening them "
        "can run code. Choose a repository with *.safetensors files."
    )


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """Say what the hub's errors mean."""
    from huggingface_hub import errors

    client_error: Any = getattr(errors, "HTTPError", errors.HfHubHTTPError)  # whichever HTTP client the hub came with
    network = (client_error, errors.HfHubHTTPError, errors.RevisionResolutionError, errors.XetDownloadError)
    try:
        yield
    except PlaygroundError:
        raise
    except errors.HFValidationError as error:
        raise PlaygroundError(
            f"{repository!r} is neither a folder on this machine nor a hub id. "
            "Name an existing folder, or an id such as HuggingFaceTB/SmolLM2-360M-Instruct."
        ) from error
    except errors.GatedRepoError as error:
        raise PlaygroundError(
            f"{repository} is gated: its owner wants you to accept terms first. Open "
            f"https://huggingface.co/{repository}, accept them, and log in with `hf auth login`."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise PlaygroundError(
            f"{repository!r} is neither a folder on this machine nor a repository on the hub. Check its spelling; "
            "a private repository needs `hf auth login` first."
        ) from error
    except (*network, OSError) as error:
        raise _unreachable(repository, error) from error


def _unreachable(repository: str, error: Exception) -> PlaygroundError:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return PlaygroundError(f"The disk is full, so {repository} could not be downloaded. Free some space.")
    return PlaygroundError(
        f"{repository} could not be downloaded ({type(error).__name__}: {first_line(error)}). "
        "Check the connection, or choose a model folder on this machine."
    )
