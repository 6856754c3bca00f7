"""`artifact-keeper admin`: what an operator does on the machine itself, also when the web is down."""

from __future__ import annotations

import sys
from uuid import UUID

import rich_click as click

from api.cli.printing import as_json, print_json, print_table, remark
from api.composition.admin import Administration, administration
from api.http.accounts import user_body
from application.identity.accounts import NewUser, UserChange
from application.identity.directory import UserFilter, UserRow
from domain.account import AccountNotFound

PAGE = 500

_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
)


@click.group()
def admin() -> None:
    """Look after accounts, tokens and storage on the machine itself.

    The commands work on the database that the settings name, or on that of a `serve` on the same data directory,
    running or not. No sign-in is asked for: whoever can read the secrets of the registry is its operator. What they
    do is in the audit, with `via` `command-line`.

    A secret that is made is printed on standard output, alone and this once; remarks go to standard error. Exit
    status: 0 done; 1 done in part; 2 refused, or wrong use; 3 the database or the store is away.
    """


@admin.command("list-users")
@click.option("--search", default="", help="Only those whose name or address has this in it.")
@click.option("--admins", is_flag=True, help="Only administrators.")
@as_json
def list_users(search: str, admins: bool, as_json: bool) -> None:
    """List accounts by user name."""
    with administration("admin list-users") as running:
        rows = _every_user(running, UserFilter(search=search, admin=True if admins else None))
    if as_json:
        print_json([user_body(row) for row in rows])
        return
    print_table(
        ("USER", "E-MAIL", "ADMIN", "ACTIVE", "MUST CHANGE PASSWORD", "LAST SIGN-IN", "ID"),
        [
            (row.username, row.email, row.admin, row.active, row.must_change_password, row.last_login_at, row.id)
            for row in rows
        ],
    )


@admin.command("create-user")
@click.argument("username")
@click.option("--email", required=True, help="E-mail address.")
@click.option("--display-name", help="Name to show.")
@click.option("--admin", "is_admin", is_flag=True, help="Make an administrator.")
@_password_stdin
@as_json
def create_user(
    username: str, email: str, display_name: str | None, is_admin: bool, password_stdin: bool, as_json: bool
) -> None:
    """Create an account.

    Without --password-stdin a password is made and printed; it must be changed at the first sign-in.
    """
    new = NewUser(
        username=username,
        email=email,
        password=_password() if password_stdin else None,
        display_name=display_name,
        admin=is_admin,
    )
    with administration("admin create-user") as running:
        row, generated = running.accounts.create(new, running.meta)
    if as_json:
        print_json({"user": user_body(row), "generated_password": generated})
        return
    remark(f"created the {'administrator' if row.admin else 'user'} {row.username} ({row.id})")
    _print_password(generated)


@admin.command("update-user")
@click.argument("user")
@click.option("--email", help="New e-mail address.")
@click.option("--display-name", help="New name to show; an empty one takes it away.")
@click.option("--admin/--no-admin", "is_admin", default=None, help="Make an administrator, or no longer.")
@click.option("--enable/--disable", "is_active", default=None, help="Let sign in, or end every session and token.")
@as_json
def update_user(
    user: str,
    email: str | None,
    display_name: str | None,
    is_admin: bool | None,
    is_active: bool | None,
    as_json: bool,
) -> None:
    """Change an account. USER is a user name or an id. What is not given stays."""
    given = {"email": email, "display_name": display_name, "admin": is_admin, "active": is_active}
    change = UserChange(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    if change == UserChange():
        raise click.UsageError("say what to change")
    with administration("admin update-user") as running:
        row = running.accounts.update(user_of(running, user).id, change, running.meta)
    if as_json:
        print_json(user_body(row))
        return
    remark(f"{row.username} ({row.id}) is {'active' if row.active else 'disabled'}{', administrator' * row.admin}")


@admin.command("reset-password")
@click.argument("user")
@_password_stdin
@as_json
def reset_password(user: str, password_stdin: bool, as_json: bool) -> None:
    """Give an account a new password, end its sessions, and lift a lock. USER is a user name or an id.

    Without --password-stdin a password is made and printed; it must be changed at the next sign-in.
    """
    given = _password() if password_stdin else None
    with administration("admin reset-password") as running:
        row = user_of(running, user)
        if given is not None:
            running.accounts.change_password(row.id, given, running.meta)
            made = None
        else:
            made = running.accounts.reset_password(row.id, running.meta)
            running.keep_first_password(row.id, made)
    if as_json:
        print_json({"user": row.username, "temporary_password": made})
        return
    remark(f"{row.username} has a new password")
    _print_password(made)


@admin.command("erase-user")
@click.argument("user")
@click.option("--reason", required=True, help="Why, for the audit; do not name the person here.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase_user(user: str, reason: str, yes: bool) -> None:
    """Make all that the log knows of a person unreadable for ever.

    USER is a user name or an id; a deleted account is found by its id. The account is deleted, and the key that its
    name, address, passwords and client addresses are sealed with is destroyed. What they did stays in the log, done
    by nobody whom one could name. Nothing undoes this; backups made before still hold the key.
    """
    with administration("admin erase-user") as running:
        person = _person(running, user)
        if not yes:
            click.confirm(f"Erase {user} ({person}) for ever?", abort=True, err=True)
        running.accounts.erase(person, reason, running.meta)
    remark(f"{person} is erased")


def user_of(running: Administration, text: str) -> UserRow:
    """The live account of that name or id; raises AccountNotFound."""
    row = running.directory.user_by_username(text)
    identity = None if row is not None else parsed_id(text)
    if identity is not None:
        row = running.directory.user(identity)
    if row is None or row.deleted:
        raise AccountNotFound(text)
    return row


def parsed_id(text: str) -> UUID | None:
    """The id that a text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _person(running: Administration, text: str) -> UUID:
    row = running.directory.user_by_username(text)
    person = row.id if row is not None else parsed_id(text)
    if person is None:
        raise AccountNotFound(text)
    return person


def _every_user(running: Administration, wanted: UserFilter) -> list[UserRow]:
    rows: list[UserRow] = []
    while True:
        page, total = running.directory.users(wanted, limit=PAGE, offset=len(rows))
        rows += page
        if not page or len(rows) >= total:
            return rows


def _password() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise click.UsageError("--password-stdin needs a password on standard input")
    return line


def _print_password(password: str | None) -> None:
    if password is not None:
        remark("a temporary password, shown this once:")
        click.echo(password)
