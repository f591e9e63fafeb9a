"""Which processor this is, what it can do, and how busy it is."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from kernels.native import build
from playground.base_model.native import NativeBase
from playground.session import Session

TELLING = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16", "asimddp")


def machine(session: Session) -> dict[str, Any]:
    """The processor with the flags that matter, and how the pair runs on it."""
    base = session.pair.base
    assert isinstance(base, NativeBase)
    return {
        **processor(),
        "kernels": base.kernels,
        "threads": base.model.library.threads,
        "format": base.format,
        "notes": list(session.info.notes),
        "shape": session.info.shape,
        "versions": dict(session.info.versions),
    }


def processor() -> dict[str, Any]:
    """Its name, and the flags that matter."""
    flags = set(build.processor_features().split())
    return {"processor": _name(), "flags": [flag for flag in TELLING if flag in flags]}


def load() -> float:
    """Processes that wanted to run, mean of the last minute; -1 where the system does not say."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else -1.0


def _name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
