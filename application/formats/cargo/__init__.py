"""Rust crates, for cargo."""

from application.format import Format
from application.formats.cargo.dialect import answer_error
from application.formats.cargo.merging import spellings
from application.formats.cargo.names import order_key, similarity_key
from application.formats.cargo.publishing import deposit
from application.formats.cargo.routes import PEOPLE, ROUTES
from application.formats.cargo.setup import SNIPPETS

FORMAT = Format(
    key="cargo",
    title="Cargo",
    prefix="cargo",
    further_prefixes=("api/cargo",),
    routes=ROUTES,
    server_routes=PEOPLE,
    error=answer_error,
    order=order_key,
    overwrite="burn",
    deposit=deposit,
    alike=similarity_key,
    spellings=spellings,
    setup=SNIPPETS,
)
