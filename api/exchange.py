"""One request on its way through the adapter of package routes."""

from __future__ import annotations

from api.answers import Send
from api.bodies import Intake
from api.incoming import Incoming


class Exchange:
    """One request on its way through the adapter."""

    __slots__ = ("base_url", "incoming", "pathsend", "receive", "request_id", "send", "template")

    def __init__(
        self, incoming: Incoming, base_url: str, request_id: str, receive: Intake, send: Send, *, pathsend: bool
    ) -> None:
        self.incoming = incoming
        self.base_url = base_url
        self.request_id = request_id
        self.receive = receive
        self.send = send
        self.pathsend = pathsend
        self.template = ""

    @property
    def started(self) -> bool:
        """Whether an answer is on its way, which cannot be taken back."""
        return bool(getattr(self.send, "started", False))


class AnswerBroken(Exception):
    """An answer broke off. Whoever calls must end the connection, or the client takes what came for the whole."""
