"""A release: the versions of a whole project at one moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum

from msgspec import Struct

from airflow_dbt_promotion.core.definition import Exposure, Origin, ProjectIdentity
from airflow_dbt_promotion.core.identity import Digest, ModelId, ReleaseId, TestId, Version, digest_of

NO_TESTS = digest_of([])
"""The test digest of a model that no test depends on."""


class ModelKind(Enum):
    """What dbt builds and others can use."""

    MODEL = "model"
    SEED = "seed"
    SNAPSHOT = "snapshot"
    FUNCTION = "function"


class Model(Struct, frozen=True, kw_only=True, gc=False):
    """One model of a release.

    `parents` are the nearest models that are built (ephemeral ones are looked through). `required` are the data and
    unit tests that depend on it. `incremental` says whether its data outlives a build. `slices_from` is where the
    batches of a microbatch model begin; `full_refresh` is its config, None where it has none.
    """

    id: ModelId
    name: str
    package: str
    kind: ModelKind
    version: Version
    code: Digest
    tests: Digest
    meta: Digest
    parents: tuple[ModelId, ...] = ()
    required: tuple[TestId, ...] = ()
    incremental: bool = False
    fqn: tuple[str, ...] = ()
    path: str = ""
    relation: str | None = None
    slices_from: datetime | None = None
    full_refresh: bool | None = None


class Test(Struct, frozen=True, kw_only=True, gc=False):
    """One data or unit test of a release, and the models that it depends on."""

    id: TestId
    name: str
    unit: bool
    models: tuple[ModelId, ...]
    fqn: tuple[str, ...] = ()
    package: str = ""


class Release(Struct, frozen=True, kw_only=True):
    """What one parse of a project makes: every model with its version, every test.

    `id` names the kept sources that it was made of, None where they are not kept. `ephemeral` holds the code of the
    models that are never built themselves. `vars_read` are the vars that anything of the project can read, `ALL_VARS`
    among them where a name is computed; `declared_vars` are those of one value in the whole project, each with the
    digest of it; `flags` are the project's. `source_relations` are where sources lie for the target of the parse.
    `unread_seeds` are those whose files dbt did not read, with when these were last changed, None where nobody knows.
    """

    project: ProjectIdentity
    origin: Origin
    where: str
    manifest: str
    invocation_id: str
    generated_at: datetime | None
    dbt_version: str
    adapter_type: str | None
    models: Mapping[ModelId, Model]
    tests: Mapping[TestId, Test]
    exposures: tuple[Exposure, ...] = ()
    var_names: frozenset[str] = frozenset()
    ephemeral: Mapping[ModelId, Digest] = {}
    vars_read: frozenset[str] = frozenset()
    declared_vars: Mapping[str, Digest] = {}
    flags: Mapping[str, object] = {}
    source_relations: Mapping[str, str] = {}
    unread_seeds: Mapping[ModelId, datetime | None] = {}
    id: ReleaseId | None = None

    def parent_versions(self, model: ModelId) -> dict[ModelId, Version]:
        """Return the versions that a model's own version names, by parent."""
        return {parent: self.models[parent].version for parent in self.models[model].parents}

    def parents_first(self, models: Collection[ModelId]) -> tuple[ModelId, ...]:
        """Return some of the models, each after those of them that it stands on, directly or through others."""
        ordered: dict[ModelId, None] = {}
        waiting = [(model, False) for model in sorted(models, reverse=True)]
        seen: set[ModelId] = set()
        while waiting:
            model, parents_done = waiting.pop()
            if parents_done:
                ordered[model] = None
            elif model not in seen:
                seen.add(model)
                waiting.append((model, True))
                waiting.extend((parent, False) for parent in reversed(self.models[model].parents))
        return tuple(model for model in ordered if model in models)
