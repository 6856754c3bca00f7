"""Debian archives, for apt, dpkg and their kin."""

from application.format import Format
from application.formats.debian.dialect import answer_error
from application.formats.debian.publishing import ALGORITHMS, deposit
from application.formats.debian.routes import ROUTES
from application.formats.debian.setup import SNIPPETS
from application.formats.debian.versions import order_key

FORMAT = Format(
    key="debian",
    title="Debian",
    prefix="debian",
    routes=ROUTES,
    error=answer_error,
    order=order_key,
    digests=ALGORITHMS,
    deposit=deposit,
    signs="openpgp",
    setup=SNIPPETS,
)
