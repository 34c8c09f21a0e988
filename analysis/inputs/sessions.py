"""Sessions: a backbone and the videos it looks at, ready to measure. Every command opens its checkpoints here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from analysis.inputs.backbone.checkpoints import Source, newest_checkpoint
from analysis.inputs.backbone.features import FeatureExtractor, Features
from analysis.inputs.backbone.spaces import ProjectedSpace, load_projected_space
from analysis.inputs.video.clips import ClipStream, Placement, place_clips
from analysis.inputs.video.sharing import SharedExtractor, share_videos
from analysis.inputs.video.truth import truth_reader
from analysis.inputs.video.videos import VideoList, VideoSource, list_videos
from analysis.settings import Settings, untrained_seed
from fima.checkpoints import LoadedBackbone, load_backbone, untrained_backbone, with_input
from fima.errors import InputError
from fima.input_spec import InputSpec

__all__ = ["Progress", "Session", "make_session", "open_session", "open_sessions"]

Progress = Callable[[int, int], None]
"""Called with (videos done, videos in all)."""


@dataclass(frozen=True)
class Session:
    """A backbone and videos, ready to measure.

    Attributes:
        settings: As asked for.
        loaded: The backbone; its ``input`` already carries the overrides of the settings.
        extractor: Features of clips.
        videos: In reading order.
        missing: Videos that the data set lists but does not hold.
        space: Where features are compared; None: as the backbone gives them.
        concealed: Frames of clips read so far that the decoder had to make up, by video.
    """

    settings: Settings
    loaded: LoadedBackbone
    extractor: FeatureExtractor
    videos: list[VideoSource]
    missing: dict[str, str] = field(default_factory=dict)
    space: ProjectedSpace | None = None
    concealed: dict[str, list[int]] = field(default_factory=dict)

    @property
    def spec(self) -> InputSpec:
        """Frames, stride and size of the clips that are read, and their normalization."""
        return self.extractor.reads

    def compared(self, features: Features) -> Features:
        """The extractor's features where the settings want them compared."""
        return features if self.space is None else self.space.project(features)

    @property
    def has_truth(self) -> bool:
        """Whether masks can be asked for: they are given, or the videos are drawn."""
        return self.settings.masks is not None or all(video.drawn for video in self.videos)

    def stream(self, place: Placement | None = None, *, truth: bool = False, cell: int = 0) -> ClipStream:
        """Clips where the settings ask for them, or at ``place``; broken videos of a data set are skipped.

        Args:
            place: Start frames of a video's clips; None: as the settings say.
            truth: Whether clips carry their masks.
            cell: Of whole frames, instead of squares (`analysis.inputs.video.clips.center_crop`).

        Raises:
            InputError: If masks are asked for and there are none.
        """
        settings = self.settings
        place = place or place_clips(self.spec, settings.clips, settings.start_seconds)
        reader = truth_reader(settings.masks, self.videos) if truth else None
        return ClipStream(
            self.videos, self.spec, place, skip_broken=settings.data is not None, missing=self.missing, truth=reader,
            concealed=self.concealed, cell=cell,
        )  # fmt: skip

    def forget(self) -> None:
        """Free the features that are kept for further measures."""
        if isinstance(self.extractor, SharedExtractor):
            self.extractor.forget()


def open_session(settings: Settings, loaded: LoadedBackbone | None = None, videos: VideoList | None = None) -> Session:
    """Load the backbone and list the videos; everything that can be refused is refused here.

    Args:
        settings: Checkpoint, videos and clips. Of a training run's folder the newest checkpoint is taken.
        loaded: A backbone that is loaded already, instead of the checkpoint of the settings.
        videos: Videos that are listed already, instead of those of the settings.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.
    """
    if loaded is not None:
        settings = replace(settings, ckpt=_name_of(loaded))
        return make_session(settings, loaded, videos or list_videos(settings))
    if settings.ckpt is not None:
        settings = replace(settings, ckpt=newest_checkpoint(settings.ckpt, trust=settings.trust_checkpoint))
    return make_session(settings, _load(settings), videos or list_videos(settings))


def open_sessions(
    settings: Settings, sources: Sequence[Source], *, videos: VideoList | None = None, same_clips: bool = True
) -> dict[str, Session]:
    """Sessions of several checkpoints that see the same videos, whose decoded frames they share.

    An untrained backbone takes architecture and input after the first trained one.

    Args:
        settings: Videos and clips; its ``ckpt`` is not used.
        sources: The checkpoints by name (``plan_columns``).
        videos: The videos, where they are listed (and share their frames) already.
        same_clips: Have all see the same seconds: each its own number of frames, at strides that span as long.

    Returns:
        Name → session, in the order of the checkpoints.

    Raises:
        InputError, CheckpointError, VideoError, FileNotFoundError: One line that names what cannot be used.
    """
    if settings.layers is not None:
        raise InputError("--layers: a curve is of one measure: fima-analyze MEASURE --layers all --beside CKPT …")
    listed = list_videos(settings) if videos is None else videos
    listed = share_videos(listed)
    like: LoadedBackbone | None = None
    sessions: dict[str, Session] = {}
    for source in sorted(sources, key=lambda source: source.ckpt is None):  # untrained ones take after the others
        own = replace(settings, ckpt=source.ckpt or f"random:{source.seed}")
        loaded = _load(own, like)
        if source.ckpt is None and like is not None:
            own = _like(own, loaded)
        sessions[source.name] = make_session(own, loaded, listed, SharedExtractor)
        like = like or sessions[source.name].loaded
    sessions = {source.name: sessions[source.name] for source in sources}
    _check_distinct(sessions)
    return _over_the_same_seconds(sessions, listed) if same_clips else sessions


def make_session(
    settings: Settings, loaded: LoadedBackbone, listed: VideoList, extractor: type[FeatureExtractor] = FeatureExtractor
) -> Session:
    """A session of a backbone that is loaded and of videos that are listed.

    Args:
        settings: How to read clips and features; frames, stride and size override what the backbone expects.
        loaded: The backbone.
        listed: The videos.
        extractor: What reads features; ``SharedExtractor`` keeps them for further measures of the same clips.

    Raises:
        InputError: For a layer, a device or a space that cannot be used.
    """
    names = ("num_frames", "frame_stride", "size")
    overrides = {name: value for name in names if (value := getattr(settings, name)) is not None}
    loaded = with_input(loaded, loaded.input.replace(**overrides))
    space = None
    if settings.space == "projected":
        space = load_projected_space(settings.ckpt, arch=settings.arch, trust=settings.trust_checkpoint)
    made = extractor(
        loaded, layer=settings.layer, boundary=settings.boundary, device=settings.device,
        pathway=None if space is None else space.pathway, dense=settings.dense,
    )  # fmt: skip
    space = None if space is None else space.to(made.device)
    return Session(settings, loaded, made, listed.videos, listed.missing, space)


def _load(settings: Settings, like: LoadedBackbone | None = None) -> LoadedBackbone:
    """The backbone of the settings; an untrained one of the architecture and input of ``like``."""
    seed = untrained_seed(settings.checkpoint, settings.seed)
    if seed is None:
        return load_backbone(
            settings.checkpoint, settings.arch, trust=settings.trust_checkpoint, input_spec=settings.input_spec
        )
    if like is None:
        return untrained_backbone(settings.arch or "tiny", seed=seed, input_spec=settings.input_spec)
    return untrained_backbone(like.arch, seed=seed, input_spec=like.input, **like.settings)


def _like(settings: Settings, loaded: LoadedBackbone) -> Settings:
    """Settings that open an untrained backbone of that architecture and input also by themselves."""
    spec = loaded.input
    return replace(
        settings, arch=loaded.arch, num_frames=spec.num_frames, frame_stride=spec.frame_stride, size=spec.size
    )


def _name_of(loaded: LoadedBackbone) -> str | None:
    """What stands for a loaded backbone in the settings: its file, where it has one."""
    if loaded.path is not None:
        return str(loaded.path)
    return loaded.arch if loaded.trained else "random"


def _check_distinct(sessions: dict[str, Session]) -> None:
    digests: dict[str, str] = {}
    for name, session in sessions.items():
        digest = session.loaded.sha256
        if digest is not None and digests.setdefault(digest, name) != name:
            raise InputError(
                f"--ckpt: {digests[digest]} and {name} are the same checkpoint (SHA-256 {digest[:12]}…); give each once"
            )


def _over_the_same_seconds(sessions: dict[str, Session], listed: VideoList) -> dict[str, Session]:
    """The sessions, with strides that make clips of different numbers of frames equally long.

    As long as the shortest of their own clips, unless another needs more frames than that one is long.
    """
    specs = {name: session.loaded.input for name, session in sessions.items()}  # a motion pathway reads between them
    if len({(spec.num_frames, spec.frame_stride) for spec in specs.values()}) == 1:
        return sessions
    shortest = min(spec.num_frames * spec.frame_stride for spec in specs.values())
    span = max(shortest, *(spec.num_frames for spec in specs.values()))
    remade = {}
    for name, session in sessions.items():
        stride = max(1, round(span / specs[name].num_frames))
        own = replace(session.settings, frame_stride=stride)
        remade[name] = make_session(own, session.loaded, listed, SharedExtractor)
    return remade
