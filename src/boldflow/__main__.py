"""Commands beside the workflow: ``python -m boldflow COMMAND``. Here arguments are parsed."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

# Options of check and new that say a key of the data set's entry.
KEYS = {
    "--pictures": ("stimuli_root", "folder or archive of the pictures (stimuli_root)"),
    "--subjects": ("subjects", "only these"),
    "--image-column": ("image_column", "the column of the events that names the picture"),
    "--task": ("task", "label of the task"),
    "--space": ("space", "space of the volumes, as fMRIPrep's names have it"),
    "--derivatives": ("derivatives", "fMRIPrep's folder: below the BIDS folder, or a full path"),
}


def parser() -> argparse.ArgumentParser:
    """Describe the commands and their arguments."""
    program = argparse.ArgumentParser(prog="python -m boldflow", description="Commands beside the workflow.")
    commands = program.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="print the head of a study's leaderboard and the report's place")
    show.add_argument("study", help="name of the study, or path of its file")
    estimate = commands.add_parser(
        "estimate",
        help="say what a study would fetch, keep and need, before anything is downloaded; exit code 0: it fits, 1: it "
        "will not, 2: it cannot be said",
    )
    estimate.add_argument("study", nargs="?", help="name of a study, or path of its file (default: the chosen one)")
    _takes_config(estimate)
    why = commands.add_parser("why", help="say what changed since a target was made and what would rerun")
    why.add_argument(
        "target",
        nargs="?",
        help="path of a result, name of a stage, or path of a study's file (default: the study's report)",
    )
    _takes_config(why)
    verify = commands.add_parser("verify", help="say what made a file, and whether it would be the same now")
    verify.add_argument("file", help="path of the file; exit code 0: the same, 1: it would differ, 2: cannot be said")
    _takes_config(verify)
    doctor = commands.add_parser("doctor", help="look at this machine or cluster and propose a profile for it")
    doctor.add_argument("--write", default="profiles/proposed", metavar="FOLDER", help="of the profile (%(default)s)")
    doctor.add_argument("--force", action="store_true", help="overwrite a profile that is there")
    doctor.add_argument("--no-jobs", action="store_true", help="run no short jobs on compute nodes")
    _add_check(commands)
    _add_new(commands)
    commands.add_parser("config-page", help="print config/README.md as the schemas describe it")
    return program


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        text, exit_code = _run(options)
    except (OSError, EOFError) as error:
        print(f"boldflow {options.command}: {error}", file=sys.stderr)
        return 2 if options.command in ("estimate", "why", "verify", "check", "new") else 1
    try:
        print(text, flush=True)
    except BrokenPipeError:  # whoever reads has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exit_code


def _run(options: argparse.Namespace) -> tuple[str, int]:
    """Import and call the command alone that was asked for: each works where another's imports would not."""
    if options.command == "show":
        from boldflow.commands.show import show

        return show(options.study), 0
    if options.command == "estimate":
        from boldflow.commands.estimate.estimate import estimate

        return estimate(_with_study(options.config, options.study), sys.stdout.isatty())
    if options.command == "why":
        from boldflow.commands.why import why

        if str(options.target).endswith((".yaml", ".yml")):
            return why(None, _with_study(options.config, options.target))
        return why(options.target, options.config)
    if options.command == "verify":
        from boldflow.commands.verify import verify

        return verify(options.file, options.config)
    if options.command == "doctor":
        from boldflow.commands.doctor.doctor import doctor

        return doctor(options.write, options.force, not options.no_jobs)
    if options.command == "check":
        from boldflow.commands.check.check import check

        return check(options.folder, _keys_said(options), options.response, options.json)
    if options.command == "new":
        from boldflow.commands.new.new import copy_study, new

        return (
            copy_study(options.name, options.study)
            if options.study
            else new(options.name, options.folder, _keys_said(options), options.response)
        )
    from boldflow.commands.config_page import config_page

    return config_page(), 0


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="look at a BIDS folder of yours, headers and tables only: what would stop or mislead a study, and what "
        "would be read; exit code 0: no check fails, 1: problems, 2: wrong use",
    )
    check.add_argument("folder", help="the BIDS folder")
    check.add_argument("--json", action="store_true", help="print one JSON object")
    _takes_keys(check)


def _add_new(commands: Any) -> None:
    new = commands.add_parser(
        "new",
        help="write the catalogue's entry and a study of a BIDS folder that check finds in order, or copy a study; "
        "exit code 0: written, 1: problems in the folder, 2: wrong use",
    )
    new.add_argument("name", help="of the entry and the study")
    origin = new.add_mutually_exclusive_group(required=True)
    origin.add_argument("--bids", dest="folder", metavar="FOLDER", help="the BIDS folder")
    origin.add_argument("--from", dest="study", metavar="STUDY", help="copy this study's file")
    _takes_keys(new)


def _takes_keys(command: argparse.ArgumentParser) -> None:
    """Options that say keys of the entry; without them the folder is asked."""
    for option, (key, text) in KEYS.items():
        n_values = "+" if key == "subjects" else None
        command.add_argument(option, dest=f"key_{key}", help=text, metavar=key.upper(), nargs=n_values)
    command.add_argument(
        "--set", dest="keys", nargs="+", default=[], type=_entry_key, metavar="KEY=VALUE",
        help="further keys of the entry, values as in YAML, such as events_where='{trial_type: [image]}'",
    )  # fmt: skip
    command.add_argument("--response", help="the catalogue's response whose windows must lie in the scans")


def _keys_said(options: argparse.Namespace) -> dict[str, Any]:
    """Give the keys of the entry that options say."""
    keys = {key: getattr(options, f"key_{key}") for key, _ in KEYS.values()}
    if keys["stimuli_root"] is not None:
        keys["stimuli_root"] = os.path.abspath(os.path.expanduser(keys["stimuli_root"]))
    return {key: value for key, value in keys.items() if value is not None} | dict(options.keys)


def _takes_config(command: argparse.ArgumentParser) -> None:
    words = "as for snakemake, for example study=haxby"
    command.add_argument("--config", nargs="+", default=[], type=_setting, metavar="KEY=VALUE", help=words)


def _with_study(config: list[str], study: str | None) -> list[str]:
    """Add a study to settings, as text: a name such as 2023_02 would be taken for a number."""
    return [*config, f"study=!!str {study}"] if study else config


def _entry_key(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE, the value as in YAML."""
    import yaml

    key, _, value = _setting(text).partition("=")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise argparse.ArgumentTypeError(f"{value!r} of {key} cannot be read as YAML") from None


def _setting(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form key=value")
    return text


if __name__ == "__main__":
    sys.exit(main())
