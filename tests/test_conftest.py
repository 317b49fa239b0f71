"""What the tests make cheaper is what users get."""

import pytest
from conftest import with_values
from hydra.errors import HydraException
from omegaconf import OmegaConf

from bench.choices import CONF, stamps

LINES = [
    "method=la model=tiny metric=[unified,kl] metric.unified.step=3 compute.batch_size=2 +method.post=[abs] run.seed=3",
    "experiment=la_table1 model=tiny experiment.steps=28 data.ids=[a,b] paths.results=elsewhere run.seed=1 run.seed=2",
    "method=cam +method.arguments.x=2 method.name=GradCAM ~model.size hydra.run.dir=elsewhere ++model.more={a:1}",
]


@pytest.mark.parametrize("line", LINES)
def test_values_set_after_composing_are_those_that_hydra_sets(line, composed_once):
    both = [
        of(CONF, tuple(line.split()), stamps()) for of in (composed_once, lambda *a: with_values(composed_once, *a))
    ]
    for cfg in both:
        del cfg.hydra.job  # names the folder of a sweep's job, which nobody reads
    hydras, of_files = both
    assert OmegaConf.to_yaml(hydras) == OmegaConf.to_yaml(of_files)


@pytest.mark.parametrize(
    "wrong", ["method.stepz=3", "+method.post=[abs] +method.post=x", "run.seed=1,2", "~model.none"]
)
def test_what_hydra_refuses_is_refused_in_its_words(wrong, composed_once):
    line = ("method=la", *wrong.split())
    with pytest.raises(HydraException) as hydras:
        composed_once(CONF, line, stamps())
    with pytest.raises(HydraException) as ours:
        with_values(composed_once, CONF, line, stamps())
    assert str(ours.value) == str(hydras.value)
