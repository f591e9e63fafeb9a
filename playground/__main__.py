"""`python -m playground VERB`: see `playground.cli`."""

from __future__ import annotations

from playground.cli import main
from playground.cli.interrupts import end

if __name__ == "__main__":
    end(main())
