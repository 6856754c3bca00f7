"""From staging to release: the same bytes under the same names, all files of a version or none, with who and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from api.composition.projector import decoder
from application.catalogue import ArtifactRow
from domain.promotion import FilesPromoted
from projections.promotions.fold import PromotionProjection
from projections.rebuild import Rebuild
from tests.integration.harness import Reply
from tests.integration.product import Auth, Product, bearer, product
from tests.publishes import publish, upload_form
from tests.samples.pypi.make import sdist, wheel

PROMOTION = "/api/v1/promotion/repositories"
APPROVAL = "/api/v1/approval"


@pytest.fixture(scope="module")
def running(postgres_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(postgres_dsn, tmp_path_factory.mktemp("promotion")) as opened:
        yield opened


class Stage:
    """A staging repository and the one that files go to."""

    def __init__(self, running: Product, format: str, *, public: bool = True) -> None:
        self.running, self.format = running, format
        self.source, self.target = (f"{format}-{kind}-{uuid4().hex[:8]}" for kind in ("staging", "release"))
        self.source_id = running.repository(self.source, format, repo_type="staging", public=public)["id"]
        self.target_id = running.repository(self.target, format, public=public)["id"]

    def publish(self, name: str, version: str = "1.0.0", mark: str = "") -> ArtifactRow:
        """Publish in staging; what is there of it then."""
        made = publish(self.format, self.source, name, version, mark)
        before = {row.id for row in self.rows()}
        self.running.done(made.method, made.target, made.body, headers=made.headers)
        return next(row for row in self.rows() if row.id not in before)

    def rows(self, key: str = "") -> list[ArtifactRow]:
        repository = UUID(self.target_id if key == self.target else self.source_id)
        return self.running.workers[0].app.catalogue.artifacts_below(repository, "")

    def promote(self, row: ArtifactRow, auth: Auth = None, **body: Any) -> Reply:
        sent = {"target_repository": self.target, **body}
        return self.post(f"/artifacts/{row.id}/promote", sent, auth)

    def post(self, below: str, body: object, auth: Auth = None) -> Reply:
        return self.running.call("POST", f"{PROMOTION}/{self.source}{below}", body, auth=auth or self.running.admin)

    def history(self, **query: str) -> list[dict[str, Any]]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        found: list[dict[str, Any]] = self.running.done("GET", f"{PROMOTION}/{self.source}/promotion-history?{asked}")["items"]  # fmt: skip
        return found


def token(running: Product, *scopes: str, owner: Auth = None, **more: Any) -> dict[str, str]:
    body = {"name": "t", "scopes": list(scopes), **more}
    made = running.done("POST", "/api/v1/auth/tokens", body, auth=owner or running.admin)
    return bearer(made["token"])


@pytest.mark.parametrize("format", ["cargo", "debian", "generic", "helm", "maven", "npm", "pypi", "rpm"])
def test_what_is_promoted_is_in_the_other_repository_as_if_it_had_been_published_there(
    running: Product, format: str
) -> None:
    stage = Stage(running, format)
    name = "hello"
    row = stage.publish(name)
    made = publish(format, stage.target, name, "1.0.0")
    reply = stage.promote(row, notes="tested on three machines")
    assert (reply.status, reply.json()["promoted"]) == (200, True), reply.text
    assert made.told in running.call("GET", made.page, auth=running.admin).body
    downloaded = running.call("GET", made.file, auth=running.admin)
    assert (downloaded.status, downloaded.body) == (200, made.content)
    (there,) = [one for one in stage.rows(stage.target) if one.path == row.path]
    kept = ("path", "package", "name", "version", "sha256", "media_type", "digests", "metadata", "blobs", "properties")
    assert {field: getattr(there, field) for field in kept} == {field: getattr(row, field) for field in kept}
    assert running.call("GET", publish(format, stage.source, name, "1.0.0").file, auth=running.admin).status == 200
    again = stage.promote(row)
    assert (again.status, again.json()["code"]) == (409, "CONFLICT")
    (entry,) = stage.history()
    assert (entry["id"], entry["status"], entry["artifact_id"]) == (reply.json()["promotion_id"], "promoted", str(row.id))  # fmt: skip
    assert (entry["source_repo_key"], entry["target_repo_key"]) == (stage.source, stage.target)
    assert (entry["promoted_by_username"], entry["notes"]) == ("admin", "tested on three machines")


def upload(running: Product, key: str, *samples: Any) -> None:
    for sample in samples:
        body, content_type = upload_form(sample)
        running.done("POST", f"/pypi/{key}/", body, headers={"content-type": content_type})


def test_all_files_of_a_version_go_by_one_command_or_none(running: Product) -> None:
    stage = Stage(running, "pypi")
    upload(running, stage.source, wheel("hello", "1.0"), sdist("hello", "1.0"), wheel("hello", "2.0"))
    reply = stage.post("/promote-version", {"package": "hello", "version": "1.0", "target_repository": stage.target})
    assert (reply.status, len(reply.json()["artifact_ids"])) == (200, 2)
    assert {row.version for row in stage.rows(stage.target)} == {"1.0"}
    app = running.workers[0].app
    (made,) = [one for one in app.log.read(0, 100_000) if isinstance(one.event, FilesPromoted) and str(one.event.promotion) == reply.json()["promotion_id"]]  # fmt: skip
    others = {row.since for row in stage.rows(stage.target)}
    assert others <= set(range(made.position - 4, made.position)), "the files and the promotion are one command"
    assert (made.meta.by, made.repository) == (UUID(running.user_id(running.admin)), UUID(stage.target_id))
    upload(running, stage.source, sdist("hello", "2.0"))
    upload(running, stage.target, sdist("hello", "2.0"))
    refused = stage.post("/promote-version", {"package": "hello", "version": "2.0", "target_repository": stage.target})
    assert refused.status == 409
    assert len([row for row in stage.rows(stage.target) if row.version == "2.0"]) == 1, "none of it was promoted"
    for package, version in (("hello", "9"), ("other", "1.0"), ("", ""), ("a\0b", "1")):
        body = {"package": package, "version": version, "target_repository": stage.target}
        assert stage.post("/promote-version", body).status == 404


def test_what_is_true_of_a_version_goes_with_it(running: Product) -> None:
    stage = Stage(running, "npm")
    row = stage.publish("hello", "1.0.0")
    running.done("PUT", f"/npm/{stage.source}/-/package/hello/dist-tags/tried", b'"1.0.0"', headers={"content-type": "application/json"})  # fmt: skip
    stage.publish("hello", "2.0.0")
    assert stage.promote(row).status == 200
    told = running.call("GET", f"/npm/{stage.target}/hello", auth=running.admin).json()
    assert list(told["versions"]) == ["1.0.0"]
    assert told["dist-tags"] == {"latest": "1.0.0", "tried": "1.0.0"}
    similar = publish("npm", stage.target, "hel.lo", "1.0.0")
    writer = running.person(f"w{uuid4().hex[:6]}", **{stage.target.replace("-", "_"): "read write"})
    refused = running.call(similar.method, similar.target, similar.body, auth=writer, headers=similar.headers)
    assert refused.status in {403, 409}, "the name is taken by what was promoted"


def test_several_are_promoted_each_by_itself(running: Product) -> None:
    stage = Stage(running, "generic")
    first, second = stage.publish("one"), stage.publish("two")
    ids = [str(first.id), str(uuid4()), str(second.id), str(first.id)]
    reply = stage.post("/promote", {"artifact_ids": ids, "target_repository": stage.target}).json()
    assert (reply["total"], reply["promoted"], reply["failed"]) == (4, 2, 2)
    assert [one["promoted"] for one in reply["results"]] == [True, False, True, False]
    assert reply["results"][1]["message"]
    assert "already" in reply["results"][3]["message"]
    assert stage.post("/promote", {"artifact_ids": [], "target_repository": stage.target}).status == 400


def test_what_was_rejected_is_not_promoted_as_long_as_it_is_these_bytes(running: Product) -> None:
    stage = Stage(running, "generic")
    row = stage.publish("tool")
    assert stage.post(f"/artifacts/{row.id}/reject", {"reason": " "}).status == 400
    rejected = stage.post(f"/artifacts/{row.id}/reject", {"reason": "too slow", "notes": "see the graph"})
    assert (rejected.status, rejected.json()["rejected"], rejected.json()["source"]) == (200, True, stage.source)
    (entry,) = stage.history(status="rejected", artifact_id=str(row.id))
    assert (entry["id"], entry["rejection_reason"]) == (rejected.json()["rejection_id"], "too slow")
    reply = stage.promote(row).json()
    assert (reply["promoted"], reply["promotion_id"]) == (False, None)
    assert [one["rule"] for one in reply["policy_violations"]] == ["rejected"]
    assert "too slow" in reply["policy_violations"][0]["message"]
    assert stage.rows(stage.target) == []
    assert stage.promote(row, skip_policy_check=True).json()["promoted"]
    other = publish("generic", stage.source, "tool", "1.0.0", "mended")
    running.done("PUT", other.target, other.body)
    running.done("DELETE", publish("generic", stage.target, "tool", "1.0.0").target)
    assert stage.promote(row).json()["promoted"], "other bytes are at the path by now"
    assert stage.history(status="promoted")
    assert running.call("GET", f"{PROMOTION}/{stage.source}/promotion-history?status=x", auth=running.admin).status == 400  # fmt: skip


def test_where_signatures_are_required_only_signed_files_go(running: Product) -> None:
    stage = Stage(running, "generic")
    row = stage.publish("tool")
    signing = "/api/v1/signing"
    running.done("POST", f"{signing}/repositories/{stage.target_id}/config", {"require_signatures": True})
    reply = stage.promote(row).json()
    assert (reply["promoted"], [one["rule"] for one in reply["policy_violations"]]) == (False, ["require_signature"])
    body = {"name": "staging", "key_type": "ed25519", "repository_id": stage.source_id}
    key = running.done("POST", f"{signing}/keys", body)
    running.done("POST", f"{signing}/artifacts/{row.id}/sign")
    assert stage.promote(row).json()["promoted"]
    running.done("DELETE", publish("generic", stage.target, "tool", "1.0.0").target)
    running.done("POST", f"{signing}/keys/{key['id']}/revoke")
    assert not stage.promote(row).json()["promoted"], "a revoked key vouches for nothing"


def test_only_what_fits_is_promoted(running: Product) -> None:
    stage, other = Stage(running, "generic"), Stage(running, "pypi")
    row = stage.publish("tool")
    frozen = running.repository(f"{stage.source}-frozen", "generic", repo_type="snapshot", snapshot_of=stage.target)
    for target in (other.target, stage.source, frozen["key"]):
        assert stage.promote(row, target_repository=target).status == 400
    assert stage.promote(row, target_repository="nowhere").status == 404
    assert stage.promote(row, target_repository=None).status == 400
    assert other.post(f"/artifacts/{row.id}/promote", {"target_repository": other.target}).status == 404
    assert stage.promote(row, notes="a\0b").status == 400
    images = Stage(running, "oci")
    made = publish("oci", images.source, "hello", "1.0.0")
    running.done(made.method, made.target, made.body, headers=made.headers)
    manifest = next(one for one in images.rows() if "/manifests/" in one.path)
    assert images.promote(manifest).status == 400


def test_a_linked_repository_promotes_to_its_release_repository_alone(running: Product) -> None:
    stage, other = Stage(running, "generic"), Stage(running, "pypi")
    elsewhere = Stage(running, "generic").target
    link = f"{PROMOTION}/{stage.source}/release-target"
    unlinked = {"linked": False, "release_repository_key": None, "release_repository_id": None}
    assert running.done("GET", link) == unlinked
    linked = running.done("PUT", link, {"release_repository_key": stage.target})
    assert linked == {"linked": True, "release_repository_key": stage.target, "release_repository_id": stage.target_id}
    row = stage.publish("tool")
    assert stage.promote(row, target_repository=elsewhere).status == 400
    assert stage.promote(row, target_repository=None).json()["target"] == stage.target
    for key, status in ((other.target, 400), (stage.source, 400), ("nowhere", 404)):
        assert running.call("PUT", link, {"release_repository_key": key}, auth=running.admin).status == status
    back = f"{PROMOTION}/{stage.target}/release-target"
    assert running.call("PUT", back, {"release_repository_key": stage.target}, auth=running.admin).status == 400
    assert running.done("PUT", link, {"release_repository_key": None}) == unlinked
    repositories = "/api/v1/repositories"
    running.done("PATCH", f"{repositories}/{stage.source}", {"release_repository_key": stage.target})
    assert running.done("GET", link)["release_repository_id"] == stage.target_id
    running.done("PATCH", f"{repositories}/{stage.source}", {"description": "for tests"})
    assert running.done("GET", link)["linked"] is True
    running.done("PATCH", f"{repositories}/{stage.source}", {"release_repository_key": ""})
    assert running.done("GET", link) == unlinked
    refused = running.call("PATCH", f"{repositories}/{stage.target}", {"release_repository_key": stage.source}, auth=running.admin)  # fmt: skip
    assert refused.status == 400


def test_who_may_promote(running: Product) -> None:
    stage = Stage(running, "generic", public=False)
    row = stage.publish("tool")
    both = {stage.source.replace("-", "_"): "read", stage.target.replace("-", "_"): "read write"}
    name = f"dora{uuid4().hex[:6]}"
    writer = running.person(name, **both)
    outsider = running.person(f"olga{uuid4().hex[:6]}")
    assert [stage.promote(row, who).status for who in (writer, outsider)] == [403, 404]
    assert running.call("POST", f"{PROMOTION}/{stage.source}/artifacts/{row.id}/promote", {}).status == 401
    plain = token(running, "read:artifacts", "write:artifacts", owner=writer)
    assert stage.promote(row, plain).status == 403
    owner = running.user_id(writer)
    promoting = bearer(running.done("POST", f"/api/v1/users/{owner}/tokens", {"name": "p", "scopes": ["promote:artifacts"]})["token"])  # fmt: skip
    assert stage.promote(row, promoting, skip_policy_check=True).status == 403
    hidden = Stage(running, "generic", public=False)
    assert stage.promote(row, promoting, target_repository=hidden.target).status == 404
    unwritable = Stage(running, "generic")
    assert stage.promote(row, promoting, target_repository=unwritable.target).status == 403
    assert stage.promote(row, promoting).status == 200
    (entry,) = stage.history()
    assert entry["promoted_by_username"] == name
    assert running.call("GET", f"{PROMOTION}/{stage.source}/promotion-history", auth=outsider).status == 404
    assert running.call("GET", f"{PROMOTION}/{stage.source}/promotion-history", auth=writer).status == 200


def test_where_only_promotion_puts_files_nobody_publishes(running: Product) -> None:
    stage = Stage(running, "generic")
    row = stage.publish("tool")
    running.done("PATCH", f"/api/v1/repositories/{stage.target}", {"promotion_only": True})
    assert running.done("GET", f"/api/v1/repositories/{stage.target}")["promotion_only"] is True
    writer = running.person(f"wendy{uuid4().hex[:6]}", **{stage.target.replace("-", "_"): "read write delete admin"})
    direct = publish("generic", stage.target, "other", "1.0.0")
    assert running.call(direct.method, direct.target, direct.body, auth=writer).status == 403
    assert stage.promote(row).status == 200
    promoted = publish("generic", stage.target, "tool", "1.0.0")
    assert running.call("DELETE", promoted.target, auth=writer).status == 403
    assert running.call("GET", promoted.target, auth=writer).status == 200
    assert running.call(direct.method, direct.target, direct.body, auth=running.admin).status in {200, 201}


class Asked:
    """A request for approval by somebody who may only read."""

    def __init__(self, running: Product) -> None:
        self.running = running
        self.stage = Stage(running, "generic", public=False)
        self.row = self.stage.publish("tool")
        grants = {self.stage.source.replace("-", "_"): "read", self.stage.target.replace("-", "_"): "read"}
        self.person = running.person(f"rita{uuid4().hex[:6]}", **grants)

    def ask(self, auth: Auth = None, **more: Any) -> Reply:
        body = {
            "source_repository": self.stage.source,
            "target_repository": self.stage.target,
            "artifact_id": str(self.row.id),
            "notes": "please",
            **more,
        }
        return self.running.call("POST", f"{APPROVAL}/request", body, auth=auth or self.person)

    def decide(self, approval: str, verb: str, auth: Auth = None, **body: Any) -> Reply:
        return self.running.call("POST", f"{APPROVAL}/{approval}/{verb}", body, auth=auth or self.running.admin)


def test_what_is_approved_is_promoted_by_the_same_command(running: Product) -> None:
    asked = Asked(running)
    reply = asked.ask()
    assert (reply.status, reply.json()["status"], reply.json()["requested_by"]) == (201, "pending", running.user_id(asked.person))  # fmt: skip
    approval = reply.json()["id"]
    assert asked.ask().status == 409
    pending = running.call("GET", f"{APPROVAL}/pending?source_repository={asked.stage.source}", auth=asked.person)
    assert [one["id"] for one in pending.json()["items"]] == [approval]
    assert asked.decide(approval, "approve", auth=asked.person).status == 403
    granted = asked.decide(approval, "approve", notes="fine")
    assert (granted.status, granted.json()["status"], granted.json()["review_notes"]) == (200, "approved", "fine")
    assert granted.json()["reviewed_by"] == running.user_id(running.admin)
    assert [row.path for row in asked.stage.rows(asked.stage.target)] == [asked.row.path]
    for verb in ("approve", "reject"):
        assert asked.decide(approval, verb).status == 409
    shown = running.done("GET", f"{APPROVAL}/history?source_repository={asked.stage.source}")["items"]
    assert [(one["id"], one["status"], one["notes"]) for one in shown] == [(approval, "approved", "please")]
    assert running.done("GET", f"{APPROVAL}/pending?source_repository={asked.stage.source}")["items"] == []
    assert asked.ask().status == 409, "it is there by now"
    app = running.workers[0].app
    promoted = [one.event for one in app.log.read(0, 100_000) if isinstance(one.event, FilesPromoted)]
    assert str(promoted[-1].approval) == approval


def test_what_is_refused_can_be_asked_for_again(running: Product) -> None:
    asked = Asked(running)
    approval = asked.ask().json()["id"]
    refused = asked.decide(approval, "reject", notes="not yet")
    assert (refused.status, refused.json()["status"], refused.json()["review_notes"]) == (200, "rejected", "not yet")
    assert asked.stage.rows(asked.stage.target) == []
    history = running.done("GET", f"{APPROVAL}/history?source_repository={asked.stage.source}&status=rejected")["items"]
    assert [one["id"] for one in history] == [approval]
    assert asked.ask().status == 201


def test_nobody_approves_a_request_of_their_own_nor_one_for_other_bytes(running: Product) -> None:
    asked = Asked(running)
    own = asked.ask(auth=running.admin).json()["id"]
    reply = asked.decide(own, "approve")
    assert (reply.status, reply.json()["code"]) == (403, "FORBIDDEN")
    assert asked.decide(own, "reject").status == 200
    approval = asked.ask().json()["id"]
    changed = publish("generic", asked.stage.source, "tool", "1.0.0", "changed since")
    running.done("PUT", changed.target, changed.body)
    assert asked.decide(approval, "approve").status == 404
    assert running.done("GET", f"{APPROVAL}/{approval}")["status"] == "pending"
    assert asked.stage.rows(asked.stage.target) == []


def test_what_was_rejected_is_approved_only_against_the_rule(running: Product) -> None:
    asked = Asked(running)
    approval = asked.ask().json()["id"]
    asked.stage.post(f"/artifacts/{asked.row.id}/reject", {"reason": "too slow"})
    refused = asked.decide(approval, "approve")
    assert refused.status == 409
    assert "too slow" in refused.json()["message"]
    assert asked.decide(approval, "approve", skip_policy_check=True).json()["status"] == "approved"


def test_requests_are_known_to_readers_of_the_source_alone(running: Product) -> None:
    asked = Asked(running)
    approval = asked.ask().json()["id"]
    outsider = running.person(f"olga{uuid4().hex[:6]}")
    for below in (f"/{approval}", f"/pending?source_repository={asked.stage.source}", f"/history?source_repository={asked.stage.source}"):  # fmt: skip
        statuses = [
            running.call("GET", f"{APPROVAL}{below}", auth=who).status for who in (asked.person, outsider, None)
        ]
        assert (below, statuses) == (below, [200, 404, 401])
    assert running.call("GET", f"{APPROVAL}/pending", auth=asked.person).status == 403
    assert approval in [one["id"] for one in running.done("GET", f"{APPROVAL}/pending?per_page=100")["items"]]
    assert asked.ask(auth=outsider).status == 404
    assert asked.ask(skip_policy_check=True).status == 403
    for verb in ("approve", "reject"):
        assert asked.decide(str(uuid4()), verb).status == 404
    assert running.call("GET", f"{APPROVAL}/{uuid4()}", auth=running.admin).status == 404


def test_the_read_model_is_what_its_events_say(running: Product, postgres_dsn: str) -> None:
    asked = Asked(running)
    asked.decide(asked.ask().json()["id"], "approve", notes="fine")
    asked.stage.post(f"/artifacts/{asked.row.id}/reject", {"reason": "after all"})
    with Rebuild(postgres_dsn, PromotionProjection(), decoder()) as shadow:
        verified = shadow.verify()
    assert verified.equal
    assert verified.rows > 2
    running.done("DELETE", f"/api/v1/repositories/{asked.stage.target}")
    (shown,) = running.done("GET", f"{APPROVAL}/history?source_repository={asked.stage.source}")["items"]
    assert shown["target_repository"] == asked.stage.target
    assert json.dumps(shown)
