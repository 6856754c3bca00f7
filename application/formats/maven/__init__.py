"""Maven repositories, for Maven, Gradle, sbt in Maven style, and their kin."""

from application.format import Format
from application.formats.maven.dialect import answer_error
from application.formats.maven.publishing import ALGORITHMS, deposit, plugin_prefixes
from application.formats.maven.routes import ROUTES
from application.formats.maven.setup import SNIPPETS
from application.formats.maven.versions import order_key

FORMAT = Format(
    key="maven",
    title="Maven",
    prefix="maven",
    routes=ROUTES,
    error=answer_error,
    order=order_key,
    aliases=("gradle",),
    digests=ALGORITHMS,
    deposit=deposit,
    pointers=plugin_prefixes,
    setup=SNIPPETS,
)
