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
from torch.nn.functional import avg_pool2d, interpolate, pad

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
    "across": (1 / 6, (ALL, HEAD), (ALL, TAIL)),
    "down": (1 / 6, (HEAD, ALL), (TAIL, ALL)),
    "falling": (1 / 12, (HEAD, HEAD), (TAIL, TAIL)),
    "rising": (1 / 12, (HEAD, TAIL), (TAIL, HEAD)),
}


def imputed(x: Images, missing: Tensor, noise: Tensor) -> Images:
    """x with its missing values filled in. missing: bool [B, 3 or 1, H, W]. noise: noise_of these images."""
    return torch.where(missing, linear(x, missing) + noise, x)


def noise_of(ids: Sequence[str], like: Images) -> Tensor:
    """What is added to all that is filled in of these images."""
    drawn = Rng(0, "noisy linear imputation", ids, like.device).normal(*like.shape[1:])
    return NOISE * drawn.to(like.dtype)


def linear(x: Images, missing: Tensor) -> Images:
    """x with its missing values interpolated, without noise.

    Inside, values lie as [H, W, N], N channels of all images side by side: whatever lies beside a value is a whole row of N
    away, so that one operation over contiguous memory does for all of them what a neighbour contributes.
    """
    given, inside = _side_by_side(x), _side_by_side(missing.expand_as(x)).to(x.dtype)
    grids: list[_Grid] = [_fine(inside)]
    while min(grids[-1].diagonal.shape[:2]) > COARSEST:
        grids.append(_coarser(grids[-1]))
    values = given.shape[0] * given.shape[1]
    count = values - _total(inside.clone())
    known = torch.where(count > 0, _total(given * (1 - inside)) / count.clamp(min=1), _total(given.clone()) / values)
    v = given.lerp(known, inside)  # given may be x itself, if that is one image, channels last
    residual = grids[0].rest(torch.zeros_like(v), v, out=torch.empty_like(v))
    residual.mul_(count > 0)  # a constant already solves what knows nothing
    last, tiny = grids[-1].inverted(), torch.finfo(x.dtype).tiny
    direction, energy = torch.zeros_like(residual), torch.full_like(count, torch.inf)
    for _ in range(STEPS):
        z = _cycle(grids, residual, last)
        before, energy = energy, _dot(residual, z)
        direction.mul_(energy / before.clamp(min=tiny)).add_(z)
        along = grids[0].times(direction, out=z)
        length = energy / _dot(direction, along).clamp(min=tiny)
        v.addcmul_(direction, length)
        residual.addcmul_(along, length, value=-1)
    return torch.where(missing, v.permute(2, 0, 1).view(x.shape), x)


@dataclass(frozen=True)
class _Grid:
    """The equations of one level: a matrix with `diagonal` and, off it, minus the weights of `edges` between neighbours."""

    edges: dict[str, Tensor]  # [H, W, N], at the place of the upper row and the left column; 0 where they would leave
    diagonal: Tensor  # [H, W, N]; 0 where nothing is missing

    @functools.cached_property
    def relaxed(self) -> Tensor:
        """What one sweep of Jacobi's takes of a residual."""
        return torch.where(self.diagonal > 0, DAMPING / self.diagonal, 0)

    @functools.cached_property
    def corrected(self) -> Tensor:
        """How much of the correction that its block brings each value takes."""
        return COARSE * (self.diagonal > 0).to(self.diagonal.dtype)

    @functools.cached_property
    def apart(self) -> list[tuple[Tensor, int, int]]:
        """Each edge's weights [H W - far, N], and how far behind their places its ends lie: near, far."""
        width = self.diagonal.shape[1]
        ends = {"across": (0, 1), "down": (0, width), "falling": (0, width + 1), "rising": (1, width)}
        return [(self.edges[name].flatten(0, 1)[: -ends[name][1]], *ends[name]) for name in EDGES]

    @functools.cached_property
    def room(self) -> Tensor:
        """For what is found and not kept: new memory costs a CPU more than the arithmetic."""
        return torch.empty_like(self.diagonal)

    def times(self, v: Tensor, out: Tensor) -> Tensor:
        return self._add_neighbours(v, torch.mul(self.diagonal, v, out=out), -1)

    def rest(self, wanted: Tensor, v: Tensor, out: Tensor) -> Tensor:
        """What `times(v)` lacks of what is wanted. out: may be `wanted` of all but pixels."""
        return self._add_neighbours(v, torch.addcmul(wanted, self.diagonal, v, value=-1, out=out), 1)

    def _add_neighbours(self, v: Tensor, to: Tensor, sign: int) -> Tensor:
        of, places = v.flatten(0, 1), to.flatten(0, 1)
        for weights, near, far in self.apart:
            until = len(weights) + near
            places[near:until].addcmul_(weights, of[far:], value=sign)
            places[far:].addcmul_(weights, of[near:until], value=sign)
        return to

    def inverted(self) -> Tensor:
        """[N, n, n] of n values."""
        diagonal = double(self.diagonal.flatten(0, 1).T)
        rest = torch.where(diagonal > 0, REGULAR, 1)  # all is missing: no constant is better than another
        matrix = (diagonal + rest).diag_embed()
        for weights, near, far in self.apart:
            one = torch.arange(len(weights), device=matrix.device)
            for row, column in ((near, far), (far, near)):
                matrix[:, one + row, one + column] -= double(weights.T)
        return torch.linalg.inv(matrix).to(self.diagonal.dtype).to(self.diagonal.device)


@dataclass(frozen=True)
class _Pixels(_Grid):
    """The finest level: its edges weigh what EDGES says wherever both ends are missing, and are not read to know that."""

    inside: Tensor  # [H, W, N], 1 where a value is missing
    neighbours: Tensor  # [H, W, N], the sum of the weights of all that lie around a value

    def times(self, v: Tensor, out: Tensor) -> Tensor:
        """v: 0 where nothing is missing."""
        return self._above_neighbours(v, out).mul_(self.inside)

    def rest(self, wanted: Tensor, v: Tensor, out: Tensor) -> Tensor:
        """v: 0 where nothing is missing; what stands there otherwise counts as known."""
        return torch.addcmul(wanted, self._above_neighbours(v, out), self.inside, value=-1, out=out)

    def _above_neighbours(self, v: Tensor, out: Tensor) -> Tensor:
        torch.mul(self.neighbours, v, out=out)
        for weight, one, other in EDGES.values():
            out[one].sub_(v[other], alpha=weight)
            out[other].sub_(v[one], alpha=weight)
        return out


def _side_by_side(images: Tensor) -> Tensor:
    """[B, C, H, W] -> [H, W, B C]"""
    return images.flatten(0, 1).permute(1, 2, 0).contiguous()


def _fine(inside: Tensor) -> _Pixels:
    """Of the missing values, 1 inside; those that are there stand on the other side of the equations."""
    neighbours, edges = torch.zeros_like(inside), {}
    for name, (weight, one, other) in EDGES.items():
        edges[name] = torch.zeros_like(inside)
        height, width = inside[one].shape[:2]
        torch.mul(inside[one], inside[other], out=edges[name][:height, :width]).mul_(weight)
        neighbours[one] += weight
        neighbours[other] += weight
    return _Pixels(edges, neighbours * inside, inside, neighbours)


def _coarser(grid: _Grid) -> _Grid:
    """Of blocks of 2 × 2: an edge between blocks weighs what all edges between their values weigh."""
    odd = [side % 2 for side in grid.diagonal.shape[:2]]
    whole_blocks = {name: pad(edges, (0, 0, 0, odd[1], 0, odd[0])) for name, edges in grid.edges.items()}

    def at(name: str, row: int, column: int) -> Tensor:
        """The edges of this name that start in these rows and columns of the blocks."""
        return whole_blocks[name][row::2, column::2]

    within = at("across", 0, 0) + at("across", 1, 0) + at("down", 0, 0) + at("down", 0, 1)
    within = within + at("falling", 0, 0) + at("rising", 0, 0)
    across = at("across", 0, 1) + at("across", 1, 1) + at("falling", 0, 1) + at("rising", 0, 1)
    down = at("down", 1, 0) + at("down", 1, 1) + at("falling", 1, 0) + at("rising", 1, 0)
    falling, rising = (at(name, 1, 1).contiguous() for name in ("falling", "rising"))
    together = _blocks(grid.diagonal)
    return _Grid(
        {"across": across, "down": down, "falling": falling, "rising": rising},
        torch.where(together > 0, (together - 2 * within).clamp(min=1e-6), 0),
    )


def _cycle(grids: list[_Grid], residual: Tensor, last: Tensor) -> Tensor:
    """Roughly what `residual` is the first grid's product of: a W-cycle, the same going down as coming up.

    last: the coarsest grid's matrix, inverted.
    """
    grid, *coarse = grids
    if not coarse:
        return (last @ residual.flatten(0, 1).T[..., None])[..., 0].T.contiguous().view_as(residual)
    v = grid.relaxed * residual
    left = _blocks(grid.rest(residual, v, out=grid.room))
    correction = _cycle(coarse, left, last)
    if len(coarse) > 1:
        correction += _cycle(coarse, coarse[0].rest(left, correction, out=left), last)
    spread = _side_by_side(interpolate(_one_image(correction), scale_factor=2))
    v.addcmul_(spread[: v.shape[0], : v.shape[1]], grid.corrected)
    return v.addcmul_(grid.rest(residual, v, out=grid.room), grid.relaxed)


def _blocks(values: Tensor) -> Tensor:
    """Sums over 2 × 2; beyond the border lie zeros."""
    return _side_by_side(avg_pool2d(_one_image(values), 2, ceil_mode=True, divisor_override=1))


def _one_image(values: Tensor) -> Tensor:
    """[H, W, N] -> [1, N, H, W], the same memory, which torch takes for channels last."""
    return values[None].permute(0, 3, 1, 2)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return _total(a * b)


def _total(values: Tensor) -> Tensor:
    """[H, W, N] -> [N], in the memory of `values`: half and half, so that no sum's order depends on N, as torch's does."""
    rows = values.flatten(0, 1)
    while len(rows) > 1:
        half, odd = divmod(len(rows), 2)
        if odd:
            rows[0] += rows[-1]
        rows = rows[:half].add_(rows[half : 2 * half])
    return rows[0]
