"""Run dbt on a parse that was kept, in a Python that has dbt and maybe nothing of ours.

`dbt.remote` has another interpreter execute this file by its path: `python handing.py <parse> <dbt's arguments>`. So it
imports the standard library and dbt alone. It ends as dbt's command line does, or with UNREADABLE where dbt cannot read
the parse.
"""

from __future__ import annotations

import sys
from pathlib import Path

UNREADABLE = 70
"""The exit code where dbt cannot read the parse."""


def main(arguments: list[str]) -> None:
    """Load the parse as dbt does, and hand it to dbt's command line."""
    from dbt.cli.main import cli  # noqa: PLC0415 - costs two seconds
    from dbt.contracts.graph.manifest import Manifest  # noqa: PLC0415
    from dbt.parser import manifest as parser  # noqa: PLC0415

    path, *said = arguments
    try:
        # The name is misspelt in dbt.
        manifest = Manifest.from_msgpack(Path(path).read_bytes(), decoder=parser.extended_mashumuro_decoder)
        manifest.build_flat_graph()
    except Exception as error:  # noqa: BLE001 - whatever dbt makes of bytes that are no parse of its own
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(UNREADABLE)
    cli(said, prog_name="dbt", obj={"manifest": manifest})


if __name__ == "__main__":
    sys.path.pop(0)  # this file's folder: its modules are not meant to be found by these names
    main(sys.argv[1:])
