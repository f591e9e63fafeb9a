"""Measurements through a session: sweeps over beam shapes, benchmarks over prompt sets. Knows no screen."""

from __future__ import annotations

from playground.bench.shapes import sweep

__all__ = ["sweep"]
