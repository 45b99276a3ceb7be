"""A real MinIO for each test module, and the environment that leads the archive to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import s3fs

from tests.servers.minio import ACCESS_KEY, BUCKET, SECRET_KEY, MinioServer

LeadTo = Callable[[str], None]
"""Makes the S3 driver ask the store at this URL."""


@pytest.fixture(scope="module")
def minio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MinioServer]:
    server = MinioServer(tmp_path_factory.mktemp("minio"))
    server.start()
    server.client().create_bucket(Bucket=BUCKET)
    yield server
    server.stop()


@pytest.fixture
def lead_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[LeadTo]:
    def lead(url: str) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        # Made once per process and options: without this it would go on with what the last test had set.
        s3fs.S3FileSystem.clear_instance_cache()

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    # What else a machine may know of credentials must not stand in for those that a test takes away.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    yield lead
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def archive_url(minio: MinioServer, lead_to: LeadTo, request: pytest.FixtureRequest) -> str:
    """A place of its own in the bucket for each test."""
    lead_to(minio.url)
    return f"s3://{BUCKET}/{request.node.name}"
