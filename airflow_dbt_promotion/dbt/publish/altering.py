"""What a build beside needs of a project's code: its dialect, its parse altered, its relations found and named."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from airflow_dbt_promotion.core.beside import Arrangement, ArrangeRequest
from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import Environment, Strategy
from airflow_dbt_promotion.core.errors import ConfigError, PromotionError
from airflow_dbt_promotion.core.graph import KINDS
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.core.orders import BuildRequest, Mark
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.desk import Desk
from airflow_dbt_promotion.dbt.marks import marked
from airflow_dbt_promotion.dbt.publish.dialect import Dialect, Located
from airflow_dbt_promotion.dbt.publish.dialects import DIALECTS, cannot
from airflow_dbt_promotion.dbt.publish.literals import names_in_texts
from airflow_dbt_promotion.dbt.publish.relocation import TAG, chosen, located, relocated
from airflow_dbt_promotion.dbt.publish.swapping import Swapping


def dialect_of(definition: Definition) -> Dialect:
    """Return the dialect of the adapter that a project was parsed with. Raises ConfigError where there is none."""
    why = cannot(Strategy.BLUE_GREEN, definition.adapter_type)
    if why is not None:
        raise ConfigError("strategy", why)
    return DIALECTS[definition.adapter_type or ""]


def swapping(desk: Desk, definition: Definition, environment: Environment) -> Swapping:
    """Return what swaps in an environment's warehouse. Raises ConfigError where that is not known."""
    return Swapping(desk, dialect_of(definition), environment, definition.project.name)


def fill(
    desk: Desk, definition: Definition, environment: Environment, arrangement: Arrangement | None
) -> Mapping[ModelId, str]:
    """Put rows beside, where a build begins with some; see `Swapping.fill`."""
    return {} if arrangement is None else swapping(desk, definition, environment).fill(arrangement)


def unfit(target_path: Path, definition: Definition, arrangement: Arrangement | None) -> tuple[str, ...]:
    """Return why what was built beside is not fit to be seen, though all went well; see `literals`."""
    if arrangement is None:
        return ()
    return tuple(names_in_texts(target_path, arrangement, definition, dialect_of(definition)))


def altered(
    definition: Definition, environment: Environment, mark: Mark | None, beside: BuildRequest | None = None
) -> Callable[[bytes], bytes] | None:
    """Return what is done to a parse before it is built: models lie beside, or leave marks. None for neither.

    What is built beside leaves its marks when it is swapped into place; what is to be executed can be told by a tag.
    """
    if beside is not None and beside.arrangement is not None:
        places = {one.model: one.next for one in beside.arrangement.besides}
        ids = [*(model.id for model in beside.models), *(test.id for test in beside.tests)]
        dialect = dialect_of(definition)
        return lambda parse: chosen(relocated(parse, places, dialect), ids)
    if mark is None:
        return None
    name, models = definition.project.name, _built(definition)
    return lambda parse: marked(parse, name, environment, mark, models)


def places_in(parse: bytes, models: Iterable[ModelId], definition: Definition) -> Mapping[ModelId, Place]:
    """Return where models of a parse lie, but for those that cannot be told."""
    found = located(parse, models, dialect_of(definition))
    return {node.model: node.place for node in found if isinstance(node, Located)}


def origins(
    request: ArrangeRequest,
    composition: Composition | None,
    definition: Definition,
    parse_of: Callable[[ReleaseId | None], bytes],
) -> Mapping[ModelId, Place]:
    """Return where models lie in the environment that is cloned from: each in its own release, or as at hand.

    `parse_of` gives the parse of a release (None: of the project at hand) for that environment.
    """
    if composition is None:
        return places_in(parse_of(None), request.models, definition)
    found: dict[ModelId, Place] = {}
    for release in sorted({composition.origins[model] for model in request.models}):
        models = [model for model in request.models if composition.origins[model] == release]
        found |= places_in(parse_of(release), models, definition)
    return found


def granted_before(
    models: Collection[ModelId],
    request: ArrangeRequest,
    definition: Definition,
    parse_of: Callable[[ReleaseId | None], bytes],
) -> Mapping[ModelId, tuple[str, ...]]:
    """Return which privileges the config of what is replaced granted, as far as its release can be parsed."""
    found: dict[ModelId, tuple[str, ...]] = {}
    for release in sorted({request.served[model] for model in models if model in request.served}):
        with suppress(PromotionError):
            mine = [model for model in models if request.served.get(model) == release]
            nodes = located(parse_of(release), mine, dialect_of(definition))
            found |= {node.model: node.grants for node in nodes if isinstance(node, Located)}
    return found


def in_place(manifest: bytes, arrangement: Arrangement | None) -> bytes:
    """Return a manifest that says where readers see each relation, in place of where it was built."""
    if arrangement is None:
        return manifest
    endings: set[bytes] = set()
    for beside in arrangement.besides:
        # Names stand in JSON, and there in SQL as well, whose quotes and letters beyond ASCII JSON writes in its way.
        next_, place = (json.dumps(one.identifier)[1:-1].encode() for one in (beside.next, beside.place))
        if next_.startswith(place) and next_.endswith(arrangement.token.encode()):
            endings.add(next_.removeprefix(place))
        else:
            manifest = manifest.replace(next_, place)
    # A manifest is long. What most names end with is the same, made for this swap alone, and met nowhere else.
    for text in (*endings, f'"{TAG}", '.encode(), f'"{TAG}"'.encode()):
        manifest = manifest.replace(text, b"")
    return manifest


def _built(definition: Definition) -> list[str]:
    """Return what leaves a relation in the warehouse."""
    return [id_ for id_, node in definition.nodes.items() if node.resource_type in KINDS and not node.is_ephemeral]
