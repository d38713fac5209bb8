"""Both ways of running dbt, on a real dbt and a real DuckDB file, must give the same outcomes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
import pytest
from msgspec import structs

from airflow_dbt_promotion.core.errors import (
    ConfigError,
    DbtError,
    DbtProjectError,
    EmptySelectionError,
    UnsupportedDbtError,
)
from airflow_dbt_promotion.core.orders import Progress
from airflow_dbt_promotion.dbt.interpreter import interpreter_of
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject, DbtRunner, IndirectSelection
from airflow_dbt_promotion.dbt.remote import SubprocessRunner
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.dbt.supported import check_supported, is_program, version_said

VALUE = 'blue, "red": {$HOME} \u00e9'
DBT = Path(sys.executable).parent / "dbt"
RUNNERS: dict[str, Callable[[], DbtRunner]] = {
    "in process": InProcessRunner,
    "dbt executable": lambda: SubprocessRunner(DBT),
    "another python": lambda: SubprocessRunner(Path(sys.executable)),
}


@pytest.fixture(params=["in process", "dbt executable"])
def runner(request: pytest.FixtureRequest) -> DbtRunner:
    return RUNNERS[request.param]()


@pytest.fixture
def project(tmp_path: Path) -> DbtProject:
    home = tmp_path / "shop"
    write(home / "dbt_project.yml", "name: shop\nversion: '1.0'\nprofile: shop\nvars: {colour: red}\n")
    write(
        home / "profiles.yml",
        """
        shop:
          target: dev
          outputs:
            dev: {type: duckdb, path: shop.duckdb, schema: "{{ env_var('SHOP_SCHEMA', 'dev') }}", threads: 2}
            prod: {type: duckdb, path: shop.duckdb, schema: prod}
        """,
    )
    write(
        home / "models" / "orders.sql",
        "select 1 as id, '{{ var(\"colour\") }}' as colour {% do print('noise on stdout') %}",
    )
    write(
        home / "models" / "schema.yml",
        """
        models:
          - name: orders
            columns: [{name: id, data_tests: [unique]}]
        """,
    )
    return DbtProject(project_dir=home, target_path=tmp_path / "target_dev")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")


def statuses(project: DbtProject) -> dict[str, str]:
    results = json.loads((project.target_path / "run_results.json").read_bytes())["results"]
    return {
        one["unique_id"].rsplit(".", 1)[0]
        if one["unique_id"].startswith("test.shop.unique")
        else one["unique_id"]: one["status"]
        for one in results
    }


def query(project: DbtProject, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(project.project_dir / "shop.duckdb", config={"threads": 1}) as connection:
        return connection.execute(sql).fetchall()


def test_a_build_that_succeeds(project: DbtProject, runner: DbtRunner, capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[Progress] = []
    before, folder = dict(os.environ), Path.cwd()

    outcome = runner.invoke(
        project, DbtInvocation(command=DbtCommand.BUILD, target="dev", vars={"colour": VALUE}), heard.append
    )

    assert (outcome.success, outcome.exit_code, outcome.messages) == (True, 0, ())
    assert capfd.readouterr().out == ""
    assert statuses(project) == {"model.shop.orders": "success", "test.shop.unique_orders_id": "pass"}
    assert [(one.node, one.status, one.index, one.total) for one in heard if one.node == "model.shop.orders"] == [
        ("model.shop.orders", "started", 1, 2),
        ("model.shop.orders", "success", 1, 2),
    ]
    assert [(one.status, one.index, one.total) for one in heard if one.node.startswith("test.")] == [
        ("started", 2, 2),
        ("pass", 2, 2),
    ]
    for name in ("manifest.json", "run_results.json", "partial_parse.msgpack", "dbt.log"):
        assert (outcome.target_path / name).is_file()
    assert not (project.project_dir / "logs").exists()
    assert not (project.project_dir / "target").exists()
    assert (dict(os.environ), Path.cwd()) == (before, folder)
    # The file is free again, for this process and for others.
    assert query(project, "select colour from dev.orders") == [(VALUE,)]
    other = f"import duckdb; duckdb.connect({str(project.project_dir / 'shop.duckdb')!r}).close()"
    assert subprocess.run([sys.executable, "-c", other], check=False).returncode == 0


def test_a_test_that_fails(project: DbtProject, runner: DbtRunner) -> None:
    write(project.project_dir / "models" / "orders.sql", "select 1 as id union all select 1")

    outcome = runner.invoke(project, DbtInvocation(command=DbtCommand.BUILD, target="dev"))

    assert (outcome.success, outcome.exit_code) == (False, 1)
    assert statuses(project) == {"model.shop.orders": "success", "test.shop.unique_orders_id": "fail"}
    assert "Got 1 result, configured to fail if != 0" in outcome.messages
    assert not any("\x1b" in message for message in outcome.messages)
    assert query(project, "select count(*) from dev.orders") == [(2,)]


def test_a_model_that_the_warehouse_refuses(project: DbtProject, runner: DbtRunner) -> None:
    write(project.project_dir / "models" / "orders.sql", "select * from nowhere")

    outcome = runner.invoke(project, DbtInvocation(command=DbtCommand.BUILD, target="dev"))

    assert (outcome.success, outcome.exit_code) == (False, 1)
    assert statuses(project) == {"model.shop.orders": "error", "test.shop.unique_orders_id": "skipped"}
    assert any("Table with name nowhere does not exist" in message for message in outcome.messages)
    assert query(project, "select 1") == [(1,)]


def test_a_project_that_does_not_parse(project: DbtProject, runner: DbtRunner) -> None:
    write(project.project_dir / "models" / "broken.sql", "select * from {{ ref('nowhere') }}")

    with pytest.raises(DbtProjectError, match=r"depends on a node named 'nowhere' which was not found"):
        runner.invoke(project, DbtInvocation(command=DbtCommand.BUILD, target="dev"))


def test_a_target_that_the_profile_lacks(project: DbtProject, runner: DbtRunner) -> None:
    with pytest.raises(DbtProjectError, match=r"does not have a target named 'nope'") as caught:
        runner.invoke(project, DbtInvocation(command=DbtCommand.PARSE, target="nope"))

    assert len(caught.value.words) == 1


def test_listing_gives_unique_ids(project: DbtProject, runner: DbtRunner, capfd: pytest.CaptureFixture[str]) -> None:
    asked = DbtInvocation(
        command=DbtCommand.LS, target="dev", select=("fqn:shop.order[s]",), indirect_selection=IndirectSelection.EMPTY
    )

    assert runner.invoke(project, asked).listed == ("model.shop.orders",)
    assert capfd.readouterr().out == ""


def test_the_environment_of_the_project_is_set_for_the_run_alone(project: DbtProject, runner: DbtRunner) -> None:
    given = DbtProject(
        project_dir=project.project_dir, target_path=project.target_path, env={"SHOP_SCHEMA": "elsewhere"}
    )

    runner.invoke(given, DbtInvocation(command=DbtCommand.RUN))

    assert query(project, "select table_schema from information_schema.tables") == [("elsewhere",)]
    assert "SHOP_SCHEMA" not in os.environ


def test_a_warehouse_that_cannot_be_opened_is_no_fault_of_the_project(project: DbtProject, runner: DbtRunner) -> None:
    (project.project_dir / "shop.duckdb").write_bytes(b"this is no database" * 1000)

    with pytest.raises(DbtError, match=r"(?s)ended with exit code 2.*not a valid DuckDB database") as caught:
        runner.invoke(project, DbtInvocation(command=DbtCommand.RUN, target="dev"))

    assert not any("Traceback" in word for word in caught.value.words)


def test_what_progress_raises_is_raised_after_the_run(project: DbtProject, runner: DbtRunner) -> None:
    def refuse(progress: Progress) -> None:
        raise LookupError(progress.node)

    with pytest.raises(LookupError, match=r"model.shop.orders"):
        runner.invoke(project, DbtInvocation(command=DbtCommand.RUN, target="dev"), refuse)

    assert query(project, "select count(*) from dev.orders") == [(1,)]


def test_dbt_of_another_python(project: DbtProject) -> None:
    outcome = RUNNERS["another python"]().invoke(project, DbtInvocation(command=DbtCommand.PARSE, target="prod"))

    assert outcome.success
    assert (
        json.loads((outcome.target_path / "manifest.json").read_bytes())["nodes"]["model.shop.orders"]["schema"]
        == "prod"
    )


def test_two_runs_in_one_process_take_turns(project: DbtProject, tmp_path: Path) -> None:
    targets = {"dev": tmp_path / "one", "prod": tmp_path / "two"}

    def run(target: str) -> None:
        given = DbtProject(project_dir=project.project_dir, target_path=targets[target])
        InProcessRunner().invoke(given, DbtInvocation(command=DbtCommand.RUN, target=target))

    threads = [threading.Thread(target=run, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(query(project, "select table_schema from information_schema.tables")) == [("dev",), ("prod",)]
    assert all((path / "run_results.json").is_file() for path in targets.values())


def test_nothing_selected_is_not_everything() -> None:
    with pytest.raises(EmptySelectionError):
        DbtInvocation(command=DbtCommand.BUILD, select=())


def test_a_project_folder_that_is_not_there(tmp_path: Path, runner: DbtRunner) -> None:
    with pytest.raises(ConfigError, match=r"no such folder"):
        runner.invoke(
            DbtProject(project_dir=tmp_path / "gone", target_path=tmp_path), DbtInvocation(command=DbtCommand.PARSE)
        )


def script(path: Path, text: str) -> Path:
    write(path, text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("command", [DbtCommand.RUN, DbtCommand.PARSE])
def test_an_executable_that_is_not_dbt(project: DbtProject, tmp_path: Path, command: DbtCommand) -> None:
    other = script(tmp_path / "something", "#!/bin/sh\necho hello from elsewhere\n")

    with pytest.raises(ConfigError, match=r"is not dbt: it ended with 0 and said: hello from elsewhere"):
        SubprocessRunner(other).invoke(project, DbtInvocation(command=command))


SUPPORTED = "dbt-core 1.10, 1.11 and 1.12"


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("dbt-fusion 2.0.0-preview.196", "2.0.0-preview.196"),
        ("dbt-core 2.0.0-alpha.4", "2.0.0-alpha.4"),
        ("dbt 2.0.9", "2.0.9"),
    ],
)
def test_dbt_2_is_refused_by_name(tmp_path: Path, said: str, version: str) -> None:
    with pytest.raises(UnsupportedDbtError, match=f"is dbt {re.escape(version)}, and this package runs {SUPPORTED}"):
        check_supported(said, "bin/dbt")
    assert is_program(Path(os.path.realpath(sys.executable)))
    assert not is_program(script(tmp_path / "dbt", "#!/bin/sh\n"))
    assert "Python" in str(version_said(Path(sys.executable)))
    assert version_said(tmp_path / "gone") is None


@pytest.mark.parametrize("installed", ["dbt==2.0.9", "dbt-core==2.0.0", "dbt-core==1.9.11 dbt-duckdb==1.9.0"])
def test_a_python_whose_dbt_cannot_be_run_is_refused_by_name(
    project: DbtProject, tmp_path: Path, installed: str
) -> None:
    python = script(tmp_path / "python3", f"#!/bin/sh\necho {installed}\n")
    with pytest.raises(UnsupportedDbtError, match=SUPPORTED):
        SubprocessRunner(python).invoke(project, DbtInvocation(command=DbtCommand.PARSE))


def test_an_executable_that_is_not_there_or_cannot_run(project: DbtProject, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("no program")
    nonsense = script(tmp_path / "nonsense", "\x01\x02")
    for executable, complaint in (
        (tmp_path / "gone", "is not there"),
        (tmp_path / "plain", "cannot be executed"),
        (nonsense, "cannot be started"),
    ):
        with pytest.raises(ConfigError, match=complaint):
            SubprocessRunner(executable).invoke(project, DbtInvocation(command=DbtCommand.PARSE))


def test_a_python_without_dbt(project: DbtProject, tmp_path: Path) -> None:
    bare = script(tmp_path / "python3", f'#!/bin/sh\nexec {sys.executable} -S -I "$@"\n')

    with pytest.raises(ConfigError, match=r"No module named 'dbt'"):
        SubprocessRunner(bare).invoke(project, DbtInvocation(command=DbtCommand.PARSE))


EVENT = '{"info": {"name": "FoundStats", "level": "info", "msg": ""}, "data": {}}'


def test_results_of_an_earlier_run_are_not_taken_for_this_one(project: DbtProject, tmp_path: Path) -> None:
    write(project.target_path / "run_results.json", "{}")
    forgetful = script(tmp_path / "dbt", f"#!/bin/sh\necho '{EVENT}'\n")

    with pytest.raises(DbtError, match=r"did not write .*run_results.json"):
        SubprocessRunner(forgetful).invoke(project, DbtInvocation(command=DbtCommand.RUN))


def test_dbt_that_is_killed(project: DbtProject, tmp_path: Path) -> None:
    killed = script(tmp_path / "dbt", f"#!/bin/sh\necho '{EVENT}'\nkill -9 $$\n")

    with pytest.raises(DbtError, match=r"was ended by signal 9"):
        SubprocessRunner(killed).invoke(project, DbtInvocation(command=DbtCommand.RUN))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_dbt_ends_with_us(project: DbtProject, tmp_path: Path, number: int) -> None:
    pids = tmp_path / "pids"
    endless = script(
        tmp_path / "dbt",
        f"#!/bin/sh\nsleep 600 &\necho $$ $! > {pids}.new\nmv {pids}.new {pids}\necho '{EVENT}'\nwait\n",
    )
    # Where tests run in the background of a shell, an interrupt is ignored, and children inherit that.
    program = f"""
    import signal
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from pathlib import Path
    from airflow_dbt_promotion.dbt.invocation import *
    from airflow_dbt_promotion.dbt.remote import SubprocessRunner
    project = DbtProject(project_dir=Path({str(project.project_dir)!r}), target_path=Path({str(project.target_path)!r}))
    SubprocessRunner(Path({str(endless)!r})).invoke(project, DbtInvocation(command=DbtCommand.RUN))
    """
    ours = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stderr=subprocess.DEVNULL)
    wait_until(pids.exists)
    ours.send_signal(number)

    assert ours.wait(30) != 0
    for pid in pids.read_text().split():
        wait_until(partial(is_gone, int(pid)))


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    """Say whether a process has ended; one that nobody has waited for yet counts as ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def parsed(project: DbtProject) -> Path:
    """Parse a project and return dbt's kept parse."""
    InProcessRunner().invoke(project, DbtInvocation(command=DbtCommand.PARSE, target="dev"))
    return project.target_path / "partial_parse.msgpack"


@pytest.mark.parametrize("name", RUNNERS)
def test_a_parse_that_is_handed_to_dbt_is_what_runs(project: DbtProject, tmp_path: Path, name: str) -> None:
    handed = parsed(project)
    workspace = tmp_path / "workspace"
    write(workspace / "dbt_project.yml", "name: shop\nversion: '1.0'\nprofile: shop\nvars: {colour: green}\n")
    (project.project_dir / "models" / "orders.sql").write_text("no SQL")
    elsewhere = structs.replace(
        project,
        project_dir=workspace,
        target_path=tmp_path / "t",
        working_dir=project.project_dir,
        profiles_dir=project.project_dir,
    )
    heard: list[Progress] = []

    outcome = RUNNERS[name]().invoke(
        elsewhere, DbtInvocation(command=DbtCommand.BUILD, target="dev", manifest=handed), heard.append
    )

    assert (outcome.success, outcome.exit_code) == (True, 0)
    assert query(project, "select colour from dev.orders") == [("green",)]
    assert ("model.shop.orders", "success") in [(one.node, one.status) for one in heard]
    assert sorted(path.name for path in workspace.iterdir()) == ["dbt_project.yml"]


@pytest.mark.parametrize("name", RUNNERS)
@pytest.mark.parametrize("data", [b"", b"not msgpack", b"\x81\xa5nodes\x81\xa1x\x01"])
def test_a_parse_that_dbt_cannot_read(project: DbtProject, tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / "handed.msgpack").write_bytes(data)
    invocation = DbtInvocation(command=DbtCommand.LS, target="dev", manifest=tmp_path / "handed.msgpack")
    with pytest.raises(DbtError, match="cannot read the parse that it was handed"):
        RUNNERS[name]().invoke(project, invocation)


@pytest.mark.parametrize("name", RUNNERS)
def test_a_test_that_fails_on_a_parse_that_was_handed_is_an_outcome(project: DbtProject, name: str) -> None:
    write(project.project_dir / "models" / "orders.sql", "select 1 as id union all select 1")
    invocation = DbtInvocation(command=DbtCommand.BUILD, target="dev", manifest=parsed(project))
    outcome = RUNNERS[name]().invoke(project, invocation)
    assert (outcome.success, outcome.exit_code) == (False, 1)
    assert any("unique_orders_id" in word for word in outcome.messages)


@pytest.mark.parametrize("name", RUNNERS)
def test_a_profile_without_the_target_is_its_fault_on_a_parse_that_was_handed(project: DbtProject, name: str) -> None:
    invocation = DbtInvocation(command=DbtCommand.BUILD, target="nowhere", manifest=parsed(project))
    with pytest.raises(DbtProjectError, match="nowhere"):
        RUNNERS[name]().invoke(project, invocation)


def test_versions_are_told_without_starting_dbt() -> None:
    told = InProcessRunner().versions()
    assert told is not None
    assert "dbt-core==1." in told
    assert "dbt-duckdb==1." in told
    assert {SubprocessRunner(DBT).versions(), SubprocessRunner(Path(sys.executable)).versions()} == {told}


def test_an_executable_that_does_not_say_its_python_runs_no_kept_code(project: DbtProject, tmp_path: Path) -> None:
    runner = SubprocessRunner(script(tmp_path / "dbt", f'#!/bin/sh\nexec "{DBT}" "$@"\n'))
    assert runner.versions() is None
    assert runner.invoke(project, DbtInvocation(command=DbtCommand.PARSE, target="dev")).success
    with pytest.raises(ConfigError, match="does not say which Python"):
        runner.invoke(project, DbtInvocation(command=DbtCommand.LS, target="dev", manifest=parsed(project)))


@pytest.mark.parametrize(
    "head",
    [
        "#!{python}\n",
        "#!{python} -sE\n",
        "#!/bin/sh\n'''exec' {python} \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\n'''exec' '{python}' \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_the_python_that_an_executable_names(tmp_path: Path, head: str) -> None:
    folder = tmp_path / ("far away" if "'{" in head or '"{' in head else "near")
    folder.mkdir()
    python = script(folder / "python3.11", "#!/bin/sh\n")
    assert interpreter_of(script(tmp_path / "dbt", head.format(python=python))) == python


def test_the_python_of_the_surroundings(tmp_path: Path) -> None:
    found = shutil.which("python3")
    assert found is not None
    assert interpreter_of(script(tmp_path / "dbt", "#!/usr/bin/env python3\n")) == Path(found)


def test_a_python_beside_an_executable(tmp_path: Path) -> None:
    dbt = script(tmp_path / "dbt", "\x7fELF")
    assert interpreter_of(dbt) is None
    python = script(tmp_path / "python3", "#!/bin/sh\n")
    assert interpreter_of(dbt) == python
