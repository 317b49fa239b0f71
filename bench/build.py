"""From a configuration to what it names."""

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from bench.errors import UserError


def build(cfg: DictConfig, where: str):
    """Instantiate a `_target_`; a missing key or a value that does not fit is the user's to mend."""
    for key in sorted(OmegaConf.missing_keys(cfg)):  # a partial function would miss it when it is called
        name = f"{where}.{key.removeprefix(f'{where}.')}"  # of a part that was cut out of its configuration, too
        raise UserError(f"{name} must be given: {name}=….")
    try:
        return instantiate(cfg, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        while cause is not None and not isinstance(cause, UserError):
            cause = cause.__cause__
        if isinstance(cause, UserError):
            raise cause from None
        if isinstance(error.__cause__, TypeError | ValueError | RuntimeError):
            whole = isinstance(error.__cause__, TypeError) and not cfg.get("_partial_")
            hint = "; a function that is called later needs _partial_: true beside its _target_" if whole else ""
            raise UserError(f"{where}: {error.__cause__}{hint}") from error
        if error.__cause__ is not None:  # of which the words alone often say little
            raise UserError(f"{where}: {type(error.__cause__).__name__}: {error.__cause__}") from error
        raise
