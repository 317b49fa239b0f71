"""Captum (https://captum.ai): gradients and occlusion, a pass as wide as ours."""

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from bench.benchmark.contest import Library, Material

CAPTUM = Library("captum", "captum", "captum", '"heatproof[captum]"')


def integrated_gradients(material: Material) -> Tensor:
    """Its weights, 1/steps and half of it at both ends, sum to 1 - 1/steps and ours to 1."""
    from captum.attr import IntegratedGradients

    x, steps = material.on.x, material.settings["steps"]
    made = IntegratedGradients(probability(material)).attribute(
        x,
        torch.full_like(x, material.settings["baseline"]),
        target=material.on.target,
        n_steps=steps,
        method="riemann_trapezoid",
        internal_batch_size=material.width,
    )
    return made.detach() / (1 - 1 / steps)


def smooth_grad(material: Material) -> Tensor:
    from captum.attr import NoiseTunnel, Saliency

    made = NoiseTunnel(Saliency(probability(material))).attribute(
        material.on.x.clone(),
        nt_type="smoothgrad",
        nt_samples=material.settings["draws"],
        nt_samples_batch_size=1,
        stdevs=material.settings["sigma"],
        target=material.on.target,
        abs=False,
    )
    return made.detach()


def smooth_grad_under_our_noise(material: Material) -> Tensor:
    with OurNoise(material):
        return smooth_grad(material)


class OurNoise(TorchFunctionMode):
    """Answers torch.normal(0, sigma) from the streams of the images, a draw after the other."""

    def __init__(self, material: Material):
        super().__init__()
        self.rng = material.job.rng(material.on.ids, material.on.x.device)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") == "normal":
            return self.rng.normal(*args[1].shape[1:]).to(args[1]) * args[1]
        return func(*args, **kwargs or {})


def deeplift(material: Material) -> Tensor:
    from captum.attr import DeepLift

    x = material.on.x
    of = probability(material) if material.settings["objective"] == "probability" else material.net
    made = DeepLift(of).attribute(
        x.clone(), torch.full_like(x, material.settings["baseline"]), target=material.on.target
    )
    return made.detach()


def occlusion(material: Material) -> Tensor:
    from captum.attr import Occlusion

    with torch.no_grad():
        return Occlusion(probability(material)).attribute(
            material.on.x,
            target=material.on.target,
            baselines=material.settings["baseline"],
            **{
                key: tuple(material.settings["arguments"][key]) for key in ("sliding_window_shapes", "strides")
            },
        )


def probability(material: Material) -> nn.Module:
    return nn.Sequential(material.net, nn.Softmax(dim=1))
