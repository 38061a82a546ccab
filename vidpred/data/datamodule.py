"""The LightningDataModule: windows of packed sequences, random for training, whole for evaluation."""

import math
from typing import Any

import torch
from lightning import LightningDataModule, Trainer
from torch.utils.data import DataLoader

from vidpred.data.augmentation import Augmentation
from vidpred.data.clips import Clips, keep_batch
from vidpred.data.contexts import Contexts
from vidpred.data.posing import PoseInput
from vidpred.data.sampler import ClipBatchSampler, SequenceBatchSampler
from vidpred.data.source import Source, Split
from vidpred.data.store import Store, StoreError
from vidpred.schedules import clip_length as lengths
from vidpred.types import Batch, Clip, FrameShape


class ClipDataModule(LightningDataModule):
    """Serves clips of a source.

    Args:
        source: the sequences.
        poses: which pose maps the model sees.
        clip_length: T, frames of a training clip, context included.
        batch_size: B, training clips a process gets in a batch.
        clips_per_epoch: training clips in an epoch, over all processes; None is every window once.
        length_schedule: frames of the training clips over the run, up to ``clip_length``.
        random_start: shift the windows of every pass by a random offset.
        clip_stride: frames from the start of one window to the next; None cuts without overlap.
        frame_step: take every so many-th frame of a sequence, for training and evaluation.
        fraction: share of the training windows that is used, spread evenly over all.
        context_frames: K, frames of a training clip that are its context.
        context_gap: the most frames left out between a training clip and its context; None is any number.
        context_near: share of the training clips whose context lies right before them all the same.
        context_after: contexts are drawn from after their clips, too.
        context_draws: contexts drawn for a training clip, of which the farthest is taken.
        relight: give a far context the light of the frames that it stands for: what has changed by chance between
            them is not to be told from the pose, and would be averaged.
        augmentation: draws a change for every training clip; None is none.
        eval_batch_size: clips rolled out together in validation and test.
        eval_clips: clips of validation and test, spread evenly over all; None is all.
        eval_frames: frames of such a clip; None is whole clips.
        num_workers: loader processes; packed clips need none.
        seed: of the order of clips.

    Raises:
        ValueError: for lengths or sizes below what a batch needs.
    """

    def __init__(
        self,
        source: Source,
        *,
        poses: PoseInput,
        clip_length: int,
        batch_size: int,
        clips_per_epoch: int | None = None,
        length_schedule: lengths.Schedule = lengths.WHOLE,
        random_start: bool = True,
        clip_stride: int | None = None,
        frame_step: int = 1,
        fraction: float = 1.0,
        context_frames: int = 1,
        context_gap: int | None = 0,
        context_near: float = 0.0,
        context_after: bool = False,
        context_draws: int = 1,
        relight: bool = True,
        augmentation: Augmentation | None = None,
        eval_batch_size: int = 16,
        eval_clips: int | None = None,
        eval_frames: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if clip_length < 2:
            raise ValueError(f"data.clip_length must be >= 2 (context and target), got {clip_length}")
        if min(batch_size, eval_batch_size) < 1 or num_workers < 0:
            raise ValueError(
                f"data.batch_size and data.eval_batch_size must be >= 1 and data.num_workers >= 0, "
                f"got {batch_size}, {eval_batch_size}, {num_workers}"
            )
        self.source, self.poses, self.clip_length, self.batch_size = source, poses, clip_length, batch_size
        self.clips_per_epoch, self.random_start = clips_per_epoch, random_start
        self.clip_stride, self.frame_step, self.fraction = clip_stride, frame_step, fraction
        self.context_frames, self.relight = context_frames, relight
        self.contexts = Contexts(context_gap, context_near, context_after, context_draws)
        self.augmentation, self.length_schedule = augmentation, length_schedule
        if augmentation is not None and augmentation.flip and poses.uses_images(source.content.pose_channels > 0):
            raise ValueError(
                "data.augment.flip must exchange left and right limbs, which pose images do not tell apart: "
                "use pose_map=limbs or heatmaps (with keypoints), or data.augment.flip=0"
            )
        self.eval_batch_size, self.eval_clips, self.eval_frames = eval_batch_size, eval_clips, eval_frames
        self.num_workers, self.seed = num_workers, seed
        self._stores: dict[Split, Store] = {}
        self._batches: int | None = None

    @property
    def shape(self) -> FrameShape:
        """Channels and size of frames and pose maps."""
        content = self.source.content
        return FrameShape(content.channels, self.poses.channels(content), content.height, content.width)

    @property
    def fps(self) -> float:
        """Frames a second of a clip, frames that are skipped not counted."""
        return float(self.store("val").about["fps"]) / self.frame_step

    def prepare_data(self) -> None:
        """Generate or pack what is missing."""
        self.source.prepare()

    def store(self, split: Split) -> Store:
        """The packed sequences of a split."""
        if split not in self._stores:
            self._stores[split] = self.source.open(split)
        return self._stores[split]

    def clips(self, split: Split) -> Clips:
        """Reads windows of a split."""
        return Clips(self.store(split), self.poses, relight=self.relight)

    def train_sampler(self, *, rank: int = 0, world_size: int = 1) -> ClipBatchSampler:
        """The order of training clips."""
        return ClipBatchSampler(
            self.store("train").lengths,
            length=self.clip_length,
            batch_size=self.batch_size,
            seed=self.seed,
            clips_per_epoch=self.clips_per_epoch,
            random_start=self.random_start,
            stride=self.clip_stride,
            frame_step=self.frame_step,
            fraction=self.fraction,
            context_frames=self.context_frames,
            contexts=self.contexts,
            augmentation=self.augmentation,
            rank=rank,
            world_size=world_size,
            length_at=self._length_at,
        )

    def eval_sampler(self, split: Split, *, rank: int = 0, world_size: int = 1) -> SequenceBatchSampler:
        """The clips that a split is evaluated on.

        Raises:
            StoreError: if a sequence has no true frame to compare with.
        """
        lengths = self.store(split).lengths
        if min(lengths) < 2:
            name = self.store(split).sequences[lengths.index(min(lengths))].name
            raise StoreError(f"sequence {name!r} of {split} has {min(lengths)} true frame: there is nothing to score; "
                             f"python -m vidpred.predict ckpt=… split={split} rolls it out")  # fmt: skip
        return SequenceBatchSampler(
            lengths,
            batch_size=self.eval_batch_size,
            max_sequences=self.eval_clips,
            max_length=self.eval_frames,
            frame_step=self.frame_step,
            rank=rank,
            world_size=world_size,
        )

    def train_dataloader(self) -> "DataLoader[Clip]":
        """Random clips, from where the run stands: exact also when it is resumed inside an epoch."""
        sampler = self.train_sampler(rank=self._rank, world_size=self._world_size)
        if self.trainer is not None:
            sampler.resume(*divmod(batches_done(self.trainer), self.batches_per_epoch))
        return self._loader("train", sampler)

    @property
    def batches_per_epoch(self) -> int:
        """Training batches of an epoch, under the trainer's processes and ``limit_train_batches``.

        Lightning's own estimate would load the training data before a checkpoint has told where the run stands.
        """
        if self._batches is None:
            limit = None if self.trainer is None else self.trainer.limit_train_batches
            self._batches = self.count_batches(world_size=self._world_size, limit=limit)
        return self._batches

    def count_batches(self, *, world_size: int, limit: int | float | None) -> int:
        """Training batches of an epoch; the data is drawn or packed only where their number decides.

        Args:
            world_size: number of processes.
            limit: ``limit_train_batches`` of Lightning: a number of batches, a share of them, or None.
        """
        if self.clips_per_epoch is not None:
            batches = self.clips_per_epoch // (self.batch_size * world_size)
        else:
            self.prepare_data()
            batches = len(self.train_sampler(world_size=world_size))
        share = 1.0 if limit is None else limit
        return max(1, min(batches, share) if isinstance(share, int) else int(batches * share))

    def val_dataloader(self) -> "DataLoader[Clip]":
        """Whole validation clips."""
        return self._loader("val", self.eval_sampler("val", rank=self._rank, world_size=self._world_size))

    def test_dataloader(self) -> "DataLoader[Clip]":
        """Whole test clips."""
        return self._loader("test", self.eval_sampler("test", rank=self._rank, world_size=self._world_size))

    def predict_dataloader(self) -> "DataLoader[Clip]":
        """Whole test sequences, their poses to the end; frames that nobody knows are black."""
        sampler = SequenceBatchSampler(
            [info.length for info in self.store("test").sequences],
            batch_size=self.eval_batch_size,
            frame_step=self.frame_step,
            rank=self._rank,
            world_size=self._world_size,
        )
        return self._loader("test", sampler)

    def on_after_batch_transfer(self, batch: Clip, dataloader_idx: int) -> Batch:
        """uint8 to float in [0, 1], on the device."""
        return to_batch(batch)

    def _length_at(self, epoch: int, batch: int) -> int:
        """Frames of the clips of a batch, where a run of known length is served."""
        trainer = self.trainer
        if trainer is None or not trainer.max_epochs:
            return self.clip_length
        steps = math.ceil(self.batches_per_epoch / trainer.accumulate_grad_batches)
        position, total = epoch, trainer.max_epochs
        if self.length_schedule.by == "step":
            position, total = epoch * steps + batch // trainer.accumulate_grad_batches, total * steps
        return self.length_schedule(position, total, clip_length=self.clip_length)

    def _loader(self, split: Split, sampler: ClipBatchSampler | SequenceBatchSampler) -> "DataLoader[Clip]":
        return DataLoader(
            self.clips(split),
            batch_sampler=sampler,
            collate_fn=keep_batch,
            num_workers=self.num_workers if split == "train" else 0,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0 and split == "train",
        )

    @property
    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer is not None else 0

    @property
    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer is not None else 1


def to_batch(clip: Clip) -> Batch:
    """Frames and pose maps as float in [0, 1], on the device where they are."""
    return Batch(clip.frames.float() / 255, clip.poses.float() / 255, clip.sequence, clip.start, clip.gap)


def batches_done(trainer: Trainer) -> int:
    """Training batches since the run began, also where it was resumed."""
    total: Any = trainer.fit_loop.epoch_loop.batch_progress.total
    return int(total.processed)
