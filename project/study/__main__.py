"""Ask people what they see of a run's adversarial images: serve, invite, export, analyse."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from project.core.errors import InputError, plain_errors
from project.storage.lock import alone
from project.study.analysis import analysed
from project.study.answers import answers, measured, write_answers
from project.study.create import open_or_make, study_path
from project.study.database import Database
from project.study.findings import write_findings
from project.study.raters import invite, invited
from project.study.screening import MINIMUM, screened
from project.study.settings import LEAST


def main(arguments: list[str] | None = None) -> None:
    """Do what the command line says."""
    given = vars(_parser().parse_args(arguments))
    command: Callable[..., None] = given.pop("command")
    with plain_errors("Every answer is kept: the same command goes on."):
        command(**given)


def serve(
    run: Path, study: str, raters: int, host: str, port: int, address: str | None, **design: Any
) -> None:
    """Make the study if there is none, and serve it."""
    try:
        from project.study import serving  # noqa: PLC0415 - optional
    except ModuleNotFoundError as error:
        raise InputError(
            f"a study is served by {error.name}, which is not installed. Run pip install "
            "'mirage-attacks[study]'."
        ) from error
    path = study_path(run, study)
    with (
        serving.listening(host, port) as listener,  # or nobody is invited
        # Two servers would each keep a time and answers of their own.
        alone(
            path.with_name(f".{path.stem}.lock"),
            lambda holder: (
                f"a study is served by one server, and {holder} has {path} open. End that one "
                "first, or give a new study another name with --study."
            ),
        ),
    ):
        database = open_or_make(run, study, design)
        address = address or f"http://{host}:{listener.getsockname()[1]}"
        _print_links(database, raters - invited(database), address)
        print(f"serving {database.path} at {address}; stop with Ctrl-C, every answer is kept")
        sys.stdout.flush()  # links are shown only once
        serving.serve(database, host, listener, address)


def more(run: Path, study: str, raters: int, address: str) -> None:
    """Invite further raters; the study may be served meanwhile."""
    _print_links(Database(study_path(run, study)), raters, address)


def export(run: Path, study: str, minimum: float) -> None:
    """Write every judgement, joined with what the run measured."""
    database = Database(study_path(run, study))
    found = answers(database)
    raters = screened(found, database.settings.checks > 0, minimum)
    accepted = {one.rater for one in raters if one.accepted}
    for path in write_answers(run / study, found, accepted, measured(database)):
        print(path)


def analyse(run: Path, study: str, minimum: float) -> None:
    """Write the study's numbers and tables."""
    database = Database(study_path(run, study))
    found = analysed(database.settings, answers(database), measured(database), minimum)
    for path in write_findings(run / study, found):
        print(path)


def _print_links(database: Database, count: int, address: str) -> None:
    for token in invite(database, max(0, count)):
        print(f"{address.rstrip('/')}/join/{token}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mirage study", description=__doc__)
    commands = parser.add_subparsers(required=True)
    _add_serve(_command(commands, "serve", serve))
    adding = _command(commands, "invite", more)
    adding.add_argument("--raters", type=int, default=1, help="how many more")
    adding.add_argument("--address", default="http://127.0.0.1:8000", help="as raters reach it")
    for name, command in (("export", export), ("analyse", analyse)):
        _command(commands, name, command).add_argument(
            "--minimum",
            type=float,
            default=MINIMUM,
            help="least share of attention checks that a rater must get right to count",
        )
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[..., None],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
    parser.set_defaults(command=command)
    parser.add_argument("run", type=Path, help="the folder of a run of attack.py")
    parser.add_argument(
        "--study", default="study", help="name of the study, and of its files in the run's folder"
    )
    return parser


def _add_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--raters", type=int, default=1, help="invite so many in all")
    parser.add_argument("--host", default="127.0.0.1", help="interface to listen on")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--address", help="as raters reach it, if not http://HOST:PORT")
    new = parser.add_argument_group("a new study", argument_default=argparse.SUPPRESS)
    new.add_argument("--design", choices=("paper", "2afc"), help="default: paper")
    new.add_argument("--attacks", nargs="+", help="those to judge; default: all of the gallery")
    new.add_argument("--source", help="the victim attacked; default: that with most pictures")
    new.add_argument("--consent", type=Path, help="a text file with what raters agree to")
    for name in LEAST:
        new.add_argument(f"--{name}", type=int)


if __name__ == "__main__":
    main()
