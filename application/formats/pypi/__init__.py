"""Python packages: wheels and source distributions for pip, uv, Poetry, twine and their kin."""

from application.format import Format
from application.formats.pypi.changes import deposit
from application.formats.pypi.dialect import answer_error
from application.formats.pypi.merging import shares
from application.formats.pypi.names import order_key
from application.formats.pypi.routes import ROUTES
from application.formats.pypi.setup import SNIPPETS
from application.formats.pypi.uploads import ALGORITHMS

FORMAT = Format(
    key="pypi",
    title="PyPI",
    prefix="pypi",
    routes=ROUTES,
    error=answer_error,
    order=order_key,
    aliases=("poetry",),
    overwrite="burn",
    digests=ALGORITHMS,
    deposit=deposit,
    shares=shares,
    setup=SNIPPETS,
)
