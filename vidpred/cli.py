"""The command line: finds the configuration, dispatches verbs, and turns errors of the user into one screen.

Every verb is a module: ``python -m vidpred.run …`` is ``vidpred run …``. Nothing heavy is imported here.
"""

import contextlib
import difflib
import os
import re
import runpy
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from vidpred.configuration import find_conf, register_resolvers
from vidpred.memory import keep_memory

if TYPE_CHECKING:
    from omegaconf import DictConfig

VERBS = {
    "run": "train a model",
    "prepare": "turn videos into data to train on",
    "evaluate": "score a checkpoint on held-out clips",
    "predict": "make a film of a picture and somebody's dance",
    "export": "hand a model on in another format",
    "report": "compare runs: tables, charts and films on a page",
}
# values of these are paths, patterns or lists: they are quoted, so that Hydra's grammar takes them as they are
PATH_OPTIONS = {"resume", "init_from", "ckpt", "out", "runs", "image", "poses", "data.root", "data.cache"}
PATH_OPTIONS |= {"data.frames", "data.pose_images", "data.keypoints", "data.skeleton"}
PATH_OPTIONS |= {"source", "verify", "crop", "pose_estimator.files", "pose_estimator.weights"}
PATH_OPTIONS |= {"skeleton", "score", "submission", "lab.root", "hydra.run.dir", "hydra.sweep.dir"}
_MULTIRUN = ("-m", "--multirun")
_PACKAGE = Path(__file__).resolve().parent


class Failure(NamedTuple):
    """A job of a sweep that failed."""

    job: int
    error: Exception

    def __str__(self) -> str:
        return f"job {self.job} failed: {self.error}"


def main() -> None:
    """The console script: ``vidpred VERB …``."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["-sc"]:  # the shell asks for completions of the verb that stands on its line
        arguments = _completed_verb() + arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: vidpred VERB [option=value ...]\n")
        print("\n".join(f"  {verb:<10} {meaning}" for verb, meaning in VERBS.items()))
        print("\nvidpred VERB --help shows the options of a verb.")
        return
    if arguments[0] in ("-V", "--version"):
        from vidpred import __version__

        print(f"vidpred {__version__}")
        return
    verb = arguments[0]
    if verb not in VERBS:
        _fail(f"there is no verb {verb!r}{_did_you_mean(verb, VERBS)}; verbs are {', '.join(VERBS)}")
    sys.argv = [sys.argv[0], *arguments[1:]]
    # as __main__, so that Lightning starts further processes with ``python -m vidpred.VERB``
    runpy.run_module(f"vidpred.{verb}", run_name="__main__", alter_sys=True)


def launch(verb: str, task: "Callable[[DictConfig], Any]") -> None:
    """Compose the configuration of a verb from ``sys.argv`` and call its task with it.

    What the user did wrong ends in one line on standard error and exit code 2. In a multirun a job that fails is
    reported, and the others go on.
    """
    arguments = [_quote_path(argument) for argument in sys.argv[1:]]
    arguments.sort(key=lambda argument: argument not in _MULTIRUN)  # Hydra takes the flag before or after all options
    if any(argument in ("-h", "--help") for argument in arguments):
        from vidpred.cli_help import render_help

        print(render_help(verb, find_conf()))
        return
    try:
        if verb == "run":
            arguments = _name_sweep(_continue_run(arguments))
        sys.argv = [sys.argv[0], *arguments]
        failures: list[Failure] = []
        sweep = _sweep_of(arguments) if verb == "run" else None
        try:
            _run_hydra(verb, task, failures)
        except Exception:
            if not failures:
                raise
        if sweep is not None:
            from vidpred.sweeping import finish_sweep

            finish_sweep(sweep, [str(failure) for failure in failures])
        if failures:
            sys.exit(2 if all(_is_users(failure.error) for failure in failures) else 1)
    except Exception as error:
        _explain(error, verb, arguments)


def _run_hydra(verb: str, task: "Callable[[DictConfig], Any]", failures: list[Failure]) -> None:
    """Let Hydra call the task, once or for every job of a sweep; what fails in jobs is added to ``failures``."""
    keep_memory()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands errors on instead of printing them
    import hydra

    register_resolvers()
    failure: list[Exception] = []

    def guarded(cfg: "DictConfig") -> Any:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        hydra_config = HydraConfig.get()
        try:
            return task(cfg)
        except Exception as error:
            code = getattr(error, "exit_code", None)  # of a run that was told to stop: a sweep stops with it
            if code is not None:
                print(f"vidpred: {error}", file=sys.stderr)
                sys.exit(code)
            if verb == "run":
                _mark_failed(Path(hydra_config.runtime.output_dir), error)
            if hydra_config.mode == RunMode.MULTIRUN:
                failures.append(Failure(hydra_config.job.num, error))
                print(f"vidpred: {failures[-1]}", file=sys.stderr)
                if not _is_users(error):
                    traceback.print_exception(error)
                raise
            failure.append(error)  # not through Hydra, which would print the overrides first
            return None

    hydra.main(config_path=str(find_conf()), config_name=verb, version_base="1.3")(guarded)()
    for error in failure:
        raise error


def _mark_failed(folder: Path, error: Exception) -> None:
    """Leave in the folder of a run, if it has begun, why it ended; reports say so."""
    from vidpred.runfolder import RunFolder

    if (folder / "run.json").is_file():
        with contextlib.suppress(OSError):  # a full disk may be why it ended
            RunFolder(folder).write_json("failed.json", {"error": str(error) or type(error).__name__})


def _explain(error: Exception, verb: str, arguments: Sequence[str]) -> None:
    """End the program: one screen for what the user did, the traceback for what we did."""
    from hydra.errors import HydraException
    from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

    if isinstance(error, MissingMandatoryValue):
        _fail(f"{error.full_key}=… is needed; python -m vidpred.{verb} --help shows the options")
    if isinstance(error, (HydraException, OmegaConfBaseException)):
        from vidpred.cli_help import explain_overrides

        _fail(explain_overrides(error, verb, find_conf(), arguments))
    if isinstance(error, ValueError) and "Config group override" in str(error):
        _fail("a group takes one of its choices, not null: leave the option out")
    if _is_users(error) and not os.environ.get("VIDPRED_TRACEBACK"):
        _fail(str(error))
    traceback.print_exception(error)
    sys.exit(1)


def _is_users(error: BaseException) -> bool:
    """Whether our own code raised it on purpose, to tell the user something."""
    if isinstance(error, OSError) or type(error).__module__.split(".")[0] == "vidpred":
        return True
    if not isinstance(error, ValueError):
        return False
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and Path(frames[-1].filename).resolve().is_relative_to(_PACKAGE)


def _fail(message: str) -> None:
    print(f"vidpred: error: {message}", file=sys.stderr)
    sys.exit(2)


def _did_you_mean(word: str, choices: Sequence[str] | dict[str, str]) -> str:
    close = difflib.get_close_matches(word, list(choices), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _quote_path(argument: str) -> str:
    """``key=value`` with the value quoted for Hydra's grammar, where the key names a path."""
    key, equals, value = argument.partition("=")
    name = key.lstrip("+")
    if not equals or name not in PATH_OPTIONS or value in ("", "null"):
        return argument
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return argument
    # in Hydra's quoted strings a quote is escaped, and backslashes only right before one
    escaped = re.sub(r"(\\*)'", lambda found: found.group(1) * 2 + r"\'", value)
    escaped = re.sub(r"(\\+)$", lambda found: found.group(1) * 2, escaped)
    if not name.startswith("hydra."):  # those may interpolate: ${now:%Y}
        escaped = escaped.replace("${", r"\${")
    return f"{key}='{escaped}'"


def _continue_run(arguments: list[str]) -> list[str]:
    """``resume=PATH``: compose as the run was composed, in its folder; options given now win.

    Raises:
        ValueError: if the path is no run folder and no checkpoint inside one.
    """
    given = {key: value for key, _, value in (argument.partition("=") for argument in arguments)}
    resume = _unquote(given.get("resume", "null"))
    if resume in ("null", "auto", ""):
        return arguments
    path = Path(resume).expanduser().resolve()
    folder = next(
        (place for place in (path, *path.parents[:2]) if (place / ".hydra" / "overrides.yaml").is_file()), None
    )
    if not path.exists() or folder is None:
        raise ValueError(
            f"resume={resume}: expected the folder of a run, or a checkpoint inside one; "
            f"to start a new run from a checkpoint's weights use init_from=…"
        )
    from omegaconf import OmegaConf

    kept = [str(override) for override in OmegaConf.load(folder / ".hydra" / "overrides.yaml")]
    before = [override for override in kept if override.partition("=")[0].lstrip("+~") not in given]
    return [*before, *arguments, _quote_path(f"hydra.run.dir={folder}")]


def _name_sweep(arguments: list[str]) -> list[str]:
    """Fix the folder of a sweep: the processes of its jobs repeat this command, and must find the same folder."""
    given = {argument.partition("=")[0] for argument in arguments}
    if "hydra.sweep.dir" in given or not given & {*_MULTIRUN, "sweep"}:
        return arguments
    folder = Path("multirun") / f"{datetime.now():%Y-%m-%d}" / f"{datetime.now():%H-%M-%S}"
    names = (folder, *(folder.with_name(f"{folder.name}-{number}") for number in range(2, 1000)))
    free = next(path for path in names if not path.exists())
    return [*arguments, _quote_path(f"hydra.sweep.dir={free}")]


def _sweep_of(arguments: Sequence[str]) -> Path | None:
    """The folder of the sweep that a command starts, if it is one."""
    given = {key: value for key, _, value in (argument.partition("=") for argument in arguments)}
    if "hydra.sweep.dir" not in given or not given.keys() & {*_MULTIRUN, "sweep"}:
        return None
    return Path(_unquote(given["hydra.sweep.dir"]))


def split_list(value: str) -> list[str]:
    """Paths of an option that takes one or several: ``[a,b]`` is two, unless something has this very name."""
    if value.startswith("[") and value.endswith("]") and not Path(value).exists():
        return [_unquote(part.strip()) for part in value[1:-1].split(",") if part.strip()]
    return [value]


def _unquote(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1].replace("\\'", "'")
    return value


def _completed_verb() -> list[str]:
    """The verb on the shell's line, taken out of it, so that Hydra sees its own options only."""
    words = os.environ.get("COMP_LINE", "").split(" ")
    if len(words) > 2 and words[1] in VERBS:
        os.environ["COMP_LINE"] = " ".join([words[0], *words[2:]])
        return [words[1]]
    return ["run"]
