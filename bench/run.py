"""python -m bench.run method=la model=resnet50: attribute, score, store. `--help` lists all choices, -m sweeps."""

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from tqdm import tqdm

from bench.config import CONF, Config, chosen
from bench.errors import UserError
from bench.experiments.plan import of_cell
from bench.running.forecast import forecast
from bench.running.job import Cell, open_cell
from bench.running.runner import missing, run
from bench.running.summary import summary
from bench.text import count


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(cfg: DictConfig) -> None:
    hydra_cfg = HydraConfig.get()
    config = Config(cfg, chosen(cfg, hydra_cfg.runtime.choices), list(hydra_cfg.overrides.task))
    try:
        failed = carry_out(open_cell(of_cell(config)))
        if failed:
            image, why = next(iter(failed.items()))
            raise UserError(f"{count(len(failed), 'image')} failed; {image}: {why}. The next run tries again.")
    except UserError as error:
        if hydra_cfg.mode == RunMode.MULTIRUN:  # Hydra runs the other cells first, then exits 1
            raise CompactHydraException(f"error: {error}") from error
        sys.exit(f"error: {error}")


def carry_out(cell: Cell) -> dict[str, str]:
    """Compute what is missing, with a forecast before and the means after. Returns the failed images and why."""
    work = missing(cell)
    names = cell.config.names
    wanted = ", ".join(cell.metrics) or "maps alone"
    print(f"{names['method']} on {names['model']}, {names['data']}: {wanted}", file=sys.stderr)
    there = len(cell.ids) - len(work)
    if not work:
        print(f"Nothing to compute. There already: {count(there, 'image')}.", file=sys.stderr)
    else:
        lacking = [metric for metric in cell.metrics if any(metric in metrics for metrics in work.values())]
        cost = forecast(cell, lacking).line(len(work), cell.compute.batch_size)
        before = f"There already: {count(there, 'image')}. " if there else ""
        print(f"{before}To do: {cost}", file=sys.stderr)
        for metric in lacking or ([] if cell.metrics else [None]):
            cell.record(metric)
        with tqdm(total=len(work), unit="image", smoothing=0.05) as bar:
            for images in run(cell, work):
                bar.update(images)
    text, failed = summary(cell)
    print(text)
    return failed


if __name__ == "__main__":
    main()
