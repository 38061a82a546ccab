"""The values that travel between rooms, and the legend of their shapes.

======  ==============================================================================
letter  meaning
======  ==============================================================================
B       clips in a batch
T       frames of a clip, context included
K       context frames, the first K of a clip
S       predicted steps, S = T - K
C       channels of a frame
P       channels of a pose map
H, W    height and width of frames and pose maps
Z, h, w channels, height and width of the latent z of one frame
D       channels of features
J       joints of a skeleton
N       pooled leading axes, usually B·S
======  ==============================================================================

Frames and pose maps are float in [0, 1] inside the program, and uint8 on disk, in workers and on the way to the device.
"""

from typing import NamedTuple

from jaxtyping import Float, Int, UInt8
from torch import Tensor


class Clip(NamedTuple):
    """A batch of clips as the data loader yields it."""

    frames: UInt8[Tensor, "B T C H W"]
    poses: UInt8[Tensor, "B T P H W"]
    sequence: Int[Tensor, " B"]  # which sequence of the split a clip was cut from
    start: Int[Tensor, " B"]  # its first frame there
    gap: Float[Tensor, " B"]  # steps by which its context is moved away from right before its other frames; 0 is none


class Batch(NamedTuple):
    """A batch of clips on the device."""

    frames: Float[Tensor, "B T C H W"]  # in [0, 1]
    poses: Float[Tensor, "B T P H W"]  # in [0, 1]
    sequence: Int[Tensor, " B"]
    start: Int[Tensor, " B"]
    gap: Float[Tensor, " B"]


class FrameShape(NamedTuple):
    """What a model needs to know of the data to be built."""

    channels: int  # C
    pose_channels: int  # P
    height: int  # H
    width: int  # W


class Gaussian(NamedTuple):
    """A diagonal Gaussian N(mean, exp(logvar))."""

    mean: Float[Tensor, "*N Z h w"]
    logvar: Float[Tensor, "*N Z h w"]


class Prediction(NamedTuple):
    """What one pass over a training clip gives: a frame and two distributions of z for every step."""

    frames: Float[Tensor, "B S C H W"]
    posterior: Gaussian  # q(z_t | x_t, p_t), (B, S, Z, h, w)
    prior: Gaussian  # p(z_t | x̂_t-1, p_t), the same shape
