"""`promotion.yml`: what it means, and every way in which it can be wrong, with file, line and key."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_dbt_promotion.config import config_schema
from airflow_dbt_promotion.config.promotion_file import find_promotion_file, read_promotion_file
from airflow_dbt_promotion.core.environment import (
    BypassKind,
    Candidate,
    DeployedBy,
    Environment,
    IncrementalChange,
    Leniency,
    OnDrift,
    PromotionPath,
    SoakScope,
    Strategy,
)
from airflow_dbt_promotion.core.errors import ConfigError, CyclicPathError, InputError
from airflow_dbt_promotion.core.identity import EnvironmentName


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "promotion.yml"


def read(file: Path, text: str | bytes) -> PromotionPath:
    """Return the path that a file with this text makes."""
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    path = read_promotion_file(file).path
    assert path is not None
    return path


def environments(file: Path, text: str) -> PromotionPath:
    """Return the path that these lines below `environments:` make; they begin in line 3."""
    return read(file, "version: 1\nenvironments:\n" + text)


# --- what it means ----------------------------------------------------------------------------------------------------


def test_the_example(file: Path) -> None:
    file.write_text(
        """
version: 1
state: target/promotion_states
environments:
  staging:    {target: stg}
  production: {target: prd, promotes_from: staging, min_days_in_staging: 1, strategy: blue_green}
""",
        encoding="utf-8",
    )
    said = read_promotion_file(file)
    assert said.state == "target/promotion_states"
    assert said.path == PromotionPath(
        (
            Environment(name=EnvironmentName("staging"), target="stg"),
            Environment(
                name=EnvironmentName("production"),
                target="prd",
                promotes_from=EnvironmentName("staging"),
                soak=timedelta(days=1),
                deployed_by=DeployedBy.PROMOTION,
                strategy=Strategy.BLUE_GREEN,
            ),
        )
    )


def test_every_key(file: Path) -> None:
    path = environments(
        file,
        """
  dev:
  live:
    target: l1
    promotes_from: dev
    working: true
    deployed_by: others
    min_days_in_staging: PT36H
    min_successful_runs: 3
    soak_scope: self
    zero_tests: block
    warnings: block
    strategy: record
    on_incremental_change: forward_only
    forbid: [skip_tests, short_soak, old_evidence, older_version, overrule_rejection, baseline]
    vars: {currency: EUR, rates: [1, 2.5, null, true], nested: {a: {b: c}}}
    run_vars: [run_date, batch_id]
    accept_arguments: [invented]
    unverified_place: block
    record_within: 2
    keep_history: 25
    keep_checkpoints: 0
    candidate: current
    on_drift: block
    marks: false
    verify: true
    rollback_on_failure: true
""",
    )
    assert path.get("live") == Environment(
        name=EnvironmentName("live"),
        target="l1",
        promotes_from=EnvironmentName("dev"),
        working=True,
        deployed_by=DeployedBy.OTHERS,
        soak=timedelta(hours=36),
        min_successful_runs=3,
        soak_scope=SoakScope.SELF,
        zero_tests=Leniency.BLOCK,
        warnings=Leniency.BLOCK,
        strategy=Strategy.RECORD,
        on_incremental_change=IncrementalChange.FORWARD_ONLY,
        forbid=frozenset(BypassKind),
        vars={"currency": "EUR", "rates": [1, 2.5, None, True], "nested": {"a": {"b": "c"}}},
        run_vars=frozenset({"run_date", "batch_id"}),
        accept_arguments=frozenset({"invented"}),
        unverified_place=Leniency.BLOCK,
        record_within=timedelta(days=2),
        keep_history=25,
        keep_checkpoints=0,
        candidate=Candidate.CURRENT,
        on_drift=OnDrift.BLOCK,
        marks=False,
        verify=True,
        rollback_on_failure=True,
    )


def test_defaults_follow_the_order(file: Path) -> None:
    path = environments(file, "  dev:\n  test: {}\n  prod: {}\n")
    assert [(e.name, e.target, e.promotes_from) for e in path.environments] == [
        ("dev", "dev", None),
        ("test", "test", "dev"),
        ("prod", "prod", "test"),
    ]
    assert [e.working for e in path.environments] == [True, False, False]
    assert [e.deployed_by.value for e in path.environments] == ["others", "others", "promotion"]
    assert all(e.soak == timedelta(0) and e.strategy is None for e in path.environments)
    assert all(e.candidate is Candidate.NEWEST_SOAKED and e.on_drift is OnDrift.TELL for e in path.environments)
    assert all(e.marks for e in path.environments)


def test_null_begins_a_path(file: Path) -> None:
    path = environments(file, "  a: {}\n  b: {}\n  c: {promotes_from: null}\n  d: {promotes_from: a}\n")
    assert [e.promotes_from for e in path.environments] == [None, "a", None, "a"]
    assert [e.deployed_by.value for e in path.environments] == ["others", "promotion", "others", "promotion"]


def test_the_source_may_be_written_after(file: Path) -> None:
    """What the one before promotes from does not promote from that in turn."""
    path = environments(file, "  production: {promotes_from: staging}\n  staging: {}\n")
    assert [e.promotes_from for e in path.environments] == ["staging", None]
    path = environments(file, "  c: {promotes_from: b}\n  b: {promotes_from: a}\n  a: {}\n  z: {}\n")
    assert [e.promotes_from for e in path.environments] == ["b", "a", None, "a"]


def test_one_environment_alone_takes_recorded_runs(file: Path) -> None:
    assert environments(file, "  production: {}\n").get("production").deployed_by is DeployedBy.OTHERS


@pytest.mark.parametrize(
    ("written", "soak"),
    [
        ("0", timedelta(0)),
        ("1", timedelta(days=1)),
        ("0.5", timedelta(hours=12)),
        ("1e-3", timedelta(days=0.001)),
        ("P1D", timedelta(days=1)),
        ("'1'", timedelta(days=1)),
        ("P1DT30M", timedelta(days=1, minutes=30)),
    ],
)
def test_a_soak(file: Path, written: str, soak: timedelta) -> None:
    assert environments(file, f"  a: {{min_days_in_staging: {written}}}\n").get("a").soak == soak


def test_aliases_and_merges(file: Path) -> None:
    path = read(
        file,
        """
version: 1
environments:
  staging: &base {target: stg, min_successful_runs: 2, warnings: block}
  eu: {<<: *base, target: eu}
  us: {target: us, <<: [{min_successful_runs: 5}, *base], promotes_from: staging}
""",
    )
    assert [(e.target, e.min_successful_runs, e.warnings.value) for e in path.environments] == [
        ("stg", 2, "block"),
        ("eu", 2, "block"),
        ("us", 5, "block"),
    ]


def test_state_alone_leaves_the_path_open(file: Path) -> None:
    file.write_text("version: 1\nstate: /srv/states\n", encoding="utf-8")
    said = read_promotion_file(file)
    assert (said.path, said.state) == (None, "/srv/states")


def test_kept_paths_are_taken_as_written(file: Path) -> None:
    file.write_text("version: 1\nkept_paths: [models, 'seeds/*.csv', macros/]\n", encoding="utf-8")
    assert read_promotion_file(file).kept_paths == ("models", "seeds/*.csv", "macros/")
    file.write_text("version: 1\n", encoding="utf-8")
    assert read_promotion_file(file).kept_paths == ()


@pytest.mark.parametrize(
    ("written", "line", "key", "words"),
    [
        ("kept_paths: models", 2, "kept_paths", "got str"),
        ("kept_paths:", 2, "kept_paths", "got null"),
        ("kept_paths: []", 2, "kept_paths", "leave it out to keep all"),
        ("kept_paths:\n  - models\n  - 5", 2, "kept_paths", "got int"),
        ("kept_paths:\n  - models\n  - ''", 4, "kept_paths.1", "matches nothing"),
        ("kept_paths:\n  - /", 3, "kept_paths.0", "matches nothing"),
        ("kept_paths:\n  - '!models/secret'", 3, "kept_paths.0", "begins with `!`"),
        ("kept_paths:\n  - ../models", 3, "kept_paths.0", "as seen from the project"),
        ("kept_paths:\n  - ./models", 3, "kept_paths.0", "as seen from the project"),
        ("kept_paths:\n  - models//marts", 3, "kept_paths.0", "as seen from the project"),
        ("kept_paths:\n  - 'models\\marts'", 3, "kept_paths.0", "write `/` between folders"),
        ("kept_path: [models]", 2, "kept_path", "did you mean kept_paths?"),
    ],
)
def test_kept_paths_that_could_not_match_are_told(file: Path, written: str, line: int, key: str, words: str) -> None:
    file.write_text(f"version: 1\n{written}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_promotion_file(file)
    assert caught.value.where == f"{file}:{line}: {key}"
    assert words in caught.value.problem


def test_either_name_of_the_file(tmp_path: Path) -> None:
    assert find_promotion_file(tmp_path) is None
    (tmp_path / "promotion.yaml").touch()
    assert find_promotion_file(tmp_path) == tmp_path / "promotion.yaml"
    (tmp_path / "promotion.yml").touch()
    with pytest.raises(ConfigError, match="delete one"):
        find_promotion_file(tmp_path)


# --- what is wrong, and where -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("  stg: {targte: x}", 3, "environments.stg.targte", "did you mean target?"),
        ("  stg: {zzz: x}", 3, "environments.stg.zzz", "known: target, promotes_from"),
        ("  stg:\n    target: 5", 4, "environments.stg.target", "Expected str, got int"),
        ("  stg:\n    target: no", 4, "environments.stg.target", "in quotes"),
        ("  stg:\n    target:", 4, "environments.stg.target", "Expected str, got null"),
        ("  stg:\n    target: ''", 4, "environments.stg.target", "cannot be empty"),
        ("  stg:\n    target: 2026-03-01", 4, "environments.stg.target", "Expected str"),
        ("  stg:\n    target: [a]", 4, "environments.stg.target", "Expected str, got array"),
        ("  stg:\n    working: 1", 4, "environments.stg.working", "Expected bool, got int"),
        ("  stg:\n    working: 'yes'", 4, "environments.stg.working", "Expected bool, got str"),
        ("  stg:\n    min_days_in_staging: no", 4, "environments.stg.min_days_in_staging", "got bool"),
        ("  stg:\n    min_days_in_staging: -1", 4, "environments.stg.min_days_in_staging", "negative"),
        ("  stg:\n    min_days_in_staging: .inf", 4, "environments.stg.min_days_in_staging", "not finite"),
        ("  stg:\n    min_days_in_staging: .nan", 4, "environments.stg.min_days_in_staging", "not finite"),
        ("  stg:\n    min_days_in_staging: P1M", 4, "environments.stg.min_days_in_staging", "no fixed length"),
        ("  stg:\n    min_days_in_staging: soon", 4, "environments.stg.min_days_in_staging", "ISO 8601"),
        ("  stg:\n    min_days_in_staging: 1e9", 4, "environments.stg.min_days_in_staging", "usable duration"),
        ("  stg:\n    min_days_in_staging: 999999999", 4, "environments.stg.min_days_in_staging", "longest"),
        ("  stg:\n    min_days_in_staging:", 4, "environments.stg.min_days_in_staging", "got null"),
        ("  stg:\n    min_successful_runs: -1", 4, "environments.stg.min_successful_runs", ">= 0"),
        ("  stg:\n    min_successful_runs: 1.5", 4, "environments.stg.min_successful_runs", "Expected int"),
        ("  stg:\n    min_successful_runs: yes", 4, "environments.stg.min_successful_runs", "got bool"),
        ("  stg:\n    min_successful_runs: 1001", 4, "environments.stg.min_successful_runs", "<= 1000"),
        ("  stg:\n    keep_history: 0", 4, "environments.stg.keep_history", ">= 1"),
        ("  stg:\n    keep_history: 08", 4, "environments.stg.keep_history", "got str"),
        (
            "  stg:\n    strategy: bulid",
            4,
            "environments.stg.strategy",
            "build, clone, record; did you mean build?",
        ),
        ("  stg:\n    strategy: on", 4, "environments.stg.strategy", "in quotes"),
        ("  stg:\n    deployed_by: me", 4, "environments.stg.deployed_by", "must be one of others, promotion"),
        ("  stg:\n    on_incremental_change: true", 4, "environments.stg.on_incremental_change", "got bool"),
        ("  stg:\n    soak_scope: 3", 4, "environments.stg.soak_scope", "must be one of lineage, self"),
        ("  stg:\n    candidate: newest", 4, "environments.stg.candidate", "must be one of current, newest_soaked"),
        ("  stg:\n    on_drift: true", 4, "environments.stg.on_drift", "got bool"),
        ("  stg:\n    on_drift: refuse", 4, "environments.stg.on_drift", "must be one of block, tell"),
        (
            "  stg:\n    forbid: skip_tests",
            4,
            "environments.stg.forbid",
            "must be a list of baseline, old_evidence, older_version, overrule_rejection, short_soak, skip_tests",
        ),
        (
            "  stg:\n    forbid: [skip_test]",
            4,
            "environments.stg.forbid",
            "must be a list of baseline, old_evidence, older_version, overrule_rejection, short_soak, skip_tests",
        ),
        ("  stg:\n    vars: [a]", 4, "environments.stg.vars", "Expected object, got array"),
        (
            "  stg:\n    vars:\n      a: 1\n      b: 2026-03-01",
            6,
            "environments.stg.vars.b",
            "a date; put it in quotes",
        ),
        ("  stg:\n    vars:\n      a: [1, .inf]", 5, "environments.stg.vars.a.1", "no number"),
        ("  stg:\n    vars:\n      a: {no: 1}", 5, "environments.stg.vars.a.False", "true or false; put it in quotes"),
        ("  stg:\n    vars: {1: a}", 4, "environments.stg.vars", "str"),
        ("  stg:\n    promotes_from: dev", 4, "environments.stg.promotes_from", "there is no environment 'dev'"),
        ("  stg: {}\n  prd:\n    promotes_from: sgt", 5, "environments.prd.promotes_from", "did you mean stg?"),
        ("  stg: []", 3, "environments.stg", "must be a mapping of keys to values, not a list"),
        ("  stg: text", 3, "environments.stg", "not text"),
        ("  stg: {1: a}", 3, "environments.stg.1", "a number; put it in quotes"),
        ("  1: {}", 3, "environments.1", "put it in quotes"),
        ("  no: {}", 3, "environments.False", "true or false; put it in quotes"),
        ("  stg: {}\n  ../stg: {}", 4, "environments.../stg", "not a usable environment name"),
        ("  a/b: {}", 3, "environments.a/b", "not a usable environment name"),
        ('  "a\\0b": {}', 3, "environments.a\0b", "not a usable environment name"),
        ('  "a\\nb": {}', 3, "environments.a\nb", "not a usable environment name"),
        ("  '': {}", 3, "environments.", "not a usable environment name"),
        ("  '{{ x }}': {}", 3, "environments.{{ x }}", "not a usable environment name"),
        ("  $(x): {}", 3, "environments.$(x)", "not a usable environment name"),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_key(file: Path, text: str, line: int, key: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        environments(file, text + "\n")
    assert caught.value.where == f"{file}:{line}: {key}"
    assert words in caught.value.problem


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("", "", "is empty; begin with `version: 1`"),
        ("# nothing but words\n", "", "is empty"),
        ("environments: {}\n", "", "says no version"),
        ("version: 2\n", ":1: version", "newer than this release"),
        ("version: '1'\n", ":1: version", "must be the number 1"),
        ("version: true\n", ":1: version", "must be the number 1"),
        ("version: 0\n", ":1: version", "must be the number 1"),
        ("version: 1.0\n", ":1: version", "must be the number 1"),
        ("- version: 1\n", ":1", "must be a mapping"),
        ("version 1\n", ":1", "must be a mapping"),
        ("version: 1\nenvironment: {}\n", ":2: environment", "did you mean environments?"),
        ("version: 1\nstate: 1\n", ":2: state", "Expected str"),
        ("version: 1\nstate: ' '\n", ":2: state", "is empty"),
        ("version: 1\nenvironments:\n", ":2: environments", "not nothing"),
        ("version: 1\nenvironments: {}\n", ":2: environments", "is empty"),
        ("version: 1\nstate: {a: b}\n", ":2: state", "got object"),
        ("version: {a: b}\n", ":1: version", "must be the number 1"),
        ("version: 1\nenvironments: [a]\n", ":2: environments", "not a list"),
        ("version: 1\nenvironments:\n  a: {}\n  a: {}\n", ":4", "'a' is there twice, first in line 3"),
        ("version: 1\nversion: 1\n", ":2", "twice"),
        ("version: 1\nenvironments: {a: {target: x\n", ":3", "is not YAML"),
        ("version: 1\n\tstate: x\n", ":2", "is not YAML"),
        ("version: 1\n---\nversion: 1\n", ":2", "is not YAML"),
        ("version: 1\nstate: \x00\n", "", "is not YAML"),
        ("version: 1\nstate: *nowhere\n", ":2", "undefined alias"),
        ("version: 1\nstate: {{ env_var('X') }}\n", ":2", "cannot be a key"),
        ("version: 1\nstate: !!python/object/apply:os.system [ls]\n", ":2: state", "Expected str"),
        ("version: 1\nstate: !!python/name:os.system ls\n", ":2", "is not YAML"),
        (
            "version: 1\nenvironments: {a: {keep_history: !!int abc}}\n",
            ":2: environments.a.keep_history",
            "Expected int",
        ),
        ("version: 1\nenvironments: &a {b: *a}\n", ":2", "an alias holds itself"),
        ("version: 1\nenvironments: {b: {<<: 3}}\n", ":2", "merges mappings only"),
        ("version: 1\nstate: " + "[" * 100_000, ":2", "nested deeper"),
        (b"version: 1\nstate: '\xff'\n", ":2", "is not UTF-8"),
        ("version: 1\n" + "# padding\n" * 110_000, "", "larger than 1 MiB"),
        ("version: 1\nstate: [" + "1," * 60_000 + "]", "", "more than 50000 values"),
    ],
)
def test_a_file_that_cannot_be_used(file: Path, text: str | bytes, where: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(file, text)
    assert caught.value.where == f"{file}{where}"
    assert words in caught.value.problem


@pytest.mark.parametrize(
    "bomb",
    [
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
        "a: &a {x: 1}\n"
        + "".join(
            f"{b}: &{b} {{<<: [{','.join(['*' + a] * 9)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" for n in range(1, 5000)),
    ],
)
def test_a_file_that_explodes_is_refused_at_once(file: Path, bomb: str) -> None:
    with pytest.raises(ConfigError, match="out of all bounds"):
        read(file, "version: 1\n" + bomb)


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        read_promotion_file(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "  a: {promotes_from: b}\n  b: {promotes_from: a}\n",
        "  a: {promotes_from: a}\n",
        "  a: {promotes_from: c}\n  b: {promotes_from: a}\n  c: {promotes_from: b}\n  d: {}\n",
    ],
)
def test_a_ring(file: Path, text: str) -> None:
    with pytest.raises(CyclicPathError):
        environments(file, text)


_WORDS = st.sampled_from([*"ab", "version", "environments", "target", "promotes_from", "vars", "strategy", "state"])
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.integers(), inner, max_size=4),
)


@given(_VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_content_is_a_path_or_an_error(file: Path, value: object) -> None:
    """Never anything but our own errors, which say where."""
    document = {"version": 1, "environments": {"a": value, "b": value}}
    for content in ([value], {"version": 1, "environments": value}, document):
        file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        with suppress(InputError):
            assert read_promotion_file(file).path is not None


@given(st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_are_an_error(file: Path, data: bytes) -> None:
    with pytest.raises(ConfigError):
        read(file, data)


# --- the schema -------------------------------------------------------------------------------------------------------


def test_the_schema_knows_what_the_file_may_hold() -> None:
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {
        "version": 1,
        "environments": {"staging": None, "production": {"target": "prd", "min_days_in_staging": "P1D"}},
    }
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "version": 2})
    assert not validator.is_valid({**good, "more": 1})
    assert validator.is_valid({**good, "kept_paths": ["models", "macros"]})
    assert not validator.is_valid({**good, "kept_paths": "models"})
    assert not validator.is_valid({"version": 1, "environments": {"a": {"targte": "x"}}})
    assert not validator.is_valid({"version": 1, "environments": {"a": {"strategy": "magic"}}})
    assert json.loads(json.dumps(schema)) == schema
