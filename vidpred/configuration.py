"""Where the configuration is, and how it is composed. Nothing heavy is imported here."""

import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from omegaconf import DictConfig

_PACKAGE = Path(__file__).resolve().parent


def find_conf() -> Path:
    """The folder of configurations: of the checkout where there is one, else of the installed package."""
    checkout = _PACKAGE.parent / "conf"
    return checkout if (checkout / "run.yaml").is_file() else _PACKAGE / "conf"


def compose(*overrides: str, verb: str = "run") -> "DictConfig":
    """Compose the configuration of a verb, as its command line would: for notebooks and tests.

    Args:
        overrides: what would stand on the command line, such as ``"kl_anneal=cyclical"``. A run writes to ``run_dir``,
            which is ``outputs/`` and the time, if not given.
        verb: whose configuration.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    register_resolvers()
    given = list(overrides)
    if verb == "run" and not any(override.startswith("run_dir=") for override in given):
        given.append(f"run_dir=outputs/{datetime.now():%Y-%m-%d/%H-%M-%S}")
    outer = GlobalHydra.instance().hydra  # of a verb that composes another configuration beside its own
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(config_dir=str(find_conf()), version_base="1.3"):
            return hydra.compose(verb, overrides=given)
    finally:
        GlobalHydra.instance().hydra = outer


def list_choices(cfg: "DictConfig") -> dict[str, Any]:
    """What tells one run from another: every group's choice, seed, epochs, learning rate, and what the user has set."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    hydra = HydraConfig.get()
    groups = {group: choice for group, choice in hydra.runtime.choices.items() if "/" not in group}
    keys = [override.partition("=")[0].lstrip("+~") for override in hydra.overrides.task]
    named = dict.fromkeys(["seed", "trainer.max_epochs", "optimizer.lr", *keys])
    aside = {*groups, "resume", "init_from"}
    settings = {key: OmegaConf.select(cfg, key) for key in named if key not in aside}
    return {key: value if isinstance(value, (int, float, str)) else str(value)
            for key, value in {**groups, **settings}.items()}  # fmt: skip


def list_varied() -> set[str]:
    """The choices that the sweep of this job varies; none in a single run."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    hydra = HydraConfig.get()
    record = Path(hydra.sweep.dir) / "multirun.yaml"  # the sweep as the user has written it
    if hydra.mode != RunMode.MULTIRUN or not record.is_file():
        return set()
    sweep = OmegaConf.load(record).hydra
    written = [*sweep.overrides.task, *(f"{key}={values}" for key, values in (sweep.sweeper.params or {}).items())]
    parsed = OverridesParser.create().parse_overrides(written)
    return {override.key_or_group for override in parsed if override.is_sweep_override()}


def register_resolvers() -> None:
    """Make the resolvers that the configuration uses known to OmegaConf."""
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("slug", slug, replace=True)


def slug(text: str) -> str:
    """A folder name from overrides: no ``=``, no separators, at most 80 characters."""
    return re.sub(r"[^\w.\-]+", "-", str(text)).strip("-")[:80] or "defaults"
