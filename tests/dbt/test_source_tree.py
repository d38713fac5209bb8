"""The sources at hand: exactly what dbt reads, nothing secret, and only if dbt parsed the very same."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import SourcesError
from airflow_dbt_promotion.core.identity import ReleaseId
from airflow_dbt_promotion.core.kept import Provenance, Sources
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts
from airflow_dbt_promotion.dbt.commit import commit_of
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.dbt.source_tree import sources_of
from airflow_dbt_promotion.dbt.verification import keep_run, verified
from airflow_dbt_promotion.stores import open_releases
from airflow_dbt_promotion.stores.blobs import FileBlobs
from airflow_dbt_promotion.stores.releases import BlobReleaseStore

DBT_COLLAPSES_WHITE_SPACE = tuple(map(int, version("dbt-core").split(".")[:2])) >= (1, 12)
PROJECT_YML = "name: shop\nversion: '1.0'\nprofile: shop\n"
PROFILES = "shop:\n  target: dev\n  outputs:\n    dev: {type: duckdb, path: ':memory:', schema: dev}\n"
FILES = {
    "dbt_project.yml": PROJECT_YML,
    "packages.yml": "packages:\n  - local: tools\n",
    "models/orders.sql": "select 1 as id -- {{ var('days', 7) }}\r\n",
    "models/m arts/ä.sql": "select 'ü' as name",
    "models/empty.sql": "",
    "models/target/logs.sql": "select 1 as id",
    "models/schema.yml": "models:\n  - name: orders\n    columns:\n      - name: id\n        data_tests: [not_null]\n",
    "models/said.sql": "select 'a b' as x,\n    '{{ greet() }}' as y\n",
    "models/docs.md": "{% docs orders %}Orders of a  day.\n\nAll.{% enddocs %}\n",
    "macros/greet.sql": "{% macro greet() %}\nhello  you\n{% endmacro %}\n\n{% macro bye() %}bye{% endmacro %}\n",
    "tests/fixtures/days.csv": "id,name\n1,a b\n",
    "macros/cents.sql": "{% macro cents() %}100{% endmacro %}",
    "seeds/lands.csv": "code,name\nde,Germany\n",
    "tests/generic/odd.sql": "{% test odd(model) %}select 1 as x from {{ model }} where false{% endtest %}",
    "tools/dbt_project.yml": "name: tools\nversion: '1.0'\n",
    "tools/macros/round.sql": "{% macro rounded(x) %}round({{ x }}){% endmacro %}",
}
SECRETS = {
    "profiles.yml": PROFILES,
    ".env": "PASSWORD=secret",
    "models/.env": "PASSWORD=secret",
    "models/.hidden.sql": "select 1",
    "models/notes.txt": "secret",
    "target/manifest.json": "{}",
    "logs/dbt.log": "secret",
    "shop.duckdb": "rows",
}
KEPT = {
    *(path for path in FILES if not path.startswith("tools/")),
    "dbt_packages/tools/dbt_project.yml",
    "dbt_packages/tools/macros/round.sql",
}
ABOUT = Provenance(kept_at=datetime(2026, 7, 24, tzinfo=UTC))


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a project with a local package, as `dbt deps` installs it, and with things that nobody should keep."""
    folder = tmp_path / "shop"
    for path, text in {**FILES, **SECRETS}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text.encode())
    (folder / "dbt_packages").mkdir()
    (folder / "dbt_packages" / "tools").symlink_to(folder / "tools", target_is_directory=True)
    return folder


def parse(shop: Path, target_path: Path | None = None) -> Path:
    """Parse with dbt; return the target folder."""
    target = target_path or shop / "target" / "parse"
    project = DbtProject(project_dir=shop, target_path=target, profiles_dir=shop)
    assert InProcessRunner().invoke(project, DbtInvocation(command=DbtCommand.PARSE)).success
    return target


def why(shop: Path, target: Path, *kept_paths: str, project_dir: Path | None = None) -> str | None:
    """Return why the sources at hand are not those that were parsed, None where they are."""
    at_hand = project_dir or shop
    release = DbtArtifacts(at_hand).release(target)
    found = verified(target, at_hand, release, kept_paths)
    return found if isinstance(found, str) else None


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_what_dbt_reads_is_kept_and_nothing_secret(shop: Path) -> None:
    found = sources_of(shop)
    assert set(found.tree.files) == KEPT
    for path, digest in found.tree.files.items():
        assert hashlib.sha256(found.read(path)).hexdigest() == digest


def test_the_id_is_of_the_content_not_of_the_place(shop: Path, tmp_path: Path) -> None:
    shutil.copytree(shop, tmp_path / "copy", symlinks=False)
    assert sources_of(tmp_path / "copy").tree.id == sources_of(shop).tree.id
    (shop / "models/orders.sql").write_text("select 2 as id")
    assert sources_of(tmp_path / "copy").tree.id != sources_of(shop).tree.id


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["models"], {p for p in KEPT if p.startswith("models/") or p.endswith("dbt_project.yml")}),
        (["**/*.sql"], {p for p in KEPT if p.endswith((".sql", "dbt_project.yml"))}),
        (
            ["models/*.sql"],
            {
                "models/orders.sql",
                "models/said.sql",
                "models/empty.sql",
                "dbt_project.yml",
                "dbt_packages/tools/dbt_project.yml",
            },
        ),
        (
            ["mod?ls/orders.sql", "seeds/"],
            {"models/orders.sql", "seeds/lands.csv", "dbt_project.yml", "dbt_packages/tools/dbt_project.yml"},
        ),
    ],
)
def test_kept_paths_narrow_what_is_kept(shop: Path, patterns: list[str], left: set[str]) -> None:
    assert set(sources_of(shop, patterns).tree.files) == left


def test_what_dbt_ignores_is_told_by_a_file_that_is_always_kept(shop: Path) -> None:
    for path in (".dbtignore", "tools/.dbtignore"):
        (shop / path).write_text("models/empty.sql\n")
    assert set(sources_of(shop, ["seeds"]).tree.files) >= {".dbtignore", "dbt_packages/tools/.dbtignore"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_what_dbt_does_not_read_in_a_folder_is_not_kept(shop: Path) -> None:
    before = sources_of(shop).tree
    for path in ("models/dump.csv", "macros/helper.py", "seeds/notes.sql", "tests/dump.csv", "analyses/model.py"):
        (shop / path).parent.mkdir(exist_ok=True)
        (shop / path).write_text("secret")
    assert sources_of(shop).tree == before
    (shop / "tests/fixtures").mkdir(exist_ok=True)
    (shop / "tests/fixtures/rows.csv").write_text("a\n1\n")
    assert sources_of(shop).tree.files.keys() - before.files.keys() == {"tests/fixtures/rows.csv"}


def test_a_name_that_is_no_text_is_told(shop: Path) -> None:
    with Path(os.fsdecode(os.fsencode(shop / "models") + b"/\xff.sql")).open("w") as file:
        file.write("select 1")
    with pytest.raises(SourcesError, match=r"models/\\xff\.sql: has a name that is not UTF-8"):
        sources_of(shop)


def test_the_folders_are_those_that_the_project_names(shop: Path) -> None:
    (shop / "dbt_project.yml").write_text(PROJECT_YML + "model-paths: [sql, 'models/m arts']\nseed-paths: [sql]\n")
    (shop / "sql").mkdir()
    (shop / "sql/a.sql").write_text("select 1")
    found = {path for path in sources_of(shop).tree.files if not path.startswith("dbt_packages")}
    assert found >= {"sql/a.sql", "models/m arts/ä.sql", "macros/cents.sql"}
    assert not found & {"models/orders.sql", "seeds/lands.csv"}


def test_a_source_folder_may_be_the_project_itself(shop: Path) -> None:
    (shop / "dbt_project.yml").write_text(PROJECT_YML + "model-paths: ['.']\n")
    found = set(sources_of(shop).tree.files)
    assert found >= {"models/orders.sql", "seeds/lands.csv", "dbt_packages/tools/macros/round.sql"}
    assert not [path for path in found if path.startswith(("target", "logs"))]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("model-paths: ['../models']\n", "outside of the project"),
        ("model-paths: ['/srv/models']\n", "outside of the project"),
        ("packages-install-path: ../packages\n", "outside of the project"),
        ("packages-install-path: \"{{ env_var('X') }}\"\n", "holds Jinja"),
        ("seed-paths: [\"{{ env_var('X') }}\"]\n", "holds Jinja"),
    ],
)
def test_what_lies_elsewhere_cannot_be_kept(shop: Path, more: str, said: str) -> None:
    (shop / "dbt_project.yml").write_text(PROJECT_YML + more)
    with pytest.raises(SourcesError, match=said):
        sources_of(shop)


@pytest.mark.parametrize(
    "break_it", [lambda p: p.unlink(), lambda p: p.write_bytes(b"\xff"), lambda p: p.write_text("a: [")]
)
def test_a_folder_that_is_no_project_is_told(shop: Path, break_it: Callable[[Path], object]) -> None:
    break_it(shop / "dbt_project.yml")
    with pytest.raises(SourcesError, match=r"dbt_project\.yml.*cannot be read as a dbt project"):
        sources_of(shop)


@pytest.mark.parametrize("move", [lambda p: p.write_text("select 2"), lambda p: p.unlink()])
def test_a_file_that_moves_while_it_is_kept_is_told(shop: Path, move: Callable[[Path], object]) -> None:
    found = sources_of(shop)
    move(shop / "models/orders.sql")
    with pytest.raises(SourcesError, match=r"orders\.sql"):
        found.read("models/orders.sql")


# --- what dbt parsed --------------------------------------------------------------------------------------------------


def test_what_dbt_parsed_is_kept_if_it_is_still_there(shop: Path, tmp_path: Path) -> None:
    target = parse(shop)
    assert why(shop, target) is None
    store = open_releases("states", tmp_path)
    release = DbtArtifacts(shop).release(target)
    kept = keep_run(store, target, shop, release, ABOUT)
    assert (kept.release, kept.why) == (sources_of(shop).tree.id, "")
    assert store.provenance(sources_of(shop).tree.id) == ABOUT


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("models/orders.sql", "select 2 as id", "models/orders.sql changed since"),
        ("models/schema.yml", "models: []\n", "models/schema.yml changed since"),
        ("macros/cents.sql", "{% macro cents() %}1{% endmacro %}", "macros/cents.sql changed since"),
        ("seeds/lands.csv", "code,name\nfr,France\n", "seeds/lands.csv changed since"),
        ("tests/generic/odd.sql", "{% test odd(model) %}select 2{% endtest %}", "tests/generic/odd.sql changed since"),
        ("models/docs.md", "{% docs orders %}x{% enddocs %}", "models/docs.md changed since"),
        (
            "tools/macros/round.sql",
            "{% macro rounded(x) %}x{% endmacro %}",
            "dbt_packages/tools/macros/round.sql changed",
        ),
        ("models/said.sql", "select 'a  b' as x,\n    '{{ greet() }}' as y\n", "models/said.sql changed since"),
        ("models/docs.md", "{% docs orders %}Orders of a day.\n\nAll.{% enddocs %}\n", "models/docs.md changed since"),
        (
            "macros/greet.sql",
            "{% macro greet() %}\nhello you\n{% endmacro %}\n\n{% macro bye() %}bye{% endmacro %}\n",
            "macros/greet.sql changed since",
        ),
        ("tests/fixtures/days.csv", "id,name\n1,a  b\n", "tests/fixtures/days.csv changed since"),
        (
            "models/schema.yml",
            FILES["models/schema.yml"].replace("name: id", "name: id\n        description: 'a  b'"),
            "models/schema.yml changed since",
        ),
        ("tools/dbt_project.yml", "name: tools\nversion: '2.0'\n", "dbt_packages/tools/dbt_project.yml changed since"),
        ("models/new.sql", "select 3 as id", "models/new.sql came since"),
        ("models/new.yml", "models: []\n", "models/new.yml came since"),
        ("models/NEW.SQL", "select 3 as id", "models/NEW.SQL came since"),
        ("models/new.py", "def model(dbt, session): ...", "models/new.py came since"),
        ("models/new.md", "{% docs new %}x{% enddocs %}", "models/new.md came since"),
        ("seeds/new.csv", "a\n1\n", "seeds/new.csv came since"),
        ("tests/fixtures/rows.csv", "a\n1\n", "tests/fixtures/rows.csv came since"),
        ("tests/generic/new.sql", "{% test new(model) %}x{% endtest %}", "tests/generic/new.sql came since"),
        ("functions/new.sql", "select 1", "functions/new.sql came since"),
        ("tools/models/new.sql", "select 1 as id", "dbt_packages/tools/models/new.sql came since"),
        ("models/orders.sql", "\udcff", "models/orders.sql changed since"),
        ("models/orders.sql", None, "models/orders.sql is not there any more"),
    ],
)
def test_what_changed_since_is_not_kept_and_the_first_file_is_named(
    shop: Path, tmp_path: Path, path: str, text: str | None, said: str
) -> None:
    target = parse(shop)
    release = DbtArtifacts(shop).release(target)
    if text is None:
        (shop / path).unlink()
    else:
        (shop / path).parent.mkdir(parents=True, exist_ok=True)
        (shop / path).write_bytes(text.encode(errors="surrogateescape"))
    store = open_releases("states", tmp_path)
    kept = keep_run(store, target, shop, release, ABOUT)
    assert kept.release is None
    assert kept.why.startswith(said)
    assert not (tmp_path / "states").exists()


def test_white_space_around_a_file_is_no_change_to_dbt(shop: Path) -> None:
    target = parse(shop)
    (shop / "models/orders.sql").write_bytes(b"\n  " + FILES["models/orders.sql"].encode() + b"\n\n")
    (shop / "models/another_empty.sql").write_text("\n")
    assert why(shop, target) is None


@pytest.mark.parametrize("kept_parse", [True, False])
@pytest.mark.parametrize("ends", [b"\r\n", b"\n"])
def test_line_endings_are_no_change(shop: Path, ends: bytes, kept_parse: bool) -> None:
    target = parse(shop)
    if not kept_parse:
        (target / "partial_parse.msgpack").unlink()
    for path in FILES:
        if not path.endswith("dbt_project.yml"):
            (shop / path).write_bytes((shop / path).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", ends))
    assert why(shop, target) is None


def test_white_space_that_yaml_does_not_mean_is_no_change_and_what_it_means_is(shop: Path) -> None:
    schema = shop / "models/schema.yml"
    schema.write_text("models:\n  - name: orders\n    description: 'a b'\n")
    target = parse(shop)
    schema.write_text("models:\n  -   name: orders\n      description:   'a b'\n")
    if DBT_COLLAPSES_WHITE_SPACE:
        assert why(shop, target) is None
    schema.write_text("models:\n  - name: orders\n    description: 'a  b'\n")
    assert "models/schema.yml changed since" in str(why(shop, target))


def test_the_project_file_that_changed_is_not_what_was_parsed(shop: Path) -> None:
    target = parse(shop)
    (shop / "dbt_project.yml").write_text(PROJECT_YML + "vars: {days: 9}\n")
    assert "neither its kept parse nor the same sources" in str(why(shop, target))


def test_without_the_kept_parse_the_checksums_of_the_manifest_must_do(shop: Path) -> None:
    target = parse(shop)
    (target / "partial_parse.msgpack").unlink()
    assert why(shop, target) is None
    (shop / "models/orders.sql").write_text("select 2 as id")
    assert "what dbt parsed is not at hand any more" in str(why(shop, target))


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("macros/cents.sql", "{% macro cents() %}1{% endmacro %}", "macros/cents.sql changed since dbt parsed it"),
        ("macros/cents.sql", None, "macros/cents.sql is not there any more"),
        ("tests/generic/odd.sql", "{% test odd(model) %}select 2{% endtest %}", "tests/generic/odd.sql changed since"),
        ("tools/macros/round.sql", "{# gone #}", "dbt_packages/tools/macros/round.sql changed since"),
    ],
)
def test_without_the_kept_parse_macros_are_compared_too(shop: Path, path: str, text: str | None, said: str) -> None:
    target = parse(shop)
    (target / "partial_parse.msgpack").unlink()
    if text is None:
        (shop / path).unlink()
    else:
        (shop / path).write_text(text)
    assert str(why(shop, target)).startswith(said)


def test_source_paths_may_be_written_in_any_way(shop: Path) -> None:
    paths = "model-paths: [./models/, models/../sql]\nmacro-paths: [sql/../macros]\nseed-paths: [sql/../seeds]\n"
    (shop / "dbt_project.yml").write_text(PROJECT_YML + paths)
    (shop / "sql").mkdir()
    (shop / "sql/a.sql").write_text("select 1 as id")
    target = parse(shop)
    assert why(shop, target) is None
    (shop / "sql/a.sql").write_text("select 2 as id")
    assert why(shop, target) == "sql/a.sql changed since dbt parsed it"


def test_kept_paths_that_leave_out_what_dbt_needs_are_told(shop: Path) -> None:
    target = parse(shop)
    assert why(shop, target, "models", "dbt_packages", "tests", "seeds", "packages.yml") == (
        "macros/cents.sql is left out of what is kept (kept_paths, or by its name)"
    )


def test_kept_paths_that_leave_something_out_are_told_without_the_kept_parse_too(shop: Path) -> None:
    target = parse(shop)
    (target / "partial_parse.msgpack").unlink()
    assert why(shop, target, "models", "dbt_packages", "tests", "seeds", "packages.yml") == (
        "macros/cents.sql is left out of what is kept (kept_paths, or by its name)"
    )


def test_files_that_dbt_does_not_parse_where_they_lie_are_no_news(shop: Path) -> None:
    (shop / "dbt_project.yml").write_text(PROJECT_YML + "docs-paths: [docs]\n")
    (shop / "models/docs.md").rename(shop / "models/moved.md")
    (shop / "docs").mkdir()
    (shop / "docs/orders.md").write_text("{% docs orders %}Orders.{% enddocs %}\n")
    target = parse(shop)
    for path in (
        "docs/site.yml",
        "docs/example.sql",
        "seeds/make.sql",
        "seeds/make.py",
        "macros/tool.py",
        "models/a.csv",
        "models/NOTES.md",
        "tests/a.csv",
    ):
        (shop / path).write_text("dbt never reads this")
    assert why(shop, target) is None
    (shop / "docs/more.md").write_text("{% docs more %}x{% enddocs %}")
    assert why(shop, target) == "docs/more.md came since dbt parsed the project"


def test_what_one_package_ignores_hides_no_news_in_another(shop: Path) -> None:
    (shop / "tools/.dbtignore").write_text("macros/ignored.sql\n")
    (shop / "tools/macros/ignored.sql").write_text("{% this is no macro")
    target = parse(shop)
    assert why(shop, target) is None
    (shop / "models/new.sql").write_text("select 1 as id")
    assert why(shop, target) == "models/new.sql came since dbt parsed the project"


def test_folders_by_their_old_names_are_sources_too(shop: Path) -> None:
    (shop / "dbt_project.yml").write_text(PROJECT_YML + "source-paths: [sql]\ndata-paths: [data]\n")
    (shop / "models").rename(shop / "sql")
    (shop / "seeds").rename(shop / "data")
    assert set(sources_of(shop).tree.files) == {
        path.replace("models/", "sql/").replace("seeds/", "data/") for path in KEPT
    }
    assert why(shop, parse(shop)) is None


def test_a_kept_parse_that_is_gone_proves_nothing(shop: Path) -> None:
    target = parse(shop)
    release = DbtArtifacts(shop).release(target)
    (target / "partial_parse.msgpack").unlink()
    assert "neither its kept parse nor the same sources" in str(verified(target, shop, release))


def test_a_project_with_hooks_is_what_dbt_parsed(shop: Path) -> None:
    text = PROJECT_YML + 'on-run-start: ["select 1"]\non-run-end: "{{ log(\'done\') }}"\n'
    (shop / "dbt_project.yml").write_bytes(text.replace("\n", "\r\n").encode())
    assert why(shop, parse(shop)) is None


def test_a_seed_that_dbt_does_not_read_has_to_be_there(shop: Path) -> None:
    big = shop / "seeds/big.csv"
    big.write_text("a,b\n" + "1,2\n" * 300_000)
    target = parse(shop)
    found = verified(target, shop, DbtArtifacts(shop).release(target))
    assert not isinstance(found, str)
    assert found.tree.files["seeds/big.csv"] == hashlib.sha256(big.read_bytes()).hexdigest()
    big.unlink()
    assert why(shop, target) == "seeds/big.csv is not there any more"


class LateStore(BlobReleaseStore):
    """A store that begins when a file has just vanished."""

    def __init__(self, folder: Path, vanishing: Path) -> None:
        """Take the place of the store, and the file."""
        super().__init__(FileBlobs(folder))
        self._vanishing = vanishing

    def keep(self, sources: Sources, provenance: Provenance) -> ReleaseId:
        """Keep sources."""
        self._vanishing.unlink()
        return super().keep(sources, provenance)


def test_a_file_that_vanishes_while_it_is_kept_keeps_nothing_and_is_told(shop: Path, tmp_path: Path) -> None:
    target = parse(shop)
    release = DbtArtifacts(shop).release(target)
    kept = keep_run(LateStore(tmp_path / "store", shop / "models/orders.sql"), target, shop, release, ABOUT)
    assert kept.release is None
    assert "orders.sql: cannot be read: No such file or directory" in kept.why


def test_a_package_that_is_not_installed_any_more_is_told(shop: Path) -> None:
    target = parse(shop)
    release = DbtArtifacts(shop).release(target)
    (shop / "dbt_packages" / "tools").unlink()
    assert verified(target, shop, release) == f"the package tools is not installed in {shop}; run dbt deps there"


def test_a_run_in_a_copy_of_the_project_is_known_by_the_real_one(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in (
        "dbt_project.yml",
        "packages.yml",
        "models",
        "macros",
        "seeds",
        "tests",
        "dbt_packages",
        "profiles.yml",
        "tools",
    ):
        (copy / name).symlink_to(shop / name)
    target = parse(copy, copy / "target")
    assert why(copy, target, project_dir=shop) is None


def test_what_dbt_ignores_is_no_news(shop: Path) -> None:
    (shop / ".dbtignore").write_text("models/ignored.sql\n")
    (shop / "models/ignored.sql").write_text("this is no SQL")
    assert why(shop, parse(shop)) is None


# --- git --------------------------------------------------------------------------------------------------------------

COMMIT = "c0ffee" * 6 + "c0ff"


@pytest.mark.parametrize(
    "files",
    [
        {".git/HEAD": COMMIT},
        {".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": COMMIT + "\n"},
        {
            ".git/HEAD": "ref: refs/heads/main\n",
            ".git/packed-refs": f"# pack-refs\n{COMMIT} refs/heads/main\n^{'0' * 40}\n",
        },
        {
            ".git": "gitdir: main/worktrees/x\n",
            "main/worktrees/x/HEAD": "ref: refs/heads/x",
            "main/worktrees/x/commondir": "../..\n",
            "main/refs/heads/x": COMMIT,
        },
    ],
)
def test_the_commit_is_read_without_git(tmp_path: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "dbt" / "shop").mkdir(parents=True)
    assert commit_of(tmp_path / "dbt" / "shop") == COMMIT


@pytest.mark.parametrize(
    "files", [{}, {".git/HEAD": "what?"}, {".git/HEAD": "ref: refs/heads/main"}, {".git": "gitdir: gone"}]
)
def test_a_commit_that_cannot_be_told_is_none(tmp_path: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    assert commit_of(tmp_path) is None
