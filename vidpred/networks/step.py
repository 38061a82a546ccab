"""The step that every model offers; the training unroll and the rollout are written once, against it."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from vidpred.types import FrameShape, Gaussian

Features = Any  # a tensor or a tuple of tensors, each with one row per frame; only the model looks inside
Context = Any  # likewise, with one row per clip
Carry = Any  # likewise, or None


@runtime_checkable
class Model(Protocol):
    """A pose-conditioned predictor of the next frame.

    N stands for the rows of a step: the clips of a batch, or (clip, time) pairs computed together.

    Attributes:
        shape: the frames and pose maps that the model was built for.
        latent_shape: Z, h, w of one frame's z.
        parallel: whether steps whose previous frame is given are independent, as they are where ``decode`` passes
            no carry on; only then are they computed together.
    """

    shape: FrameShape
    latent_shape: tuple[int, int, int]
    parallel: bool

    def context(self, frames: Float[Tensor, "B K C H W"], poses: Float[Tensor, "B K P H W"]) -> Context:
        """What is kept from the context, computed once a clip."""

    def encode_poses(
        self, poses: Float[Tensor, "B T P H W"], context: Context, gap: Float[Tensor, " B"] | None = None
    ) -> Features:
        """All that poses and context tell, computed once a clip; every tensor begins with (B, T).

        ``gap`` is by how many steps a training clip's context is moved away from its place right before the other
        frames, to either side; None is none. Models with a BatchNorm are not told.
        """

    def encode_frames(self, frames: Float[Tensor, "N C H W"]) -> Features:
        """Features of frames, true or predicted, computed once a frame; rows are independent."""

    def posterior(self, target: Features, pose: Features) -> Gaussian:
        """q(z_t | x_t, p_t): sees the target's features, for training alone; rows are independent."""

    def prior(self, previous: Features, pose: Features) -> Gaussian:
        """p(z_t | x_t-1, p_t), or N(0, I) for the standard prior."""

    def decode(
        self,
        previous: Features,
        pose: Features,
        z: Float[Tensor, "N Z h w"],
        prior: Gaussian,
        carry: Carry,
    ) -> tuple[Float[Tensor, "N C H W"], Carry]:
        """The predicted frame, and the carry for the next step (None before the first).

        ``prior`` is what ``prior(previous, pose)`` gave: a model may look at what z tells beyond it.
        """
