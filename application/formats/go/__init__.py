"""Go modules, for the go command: a module proxy that can be published to."""

from application.format import Format
from application.formats.go.dialect import answer_error
from application.formats.go.names import above
from application.formats.go.publishing import deposit
from application.formats.go.routes import ROUTES
from application.formats.go.setup import SNIPPETS
from application.formats.go.versions import order_key

FORMAT = Format(
    key="go",
    title="Go",
    prefix="go",
    routes=ROUTES,
    error=answer_error,
    order=order_key,
    overwrite="burn",
    deposit=deposit,
    spellings=above,
    setup=SNIPPETS,
)
