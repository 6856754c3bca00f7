"""`artifact-keeper admin …` on API tokens."""

from __future__ import annotations

import sys

import rich_click as click

from api.cli.admin import parsed_id, user_of
from api.cli.printing import as_json, print_json, print_table, remark
from api.composition.admin import Administration, administration
from api.http.accounts import created_body, token_list
from application.identity.directory import TokenRow, UserRow
from application.identity.tokens import CreatedToken, NewToken, secret_hash
from domain.permissions import Principal
from domain.repository import RepositoryNotFound
from domain.token import SCOPES, TokenNotFound, is_secret


@click.command("create-token")
@click.argument("user")
@click.option("--name", required=True, help="What it is for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=("read:artifacts",),
    show_default=True,
    type=click.Choice(sorted(SCOPES)),
    help="What it may do, within what the user may; may be repeated.",
)
@click.option("--expires-in-days", type=click.IntRange(min=1), help="Lifetime; without it there is no end.")
@click.option("--repository", help="Confine the token to the repository of this key.")
@as_json
def create_token(
    user: str, name: str, scopes: tuple[str, ...], expires_in_days: int | None, repository: str | None, as_json: bool
) -> None:
    """Create a token that acts as USER (a user name or an id), and print it, this once."""
    new = NewToken(name=name, scopes=list(scopes), expires_in_days=expires_in_days)
    with administration("admin create-token") as running:
        owner = user_of(running, user)
        created = _created(running, owner, new, repository)
    if as_json:
        print_json(created_body(created))
        return
    remark(f"created the token {created.name!r} ({created.id}) of {owner.username}; shown this once:")
    click.echo(created.secret)


@click.command("list-tokens")
@click.argument("user")
@as_json
def list_tokens(user: str, as_json: bool) -> None:
    """List the tokens of USER (a user name or an id) that were not revoked, without their secrets."""
    with administration("admin list-tokens") as running:
        rows = running.directory.tokens_of(user_of(running, user).id)
    if as_json:
        print_json(token_list(rows).items)
        return
    print_table(
        ("NAME", "BEGINS", "SCOPES", "EXPIRES", "LAST USED", "ID"),
        [(row.name, row.prefix, " ".join(row.scopes), row.expires_at, row.last_used_at, row.id) for row in rows],
    )


@click.command("revoke-token")
@click.argument("tokens", nargs=-1, required=True)
def revoke_token(tokens: tuple[str, ...]) -> None:
    """Revoke tokens, on every process at once.

    Each of TOKENS is an id, or the token itself where one was found lying about; - reads them from standard input.
    """
    given = [word for text in tokens for word in (sys.stdin.read().split() if text == "-" else [text])]
    with administration("admin revoke-token") as running:
        for row in [_token(running, text) for text in given]:
            running.tokens.revoke(row.id, running.meta)
            remark(f"revoked {row.name!r} ({row.id})")


@click.command("revoke-tokens")
@click.argument("user")
def revoke_tokens(user: str) -> None:
    """Revoke every token of USER (a user name or an id), on every process at once."""
    with administration("admin revoke-tokens") as running:
        rows = running.directory.tokens_of(user_of(running, user).id)
        for row in rows:
            running.tokens.revoke(row.id, running.meta)
            remark(f"revoked {row.name!r} ({row.id})")
    remark(f"{len(rows)} revoked")


def _created(running: Administration, owner: UserRow, new: NewToken, repository: str | None) -> CreatedToken:
    # the operator passes everything on; what the token can do then goes by its owner's rights
    operator = Principal(id=owner.id, kind="system", admin=True)
    if repository is None:
        return running.tokens.create(owner.id, new, operator, running.meta)
    row = running.catalogue.repository(repository)
    if row is None:
        raise RepositoryNotFound(repository)
    return running.tokens.create_for_repository(row.id, new, operator, running.meta, public=row.public)


def _token(running: Administration, text: str) -> TokenRow:
    identity = parsed_id(text)
    if identity is not None:
        row = running.directory.token(identity)
    else:
        row = running.directory.token_by_hash(secret_hash(text)) if is_secret(text) else None
    if row is None:
        raise TokenNotFound
    return row
