"""Labels of artifacts: one text each, by which rules choose artifacts. They say nothing to package clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from uuid import UUID

import msgspec

from application.log import Change, EventLog, Recorded
from domain import artifact
from domain.artifact import Artifact, ArtifactDeleted, ArtifactLabelsSet, Labels
from domain.event import Metadata


class Label(msgspec.Struct, frozen=True):
    """A label. created_at: since when it has this value."""

    key: str
    value: str
    created_at: datetime


class Labelling:
    """Reads labels from the history of their artifact, which is short, and changes them.

    history: everything that happened to one artifact, in order.
    """

    def __init__(self, log: EventLog, history: Callable[[UUID], Iterable[Recorded]]) -> None:
        self._log = log
        self._history = history

    def labels(self, artifact_id: UUID) -> list[Label]:
        """The labels of an artifact, by key."""
        return fold_labels(self._history(artifact_id))

    def change(self, artifact_id: UUID, path: str, making: Callable[[Labels], Labels], meta: Metadata) -> None:
        """Make new labels out of those there are. Raises ArtifactNotFound, LabelInvalid."""

        def decide() -> list[Change]:
            state, version = self._log.load(artifact_id, Artifact(), artifact.evolve)
            events = artifact.set_labels(state, path, making(state.labels))
            return [Change(artifact_id, version, events, state.repository)]

        self._log.execute(decide, meta)


def fold_labels(history: Iterable[Recorded]) -> list[Label]:
    """The labels that the events of an artifact leave, by key."""
    held: dict[str, Label] = {}
    for recorded in history:
        match recorded.event:
            case ArtifactLabelsSet() as event:
                before = held
                held = {key: Label(key, value, recorded.at) for key, value in event.labels.items()}
                held |= {key: label for key, label in before.items() if event.labels.get(key) == label.value}
            case ArtifactDeleted():
                held = {}
    return sorted(held.values(), key=lambda label: label.key)
