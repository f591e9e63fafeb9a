"""A table as Parquet, with the same columns as its comma-separated text; lists stay lists. The metadata of a column's
field says where it comes from, under `kind` and `source`. Needs pyarrow, which is no part of this playground's
installation. Knows tables, no records."""

from __future__ import annotations

import io
from typing import Any

from playground.config import PlaygroundError
from playground.export.tables import Table


def to_parquet(table: Table) -> bytes:
    """The whole table.

    Raises:
        PlaygroundError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise PlaygroundError(
            "Parquet needs pyarrow, which is not installed here. Install it (pip install pyarrow), or export csv: "
            "its columns are the same."
        ) from error
    columns: dict[str, list[Any]] = {name: [] for name in table.columns}
    for row in table.rows():
        for name, values in columns.items():
            values.append(row[name])
    arrays = pyarrow.table(columns)
    fields = [
        field.with_metadata({"kind": table.sources[field.name].kind, "source": table.sources[field.name].words})
        for field in arrays.schema
    ]
    stream = io.BytesIO()
    pyarrow.parquet.write_table(arrays.cast(pyarrow.schema(fields)), stream)
    return stream.getvalue()
