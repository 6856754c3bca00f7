"""Raw files of any kind, for whatever speaks HTTP."""

from application.format import Format
from application.formats.generic.artifactory.routes import MOUNTS
from application.formats.generic.dialect import answer_error
from application.formats.generic.digests import PUBLISHED
from application.formats.generic.names import order_key
from application.formats.generic.routes import ROUTES
from application.formats.generic.setup import SNIPPETS
from application.formats.generic.storing import deposit

FORMAT = Format(
    key="generic",
    title="Generic",
    prefix="general",
    further_prefixes=("generic",),
    routes=ROUTES,
    mounts=MOUNTS,
    error=answer_error,
    order=order_key,
    overwrite="replace",
    digests=PUBLISHED,
    deposit=deposit,
    setup=SNIPPETS,
)
