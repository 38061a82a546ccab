"""The call that turns a part of a configuration into what it names."""

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf


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
