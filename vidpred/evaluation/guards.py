"""What is refused: scores that would flatter, or would not mean what they say."""

from vidpred.data.clips import Window
from vidpred.data.datamodule import ClipDataModule
from vidpred.data.source import SPLITS, Split
from vidpred.data.splits import check_apart
from vidpred.predictor import Predictor


class EvaluationError(ValueError):
    """What was asked for cannot be evaluated, or would not mean what it says."""


def check_split(data: ClipDataModule, split: Split, *, allow_selection_split: bool) -> None:
    """Refuse the split that chose the checkpoint, and frames that training has seen.

    Raises:
        EvaluationError: for the split that checkpoints are chosen on, or for one that the data has not.
        SplitError: if splits share frames.
    """
    if split == "val" and not allow_selection_split:
        raise EvaluationError(
            "the best checkpoint of a run is chosen on val: its score there is too good. Use split=test, or, where the "
            "data has no test split, insist with allow_selection_split=true; every table then says so"
        )
    if split == "train":
        raise EvaluationError("split=train was trained on: use split=test")
    if not data.source.allow_overlap:
        present = {name: data.store(name).sequences for name in SPLITS if name in ("train", split)}
        check_apart(present)


def check_shape(predictor: Predictor, data: ClipDataModule) -> None:
    """Refuse data that the model was not built for.

    Raises:
        EvaluationError: if frames or pose maps have another size or other channels.
    """
    if predictor.model.shape != data.shape:
        raise EvaluationError(f"the model was built for {predictor.model.shape}, the data has {data.shape}")


def choose_windows(data: ClipDataModule, split: Split, *, context_frames: int, frames: int | None) -> list[Window]:
    """The clips of a split, cut to the frames that count.

    Args:
        data: serves the clips.
        split: of the clips.
        context_frames: K.
        frames: predicted frames that count; None is all.

    Raises:
        EvaluationError: if a clip is shorter than that.
    """
    windows = data.eval_sampler(split).windows
    if frames is None:
        return windows
    for window in windows:
        if window.length - context_frames < frames:
            name = data.store(split).sequences[window.sequence].name
            raise EvaluationError(
                f"the protocol scores {frames} predicted frames, but clip {name!r} of {split} has only "
                f"{window.length - context_frames} after its context: set protocol.frames, or choose another protocol"
            )
    return [window._replace(length=context_frames + frames) for window in windows]
