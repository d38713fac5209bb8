"""The command about the configuration: check it, show what holds, print the schema of promotion.yml.

It is carried out without an engine where it can be, since one cannot be made of a configuration that is wrong.
"""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from airflow_dbt_promotion.cli.failures import ExitCode
from airflow_dbt_promotion.cli.terminal import Terminal, Told
from airflow_dbt_promotion.config import Config, load_config
from airflow_dbt_promotion.config.checking import Problem, problems_of
from airflow_dbt_promotion.config.inference import targets_of
from airflow_dbt_promotion.config.origins import Origins
from airflow_dbt_promotion.config.promotion_file import find_promotion_file
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.errors import ConfigError, InputError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.labels import labels_of
from airflow_dbt_promotion.core.names import split
from airflow_dbt_promotion.engine import Engine

MakeEngine = Callable[[], Engine]


def configuration(args: Namespace, make: MakeEngine, terminal: Terminal) -> ExitCode:
    """Do what the verb says."""
    return VERBS[args.verb](args, make, terminal)


def _check(args: Namespace, make: MakeEngine, terminal: Terminal) -> ExitCode:
    """Tell every mistake in the configuration, and what can hardly be meant."""
    from airflow_dbt_promotion.render import checked as telling  # noqa: PLC0415 - each command reads only what it needs

    project_dir = _project_dir(args)
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    file: Path | None = None
    try:
        file = find_promotion_file(project_dir)
        problems = problems_of(file) if file is not None else ()
        if not problems:
            make()
            config, origins = _config(args), Origins(project_dir)
            problems = tuple(_missing_targets(config, origins))
            warnings = tuple(_warnings(config, origins))
    except ConfigError as error:
        problems = (Problem(where=error.where, problem=error.problem),)
    except InputError as error:
        problems = (Problem(where=str(project_dir), problem=str(error)),)
    found = telling.Checked(checked=str(file or project_dir), problems=problems, warnings=warnings)
    terminal.answer(
        Told(
            text=lambda page: telling.text(found, page),
            markdown=lambda: telling.as_markdown(found),
            document=lambda: telling.document(found),
        )
    )
    return ExitCode.BAD_INPUT if problems else ExitCode.DONE


def _show(args: Namespace, make: MakeEngine, terminal: Terminal) -> ExitCode:
    """Tell what holds for environments, or of one of them for some models, and where each value comes from."""
    from airflow_dbt_promotion.render import configuration as telling  # noqa: PLC0415 - as late

    engine, names = make(), split(args.models)
    if args.models is not None and names is None:
        raise ConfigError("--models", "name the models; all-validated is for `promote`")
    config, origins = _config(args), Origins(_project_dir(args))
    path = engine.path
    places = path.environments if args.environment is None else (path.get(args.environment),)
    if names is not None and args.environment is None:
        places = (path.last(),)
    shown = telling.Shown(
        origin=config.origin,
        environments=places,
        policies={} if names is None else engine.observer.policies(places[0].name, names),
        of=origins.of,
    )
    terminal.answer(
        Told(
            text=lambda page: telling.text(shown, page),
            markdown=lambda: telling.as_markdown(shown),
            document=lambda: telling.document(shown),
        )
    )
    return ExitCode.DONE


def _schema(args: Namespace, make: MakeEngine, terminal: Terminal) -> ExitCode:  # noqa: ARG001 - as every verb
    """Print the JSON Schema of promotion.yml, whatever the format."""
    from airflow_dbt_promotion.render.schemas import rendered_file_schema  # noqa: PLC0415 - as late

    terminal.out.write(rendered_file_schema())
    return ExitCode.DONE


VERBS: Mapping[str, Callable[[Namespace, MakeEngine, Terminal], ExitCode]] = {
    "check": _check,
    "show": _show,
    "schema": _schema,
}


def _project_dir(args: Namespace) -> Path:
    """Return where the project is."""
    return Path(args.dbt_project_dir).expanduser().absolute()


def _config(args: Namespace) -> Config:
    """Return the configuration of the project at hand."""
    profiles = Path(args.profiles_dir) if args.profiles_dir is not None else None
    return load_config(_project_dir(args), profiles_dir=profiles, profile=args.profile, environ=os.environ)


def _missing_targets(config: Config, origins: Origins) -> Iterator[Problem]:
    """Yield the environments whose target the profile does not have, where a profile can be read here."""
    found = targets_of(config.profiles_dir, config.profile)
    for place in config.path.environments if found.names is not None else ():
        if place.target not in (found.names or ()):
            has = ", ".join(found.names or ()) or "none"
            yield Problem(
                where=origins.of("environments", place.name, "target"),
                problem=f"environments.{place.name}.target is {place.target!r}, and {found.where} has no such target; "
                f"its targets are {has}",
            )


def _warnings(config: Config, origins: Origins) -> Iterator[Problem]:
    """Yield what can be used and can hardly be meant: rules that mean nothing, or that nobody asks."""
    parsed = _parsed(config) if any(place.rules for place in config.path.environments) else None
    for place in config.path.environments:
        for index, rule in enumerate(place.rules):
            where = origins.of("environments", place.name, "rules", index)
            if place.promotes_from is None:
                problem = f"nothing is promoted into {place.name}, so nobody asks its rule {rule.called!r}"
                yield Problem(where=where, problem=problem)
            elif parsed is not None and not any(
                rule.means(labels) for node in parsed.nodes if (labels := labels_of(parsed, ModelId(node))) is not None
            ):
                problem = f"the rule {rule.called!r} means no model of the project, as dbt parsed it last"
                yield Problem(where=where, problem=problem)


def _parsed(config: Config) -> Definition | None:
    """Return what dbt parsed last, None where it left nothing that can be read."""
    from airflow_dbt_promotion.dbt.artifacts import read_definition  # noqa: PLC0415 - only rules need it

    try:
        return read_definition(config.target_path, config.project_dir)
    except InputError:
        return None
