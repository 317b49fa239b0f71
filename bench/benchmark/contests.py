"""What is compared, with whom, and by which settings: small ones, as ratios hardly depend on them."""

import numpy as np
import torch
from torch import Tensor

from bench.benchmark.contest import Contest, Material, Peer
from bench.benchmark.peers import by_captum, by_grad_cam, by_quantus, by_saliency, by_torchcam, plain
from bench.profile.subjects import maps_of, scores_of

STEPS, PIXEL_STEPS = 24, 16  # of a game
POINTS = 10  # of a path, or draws
GUIDED = 5
WINDOWS = 4  # of a side
SCORES, MAPS = 1e-3, 1e-2


def scores(material: Material, metric: str) -> Tensor:
    """[B, 2]"""
    found = scores_of(material.job, material.on, material.maps, metric)
    return torch.tensor(np.stack([found["insertion"], found["deletion"]], axis=1))


def maps(material: Material) -> Tensor:
    return maps_of(material.job, material.on)


def one_channel(material: Material) -> Tensor:
    """Of a map that is the same in all."""
    return maps(material)[:, :1]


def from_zero_to_one(made: Tensor) -> Tensor:
    """As some libraries leave it."""
    made = made - made.amin(dim=(1, 2, 3), keepdim=True)
    return made / made.amax(dim=(1, 2, 3), keepdim=True)


CONTESTS = (
    Contest(
        "unified",
        "Insertion and deletion, all values in one order",
        lambda size: ["metric=[unified]", f"metric.unified.step={3 * size * size // STEPS}"],
        lambda m: scores(m, "unified"),
        (
            Peer(plain.PLAIN, plain.insertion_and_deletion),
            Peer(by_quantus.QUANTUS, by_quantus.pixel_flipping, help="called twice, for both curves"),
        ),
        SCORES,
        absolute=True,
        without_gradients=True,
    ),
    Contest(
        "pixel",
        "Insertion and deletion, pixel by pixel",
        lambda size: ["metric=[pixel]", f"metric.pixel.step={size * size // PIXEL_STEPS}"],
        lambda m: scores(m, "pixel").mean(dim=0, keepdim=True),
        (Peer(by_torchcam.TORCHCAM, by_torchcam.insertion_and_deletion),),
        SCORES,
        absolute=True,
        without_gradients=True,
    ),
    Contest(
        "ig",
        "Integrated Gradients",
        lambda size: ["metric=[]", "method=ig", f"method.steps={POINTS}"],
        maps,
        (Peer(by_captum.CAPTUM, by_captum.integrated_gradients),),
        MAPS,
    ),
    Contest(
        "sg",
        "SmoothGrad",
        lambda size: ["metric=[]", "method=sg", f"method.draws={POINTS}"],
        maps,
        (Peer(by_captum.CAPTUM, by_captum.smooth_grad, by_captum.smooth_grad_under_our_noise),),
        MAPS,
    ),
    Contest(
        "deeplift",
        "DeepLIFT, the rescale rule at every nonlinearity",
        lambda size: ["metric=[]", "method=deeplift"],
        maps,
        (
            Peer(
                by_captum.CAPTUM,
                by_captum.deeplift,
                why="its rule for softmax mixes the images of a batch, and it has none for ReLU6",
            ),
        ),
        MAPS,
    ),
    Contest(
        "deeplift_released",
        "DeepLIFT, the released programs' rules, of the logit",
        lambda size: ["metric=[]", "method=deeplift_as_published", "method.objective=logit"],
        maps,
        (
            Peer(
                by_captum.CAPTUM,
                by_captum.deeplift,
                why="it has a rule for ReLU modules, and the released programs called ReLU as a function",
            ),
        ),
        MAPS,
    ),
    Contest(
        "occlusion",
        "Occlusion",
        lambda size: [
            "metric=[]",
            "method=occlusion",
            *(
                f"method.arguments.{key}=[3,{size // WINDOWS},{size // WINDOWS}]"
                for key in ("sliding_window_shapes", "strides")
            ),
        ],
        maps,
        (Peer(by_captum.CAPTUM, by_captum.occlusion),),
        MAPS,
        without_gradients=True,
    ),
    Contest(
        "guided_ig",
        "Guided IG, in float64",
        lambda size: ["metric=[]", "method=guided_ig", f"method.steps={GUIDED}"],
        maps,
        (
            Peer(
                by_saliency.SALIENCY,
                by_saliency.guided_ig,
                why="where max pools tie, as on a black image, rounding decides the path, and folded layers round otherwise",
                help="handed NumPy's quantile under the keyword that it knows",
            ),
        ),
        MAPS,
        exact=True,  # in float32 rounding swaps ranks of gradients, and with them the paths
    ),
    Contest(
        "scorecam",
        "Score-CAM",
        lambda size: ["metric=[]", "method=scorecam"],
        one_channel,
        (
            Peer(by_torchcam.TORCHCAM, by_torchcam.score_cam),
            Peer(
                by_grad_cam.GRAD_CAM,
                by_grad_cam.score_cam,
                why="it enlarges masks by other corners (align_corners), and scales the map to [0, 1] twice",
            ),
        ),
        MAPS,
        without_gradients=True,
        read=from_zero_to_one,
    ),
)
