"""npm packages, for npm, yarn, pnpm, Bun and their kin."""

from application.format import Format
from application.formats.npm.depositing import deposit
from application.formats.npm.dialect import answer_error
from application.formats.npm.names import NpmName, order_key, similarity_key
from application.formats.npm.routes import PEOPLE, ROUTES
from application.formats.npm.setup import SNIPPETS
from application.formats.npm.writing import ALGORITHMS

FORMAT = Format(
    key="npm",
    title="npm",
    prefix="npm",
    routes=ROUTES,
    server_routes=PEOPLE,
    error=answer_error,
    order=order_key,
    aliases=("yarn", "pnpm", "bower"),
    overwrite="burn",
    digests=ALGORITHMS,
    deposit=deposit,
    setup=SNIPPETS,
    alike=lambda name: similarity_key(NpmName(name)),
)
