"""The story of one promotion, told with real runs: `make demo`.

Works in `.demo/` beside the repository's files: a copy of the example dbt project, an embedded warehouse, an Airflow of
its own. Run it again and it starts anew.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DEMO = ROOT / ".demo"
PROJECT = DEMO / "coffee_shop"
SOAK_SECONDS = 35
OURS = "[airflow.task.operators.airflow_dbt_promotion"

PROMOTION_YML = f"""\
version: 1
state: {DEMO / "promotion_states"}
environments:
  staging:    {{target: staging}}
  # A day or more in real life; seconds here, so that you can watch it pass.
  production: {{target: production, promotes_from: staging, min_days_in_staging: PT{SOAK_SECONDS}S}}
"""

CHANGED = ("coalesce(sum(lines.cups), 0) as cups", "cast(coalesce(sum(lines.cups), 0) as integer) as cups")
BROKEN = ("    drinks.kind,", "    drinks.kind, lines.cups as cups_at_once,")  # more than one row for a drink now


def main() -> int:
    """Tell the story; return 0 where every chapter ended as it should."""
    began = time.monotonic()
    print("Setting up: a copy of the example project, and an Airflow of its own.", flush=True)
    prepare()
    airflow("db", "migrate")
    chapter("1", "dbt builds staging, as it does in your project. We only take the evidence.")
    dbt("build", "--target", "staging")
    promote_cli("record", "--environment", "staging", expect=0)

    chapter("2", f"A promotion now is refused: production asks for a soak of {SOAK_SECONDS} s, and says until when.")
    promote_cli("promote", "--target-environment", "production", "--dry-run", "--models", "drinks", expect=3)

    chapter(
        "3", "The scheduled DAG waits for the soak, then promotes what may go. This is Airflow, running it for real."
    )
    airflow("dags", "test", "scheduled_promotion")
    promote_cli("status", "--environment", "production", expect=0)

    chapter(
        "4", "Somebody merges a change. The nightly run of production builds what was promoted, not what is merged."
    )
    edit("models/marts/drink_sales.sql", *CHANGED)
    promote_cli("run", "--environment", "production", expect=0)
    ask("describe select cups from production.drink_sales", expect="HUGEINT")

    chapter("5", "Staging builds the new version, and its clock starts again.")
    dbt("build", "--target", "staging", "--select", "drink_sales+")
    promote_cli("record", "--environment", "staging", expect=0)
    promote_cli("why", "drink_sales", "--target-environment", "production", expect=3)

    chapter("6", "Somebody cannot wait. The change goes early, with a reason, which stays on record for good.")
    early = ("--min-days-in-staging", "0", "--reason", "the report is due today")
    promote_cli("promote", "--target-environment", "production", "--models", "drink_sales", *early, expect=0)
    ask("describe select cups from production.drink_sales", expect="INTEGER")

    chapter("7", "It was a mistake: a dashboard cannot read the new type. One command takes production back.")
    promote_cli("rollback", "--environment", "production", "--reason", "the dashboard reads cups as HUGEINT", expect=0)
    ask("describe select cups from production.drink_sales", expect="HUGEINT")
    print("That version may not come in again, and nothing goes by itself until somebody says so:", flush=True)
    promote_cli("why", "drink_sales", "--target-environment", "production", expect=3)
    promote_cli("release", "--environment", "production", "--reason", "we know what it was", expect=0)

    chapter("8", "The next change fails a test in staging. What the version earned is void: it is revoked.")
    edit("models/marts/drink_sales.sql", *BROKEN)
    dbt("build", "--target", "staging", "--select", "drink_sales+", expect=1)
    promote_cli("record", "--environment", "staging", expect=0)
    promote_cli("promote", "--target-environment", "production", "--models", "drink_sales", expect=3)

    chapter("9", "Where everything stands, and what was done.")
    promote_cli("status", expect=0)
    promote_cli("history", "--environment", "production", expect=0)
    epilogue(time.monotonic() - began)
    return 0


def prepare() -> None:
    """Copy the project and make its surroundings."""
    shutil.rmtree(DEMO, ignore_errors=True)
    ignore = shutil.ignore_patterns("target", "logs", ".user.yml")
    shutil.copytree(HERE / "dbt" / "coffee_shop", PROJECT, ignore=ignore)
    (PROJECT / "target").mkdir()
    (DEMO / "airflow").mkdir()
    (DEMO / "dags").mkdir()
    shutil.copy2(HERE / "scheduled_promotion.py", DEMO / "dags")
    (PROJECT / "promotion.yml").write_text(PROMOTION_YML, encoding="utf-8")


def surroundings() -> dict[str, str]:
    """Return the environment of every command: the demo's own Airflow, nothing sent anywhere."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "AIRFLOW_HOME": str(DEMO / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DEMO / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
        "PYTHONWARNINGS": "ignore",
        "COFFEE_SHOP_DIR": str(PROJECT),
        "COFFEE_DB_DIR": str(PROJECT / "target"),
    }


def chapter(number: str, told: str) -> None:
    """Print what comes next."""
    print(
        f"\n\033[1m{number}. {textwrap.fill(told, 96)}\033[0m" if sys.stdout.isatty() else f"\n{number}. {told}",
        flush=True,
    )


def dbt(*arguments: str, expect: int = 0) -> None:
    """Run dbt on the demo's project."""
    run(["dbt", "--quiet", *arguments], expect)


def promote_cli(*arguments: str, expect: int) -> None:
    """Run the command line on the demo's project."""
    run(["dbt-promote", *arguments], expect)


def airflow(*arguments: str) -> None:
    """Run the demo's Airflow, and show what our own tasks log; Airflow tells more than a story needs."""
    run(["airflow", *arguments], 0, only=OURS)


def run(command: list[str], expect: int, *, only: str | None = None) -> None:
    """Print a command, run it, and insist on its exit code; `only` shows the lines of its log that hold a text."""
    print(f"$ {shlex.join(command)}", flush=True)
    piped = subprocess.PIPE if only is not None else None
    errors = subprocess.STDOUT if only is not None else None
    said: list[str] = []
    with subprocess.Popen(command, cwd=PROJECT, env=surroundings(), stdout=piped, stderr=errors, text=True) as process:
        for line in process.stdout or ():
            said.append(line)
            if only is not None and only in line and " test." not in line:
                print(f"  {line.split(']', 1)[1].split(only)[0].rstrip()}", flush=True)
        code = process.wait()
    if code != expect:
        raise SystemExit(f"{''.join(said)}\nthe demo expected exit code {expect} of this command, and got {code}")


def ask(sql: str, expect: str) -> None:
    """Ask the warehouse of production, show the answer, and insist on what is in it."""
    code = "import sys, duckdb; print(duckdb.connect(sys.argv[1], read_only=True).sql(sys.argv[2]))"
    file = str(PROJECT / "target" / "coffee_production.duckdb")
    print(f"$ duckdb coffee_production.duckdb {shlex.quote(sql)}", flush=True)
    asked = [sys.executable, "-c", code, file, sql]
    answer = subprocess.run(asked, check=True, env=surroundings(), stdout=subprocess.PIPE, text=True).stdout
    print(answer.rstrip(), flush=True)
    if f" {expect} " not in answer:
        raise SystemExit(f"the demo expected {expect} in this answer")


def edit(path: str, old: str, new: str) -> None:
    """Change one line of the demo's project, and show it."""
    file = PROJECT / path
    text = file.read_text(encoding="utf-8")
    if old not in text:
        raise SystemExit(f"{path} does not hold {old!r}")
    file.write_text(text.replace(old, new), encoding="utf-8")
    print(f"  {path}\n  - {old}\n  + {new}", flush=True)


def epilogue(seconds: float) -> None:
    """Say how to go on."""
    env = surroundings()
    names = ("AIRFLOW_HOME", "AIRFLOW__COSMOS__ENABLE_TELEMETRY", "COFFEE_SHOP_DIR", "COFFEE_DB_DIR")
    exports = " \\\n  ".join(f"{name}={env[name]}" for name in names)
    print(
        f"\nThat took {seconds:.0f} s. All of it lies in {DEMO}.\n"
        f"To look at it in the Airflow UI, start Airflow on it and open http://localhost:8080:\n\n"
        f"  {exports} \\\n  AIRFLOW__CORE__DAGS_FOLDER={HERE} AIRFLOW__CORE__LOAD_EXAMPLES=False \\\n"
        f"  AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS=True \\\n"
        f"  PATH={Path(sys.executable).parent}:$PATH airflow standalone\n"
    )


if __name__ == "__main__":
    sys.exit(main())
