"""A bucket keeps every promise of a backup store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from bascule.backups.stores.s3 import S3Store
from bascule.errors import ConfigError, MigrationFailed
from tests.conformance.backup_store import BackupStoreConformance, got, put
from tests.conformance.killed_writer import begin_and_kill
from tests.conformance.s3_server import new_bucket, s3_server


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture
def store(endpoint: str) -> S3Store:
    return S3Store(f"s3://{new_bucket(endpoint)}/some/where?endpoint={endpoint}")


@pytest.fixture
def dies_writing(store: S3Store) -> Callable[[str], None]:
    return lambda path: begin_and_kill(store.address, path)


class TestS3Store(BackupStoreConformance):
    pass


def test_a_prefix_is_a_store_of_its_own(endpoint: str) -> None:
    bucket = new_bucket(endpoint)
    one, two = (S3Store(f"s3://{bucket}/{name}?endpoint={endpoint}") for name in ("one", "two"))

    put(one, "id/a", b"of one")

    assert two.list() == []
    assert two.size("id/a") is None
    assert got(one, "id/a") == b"of one"


def test_an_old_claim_of_another_machine_is_a_leftover(endpoint: str) -> None:
    store = S3Store(f"s3://{new_bucket(endpoint)}?endpoint={endpoint}", dead_after=timedelta(0))
    with store.create("one/a"):
        assert [each.path for each in store.leftovers()] == ["one/a.claim"]


def test_a_bucket_that_is_not_there_is_told_without_the_servers_answer(endpoint: str) -> None:
    store = S3Store(f"s3://nowhere?endpoint={endpoint}")

    with pytest.raises(MigrationFailed) as failed:
        put(store, "one/a")

    assert failed.value.code == "backup_store"
    assert "<" not in failed.value.message


@pytest.mark.parametrize(
    "address",
    [
        "s3://",
        "s3://user:password@bucket",
        "s3://bucket?access_key_id=x",
        "s3://bucket?endpoint=http://storage.example.org",
    ],
)
def test_addresses_with_secrets_or_without_tls_are_refused(address: str) -> None:
    with pytest.raises(ConfigError) as refused:
        S3Store(address)

    assert "password" not in refused.value.message
