"""The call that turns a part of a configuration into what it names."""

import os
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

_TRUSTED = ("vidpred.networks", "vidpred.data", "vidpred.pose", "vidpred.schedules", "torch.nn")  # what models are of
_WIDENED = "VIDPRED_TRUSTED_CODE"  # environment variable: packages that the user trusts, between commas


def build(cfg: DictConfig, **extra: Any) -> Any:
    """Instantiate what a part of the configuration names.

    Raises:
        ValueError: what the constructor raised, or that it has no such option.
    """
    try:
        return instantiate(cfg, **extra, _convert_="all")
    except InstantiationException as error:
        if isinstance(error.__cause__, ValueError):
            raise error.__cause__ from None
        raise ValueError(" ".join(str(error).split())) from error


def to_plain(cfg: DictConfig) -> dict[str, Any]:
    """The configuration, resolved, as dicts, lists and scalars alone."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def refuse_foreign_code(config: Any, *, name: str) -> None:
    """Refuse a configuration that came with a model, if it would call what is not trusted.

    The configuration inside a checkpoint is a stranger's: what it builds must be a class or function of the rooms of
    vidpred that models and data are of, of ``torch.nn``, or of a package that the environment variable
    ``VIDPRED_TRUSTED_CODE`` names. That a path begins so is not enough, since modules have others inside of them
    (``vidpred.data.store.os.system``): the object must have been defined there.

    Args:
        config: plain containers.
        name: of where it came from.

    Raises:
        ValueError: for the first target that is not trusted.
    """
    if isinstance(config, dict):
        if "_target_" in config:
            _refuse_target(config["_target_"], name)
        for value in config.values():
            refuse_foreign_code(value, name=name)
    elif isinstance(config, (list, tuple)):
        for value in config:
            refuse_foreign_code(value, name=name)


def _refuse_target(target: Any, name: str) -> None:
    refusal = (f"{name} wants to call {target}, which is not code of vidpred's models and data or of torch.nn: nothing "
               f"of it was run. If you trust it, name its package in {_WIDENED}")  # fmt: skip
    if not isinstance(target, str) or not _is_trusted(target):
        raise ValueError(refusal)
    try:
        found = get_object(target)
    except Exception as error:  # importing what is not there; Hydra's own policy
        raise ValueError(f"{name} wants to call {target}, which does not exist here: {error}") from None
    home = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    if not callable(found) or not _is_trusted(home):
        raise ValueError(refusal)


def _is_trusted(path: str) -> bool:
    widened = [package.strip() for package in os.environ.get(_WIDENED, "").split(",") if package.strip()]
    return any(path.startswith(f"{package}.") for package in (*_TRUSTED, *widened))
