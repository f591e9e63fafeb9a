"""Fetches a model from the Hugging Face hub, with progress, and says in a sentence why that failed.

Knows repositories and files. Does not know what a base model or a drafter is made of: the caller looks at the config
before the weights are fetched, and at the folder afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playground.config import PlaygroundError
from playground.sources.checkpoint import first_line

Progress = Callable[[float, str], None]

_WANTED = (".json", ".jinja", ".model", ".txt", ".tiktoken", ".md", ".safetensors")
_UNWANTED_FOLDERS = ("onnx/", "original/", "runs/", "metal/", "openvino/", "coreml/")


@dataclass(frozen=True)
class _Remote:
    name: str
    size: int


def fetch(repository: str, progress: Progress, check_config: Callable[[dict[str, Any], str], None]) -> Path:
    """The local folder of a hub repository's safetensors model, downloading what is not there yet.

    Args:
        check_config: called with config.json and the repository's id before any weights are fetched.

    Raises:
        PlaygroundError: missing, gated, without safetensors, unreachable, or no room on the disk.
    """
    from huggingface_hub import HfApi, hf_hub_download

    with _explained(repository):
        if (held := _held(repository)) is not None:
            progress(1.0, f"{repository} is downloaded")
            return held
        found = HfApi().model_info(repository, files_metadata=True)
        files = [_Remote(entry.rfilename, entry.size or 0) for entry in found.siblings or []]
        wanted = sorted((file for file in files if _is_wanted(file.name)), key=lambda file: file.size)
        _require_safetensors(repository, files)
        total, done, folder = max(1, sum(file.size for file in wanted)), 0, Path()
        if any(file.name == "config.json" for file in wanted):
            config = Path(hf_hub_download(repository, "config.json"))
            check_config(json.loads(config.read_text(encoding="utf-8")), repository)
        for file in wanted:
            told = f"Downloading {repository}: {file.name}"
            bar = _reporting_bar(done, total, told, progress)
            local = hf_hub_download(repository, file.name, tqdm_class=bar)
            if file.name == "config.json":
                folder = Path(local).parent
            done += file.size
            progress(min(1.0, done / total), told)
    return folder


def _held(repository: str) -> Path | None:
    """The folder of a repository that is wholly in the hub's cache already, asked without the network."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(repository, "config.json")
    if not isinstance(config, str):  # never asked for, or known to be missing
        return None
    folder = Path(config).parent
    index = folder / "model.safetensors.index.json"
    names = (
        set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        if index.is_file()
        else {"model.safetensors"}
    )
    return folder if all((folder / name).is_file() for name in names) else None


def _is_wanted(name: str) -> bool:
    return name.endswith(_WANTED) and not name.startswith(_UNWANTED_FOLDERS) and not name.startswith("consolidated")


def _require_safetensors(repository: str, files: list[_Remote]) -> None:
    if not any(file.name.endswith(".safetensors") for file in files):
        raise PlaygroundError(
            f"{repository} has no safetensors weights on the hub. Pickled weights are not loaded, since opening them "
            "can run code. Choose a repository with *.safetensors files."
        )


def _reporting_bar(before: int, total: int, message: str, progress: Progress) -> Any:
    """A tqdm class that tells the share of all bytes instead of drawing a bar; `before` were done with other files."""
    from tqdm.auto import tqdm

    class ReportingBar(tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, **named: Any) -> None:
            named.pop("name", None)
            self._count = int(named.get("initial", 0) or 0)
            super().__init__(*arguments, **{**named, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self._count += int(n or 0)
            progress(min(1.0, (before + self._count) / total), message)
            return None

    return ReportingBar


@contextmanager
def _explained(repository: str) -> Iterator[None]:
    """Say what the hub's errors mean."""
    from huggingface_hub import errors

    client_error: Any = getattr(errors, "HTTPError", errors.HfHubHTTPError)  # whichever HTTP client the hub came with
    network = (client_error, errors.HfHubHTTPError, errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)
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
    import errno

    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return PlaygroundError(f"The disk is full, so {repository} could not be downloaded. Free some space.")
    return PlaygroundError(
        f"{repository} could not be downloaded ({type(error).__name__}: {first_line(error)}). "
        "Check the connection, or choose a model folder on this machine."
    )
