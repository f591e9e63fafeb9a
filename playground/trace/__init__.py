"""The records of a run and what is loaded to make one: plain Python, versioned, no torch."""

from __future__ import annotations

from playground.trace.detail import (
    in_detail,
    kept,
    light,
)
from playground.trace.fields import (
    INFINITE,
)
from playground.trace.info import (
    DrafterInfo,
    ModelInfo,
    Progress,
    SessionInfo,
)
from playground.trace.records import (
    LINE_TYPES,
    RECORD_TYPES,
    SCHEMA,
    SCHEMA_VERSION,
    BeamsRecord,
    Detail,
    FinishReason,
    Footer,
    Header,
    Lane,
    NodeOrigin,
    ParityRecord,
    Pick,
    PlainRecord,
    PromptRecord,
    Record,
    RunSettings,
    StageMs,
    StepRecord,
    Summary,
    SweepCell,
    SweepRecord,
    TreeRecord,
    UnsentRecord,
)
from playground.trace.run import (
    NoRecords,
    Trace,
)

__all__ = [
    "INFINITE",
    "LINE_TYPES",
    "RECORD_TYPES",
    "SCHEMA",
    "SCHEMA_VERSION",
    "BeamsRecord",
    "Detail",
    "DrafterInfo",
    "FinishReason",
    "Footer",
    "Header",
    "Lane",
    "ModelInfo",
    "NoRecords",
    "NodeOrigin",
    "ParityRecord",
    "Pick",
    "PlainRecord",
    "Progress",
    "PromptRecord",
    "Record",
    "RunSettings",
    "SessionInfo",
    "StageMs",
    "StepRecord",
    "Summary",
    "SweepCell",
    "SweepRecord",
    "Trace",
    "TreeRecord",
    "UnsentRecord",
    "in_detail",
    "kept",
    "light",
]
