"""Noisy linear imputation: what is taken away becomes what its surroundings suggest. ROAD, Rong, Leemann, Borisov, Kasneci &
Kasneci, ICML 2022, https://arxiv.org/abs/2202.00449, Section 4 and the released code:

    v_i = sum over neighbours j of  w_ij v_j / sum over neighbours of w_ij,    w: 1/6 beside, 1/12 diagonal

for every missing value i, given the values that are there; one sparse system of equations a channel. Then noise of standard
deviation 0.01 (of pixels in [0, 1]; not clipped) is added to what was filled in. At the border there are fewer neighbours.
So the frame holds no edge where a value was taken away, and its shape says little of which values those were.

The paper's masks are of whole pixels; here each channel has its own. Where nothing of a channel is left, any constant solves
the system: the channel's mean is taken. The noise of an image is always the same, whatever the run: it belongs to the
baseline, like a colour. The system is solved by conjugate gradients, preconditioned by a multigrid cycle over 2 × 2 blocks
(unsmoothed aggregation, W-cycle), a fixed number of steps, whoever is in the batch.
Agrees with: SciPy's direct sparse solution, to a tenth of the noise (in float32 and at 224 pixels, to a third).
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from bench.exact import double
from bench.rng import Rng
from bench.types import Images

NOISE = 0.01  # standard deviation, of pixels in [0, 1]
STEPS = 4  # of conjugate gradients; each makes the error ten to thirty times smaller
DAMPING, COARSE = 0.8, 1.5  # of Jacobi's sweeps; of the correction that coarse blocks bring
REGULAR = 1e-6  # of a diagonal around 1
COARSEST = 8  # pixels of its shorter side at most; there the equations are solved directly
HEAD, TAIL, ALL = slice(None, -1), slice(1, None), slice(None)
EDGES = {  # weight; the one end's rows and columns, the other's
    "across": (1 / 6, (..., ALL, HEAD), (..., ALL, TAIL)),
    "down": (1 / 6, (..., HEAD, ALL), (..., TAIL, ALL)),
    "falling": (1 / 12, (..., HEAD, HEAD), (..., TAIL, TAIL)),
    "rising": (1 / 12, (..., HEAD, TAIL), (..., TAIL, HEAD)),
}


def imputed(x: Images, missing: Tensor, noise: Tensor) -> Images:
    """x with its missing values filled in. missing: bool [B, 3 or 1, H, W]. noise: noise_of these images."""
    return torch.where(missing, linear(x, missing) + noise, x)


def noise_of(ids: Sequence[str], like: Images) -> Tensor:
    """What is added to all that is filled in of these images."""
    drawn = Rng(0, "noisy linear imputation", ids, like.device).normal(*like.shape[1:])
    return NOISE * drawn.to(like.dtype)


def linear(x: Images, missing: Tensor) -> Images:
    """x with its missing values interpolated, without noise."""
    x, missing = x.contiguous(), missing.contiguous()
    grids = [_fine(missing, x.dtype)]
    while min(grids[-1].diagonal.shape[2:]) > COARSEST:
        grids.append(_coarser(grids[-1]))
    operator, whole = grids[0], _fine(torch.ones_like(missing[:1, :1]), x.dtype)
    there = (~missing).to(x.dtype)
    count = there.sum(dim=(2, 3), keepdim=True)
    known = torch.where(count > 0, (x * there).sum(dim=(2, 3), keepdim=True) / count.clamp(min=1), _mean(x))
    v = torch.where(missing, known, x)
    residual = torch.where(missing & (count > 0), -whole.times(v), 0)  # a constant already solves what knows nothing
    last, tiny = grids[-1].inverted(), torch.finfo(x.dtype).tiny
    direction, energy = torch.zeros_like(residual), torch.full_like(count, torch.inf)
    for _ in range(STEPS):
        z = _cycle(grids, residual, last)
        before, energy = energy, _dot(residual, z)
        direction = direction.mul_(energy / before.clamp(min=tiny)).add_(z)
        along = operator.times(direction)
        length = energy / _dot(direction, along).clamp(min=tiny)
        v.add_(length * direction)
        residual.sub_(along.mul_(length))
    return torch.where(missing, v, x)


@dataclass(frozen=True)
class _Grid:
    """The equations of one level: a matrix with `diagonal` and, off it, minus the weights of `edges` between neighbours."""

    edges: dict[str, Tensor]  # [B, 3 or 1, H or H - 1, W or W - 1]
    diagonal: Tensor  # [B, 3 or 1, H, W]; 0 where nothing is missing

    @functools.cached_property
    def relaxed(self) -> Tensor:
        """What one sweep of Jacobi's takes of a residual."""
        return DAMPING * torch.where(self.diagonal > 0, 1 / self.diagonal.clamp(min=1e-9), 0)

    @functools.cached_property
    def corrected(self) -> Tensor:
        """How much of the correction that its block brings each value takes."""
        return COARSE * (self.diagonal > 0).to(self.diagonal.dtype)

    def times(self, v: Tensor) -> Tensor:
        product = self.diagonal * v
        for name, (_, one, other) in EDGES.items():
            share = self.edges[name] * v[other]
            product[one].sub_(share)
            product[other].sub_(torch.mul(self.edges[name], v[one], out=share))
        return product

    def rest(self, wanted: Tensor, v: Tensor) -> Tensor:
        """What `times(v)` lacks of what is wanted."""
        product = self.times(v)
        return torch.sub(wanted, product, out=product)

    def inverted(self) -> Tensor:
        """[B, 3 or 1, n, n] of n values."""
        n = self.diagonal[0, 0].numel()
        one = torch.eye(n, dtype=self.diagonal.dtype, device=self.diagonal.device).view(
            n, 1, 1, *self.diagonal.shape[2:]
        )
        matrix = self.times(one).flatten(3).permute(1, 2, 0, 3)
        rest = torch.where(self.diagonal > 0, REGULAR, 1).flatten(
            2
        )  # all is missing: no constant is better than another
        return torch.linalg.inv(double(matrix) + double(rest.diag_embed())).to(self.diagonal.dtype).to(rest.device)


def _fine(missing: Tensor, dtype: torch.dtype) -> _Grid:
    """Of the missing values; those that are there stand on the other side of the equations."""
    inside, diagonal, edges = missing.to(dtype), torch.zeros_like(missing, dtype=dtype), {}
    for name, (weight, one, other) in EDGES.items():
        edges[name] = weight * inside[one] * inside[other]
        diagonal[one] += weight
        diagonal[other] += weight
    return _Grid(edges, diagonal * inside)


def _coarser(grid: _Grid) -> _Grid:
    """Of blocks of 2 × 2: an edge between blocks weighs what all edges between their values weigh."""
    height, width = ((side + 1) // 2 for side in grid.diagonal.shape[2:])

    whole_blocks = {
        name: pad(edges, (0, 2 * width - edges.shape[3], 0, 2 * height - edges.shape[2]))
        for name, edges in grid.edges.items()
    }

    def at(name: str, row: int, column: int) -> Tensor:
        """[B, C, height, width]: the edges of this name that start in these rows and columns of the blocks."""
        return whole_blocks[name][..., row::2, column::2]

    within = at("across", 0, 0) + at("across", 1, 0) + at("down", 0, 0) + at("down", 0, 1)
    within = within + at("falling", 0, 0) + at("rising", 0, 0)
    across = at("across", 0, 1) + at("across", 1, 1) + at("falling", 0, 1) + at("rising", 0, 1)
    down = at("down", 1, 0) + at("down", 1, 1) + at("falling", 1, 0) + at("rising", 1, 0)
    whole = {"across": across, "down": down, "falling": at("falling", 1, 1), "rising": at("rising", 1, 1)}
    shapes = {"across": (height, width - 1), "down": (height - 1, width)}
    edges = {
        name: edge[..., : shapes.get(name, (height - 1, width - 1))[0], : shapes.get(name, (height - 1, width - 1))[1]]
        for name, edge in whole.items()
    }
    diagonal = _blocks(grid.diagonal) - 2 * within
    return _Grid(edges, torch.where(_blocks(grid.diagonal) > 0, diagonal.clamp(min=1e-6), 0))


def _cycle(grids: list[_Grid], residual: Tensor, last: Tensor) -> Tensor:
    """Roughly what `residual` is the first grid's product of: a W-cycle, the same going down as coming up.

    last: the coarsest grid's matrix, inverted.
    """
    grid, *coarse = grids
    if not coarse:
        return (last @ residual.flatten(2)[..., None]).view_as(residual)
    v = grid.relaxed * residual
    left = _blocks(grid.rest(residual, v))
    correction = _cycle(coarse, left, last)
    if len(coarse) > 1:
        correction += _cycle(coarse, coarse[0].rest(left, correction), last)
    spread = correction[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).flatten(4).flatten(2, 3)
    v.add_(spread[..., : v.shape[2], : v.shape[3]].mul_(grid.corrected))
    return v.add_(grid.rest(residual, v).mul_(grid.relaxed))


def _blocks(values: Tensor) -> Tensor:
    """Sums over 2 × 2; beyond the border lie zeros."""
    return avg_pool2d(values, 2, ceil_mode=True, divisor_override=1)


def _mean(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3), keepdim=True)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(dim=(2, 3), keepdim=True)
