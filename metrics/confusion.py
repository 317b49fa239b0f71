"""The colour that tells a network least: AII's Confusion Feature Algorithm, the baseline of the fair scores.

One colour per network: the constant image whose prediction has the largest entropy. By Jensen, S = Σ log p_j is largest
where p is uniform, so the search ascends S: x ← clip(x + α sign ∂S/∂x). (AII's Eq. 3 and Algorithm 2 print a minus, which
makes the network more certain; its Appendix B, Eq. 9–11, has the plus.) Step sizes and starts are not stated there.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.rng import Rng


@dataclass(frozen=True)
class Confusion:
    """colour: R, G, B in [0, 1].  entropy: of the prediction, in nats, at most log C.  kl: KL(uniform || p), in nats."""

    colour: tuple[float, float, float]
    entropy: float
    kl: float


@torch.inference_mode(False)  # a metric asks for the colour while it only infers
def search(
    model: nn.Module,
    rng: Rng,
    size: int,
    *,
    starts: int = 32,
    steps: int = 200,
    first: float = 0.02,
    last: float = 1 / 255,
) -> Confusion:
    """Sign ascent from `starts` random colours, the step falling linearly from `first` to `last`; the best colour met.

    Black, white, mid-grey and the normalisation mean are candidates too: where a network sees an all-zero tensor there
    can be an optimum as thin as a needle. Costs starts · steps forward and backward passes, once per network.
    """
    named = torch.stack([torch.zeros(3), torch.ones(3), torch.full((3,), 0.5), model.mean.flatten().cpu()]).to(
        model.mean  # type: ignore[arg-type]
    )
    colours = rng.uniform(starts, 3)[0].to(model.mean)  # type: ignore[arg-type]
    best = _best(model, named, size)
    for k in range(steps + 1):
        with torch.enable_grad():
            colours.requires_grad_()
            log_p = model(_plain(colours, size)).log_softmax(dim=1)
            (gradient,) = torch.autograd.grad(log_p.sum(), colours)
        colours, log_p = colours.detach(), log_p.detach()
        best = max(best, _pick(colours, log_p), key=lambda found: found.entropy)
        alpha = first + (last - first) * k / max(steps, 1)
        colours = (colours + alpha * gradient.sign()).clamp(0, 1)
    return best


@torch.inference_mode()
def _best(model: nn.Module, colours: Tensor, size: int) -> Confusion:
    return _pick(colours, model(_plain(colours, size)).log_softmax(dim=1))


def _pick(colours: Tensor, log_p: Tensor) -> Confusion:
    entropy = -(log_p.exp() * log_p).sum(dim=1)
    i = int(entropy.argmax())
    kl = -torch.tensor(log_p.shape[1]).log() - log_p[i].mean()
    return Confusion(tuple(colours[i].tolist()), entropy[i].item(), kl.item())


def _plain(colours: Tensor, size: int) -> Tensor:
    """[N, 3] colours as [N, 3, size, size] images."""
    return colours[:, :, None, None].expand(-1, -1, size, size)
