"""A real S3 service for tests: SeaweedFS, whose server comes inside a wheel. Loopback only, ports chosen at start.

The storage and the S3 gateway are two processes, so that a test can kill and revive what our client talks to within
a quarter of a second while the stored bytes stay.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Self

from minio import Minio

from infrastructure.blobs.s3_client import connect
from infrastructure.processes import reap, spawn

ACCESS_KEY = "AKTESTACCESS"
SECRET_KEY = "test-secret-of-the-test-server"
REGION = "us-east-1"
BUCKET = "blobs"


def weed_binary() -> Path | None:
    """The server beside this interpreter, or None when the development dependencies are not installed."""
    path = Path(sys.executable).with_name("weed")
    return path if path.exists() else None


class S3Server:
    def __init__(self, binary: Path, directory: Path) -> None:
        self._binary = binary
        self._directory = directory
        self._ports = dict(zip(("master", "volume", "filer", "s3"), _free_port_pairs(4), strict=True))
        self._backend: subprocess.Popen[bytes] | None = None
        self._gateway: subprocess.Popen[bytes] | None = None
        self.endpoint = f"http://127.0.0.1:{self._ports['s3'][0]}"

    def client(self) -> Minio:
        return connect(endpoint=self.endpoint, region=REGION, access_key_id=ACCESS_KEY, secret_access_key=SECRET_KEY)

    def new_prefix(self) -> str:
        """A part of BUCKET that nobody else uses. The server gives each bucket volumes of its own: one must do."""
        return f"tests/{uuid.uuid4().hex}"

    def start(self) -> None:
        data = self._directory / "data"
        data.mkdir(parents=True)
        identity = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        config = {"identities": [{"name": "test", "credentials": [identity], "actions": ["Admin"]}]}
        (self._directory / "s3.json").write_text(json.dumps(config))
        options = {
            "dir": data,
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": 64,
            "volume.max": 100,
        }
        for role in ("master", "volume", "filer"):
            options[f"{role}.port"], options[f"{role}.port.grpc"] = self._ports[role]
        self._backend = self._spawn("server", "-filer", **options)
        self.start_gateway()

    def start_gateway(self) -> None:
        """Start what speaks S3 and wait until an object can be written."""
        http, grpc = self._ports["s3"]
        filer = "127.0.0.1:{}.{}".format(*self._ports["filer"])
        options = {"filer": filer, "ip.bind": "127.0.0.1", "config": self._directory / "s3.json"}
        options |= {"port": http, "port.grpc": grpc, "port.iceberg": 0, "port.lance": 0}
        self._gateway = self._spawn("s3", **options)
        self._wait_until_writable()

    def kill_gateway(self) -> None:
        """`kill -9`: connections break in the middle of whatever they carry."""
        if self._gateway is not None:
            reap(self._gateway)

    def stop(self) -> None:
        for process in (self._gateway, self._backend):
            if process is not None:
                reap(process)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _spawn(self, verb: str, *flags: str, **options: object) -> subprocess.Popen[bytes]:
        words = [f"-{name}={value}" for name, value in options.items()]
        with (self._directory / f"{verb}.log").open("ab") as log:
            environ = {"PATH": os.defpath, "HOME": str(self._directory)}
            return spawn([str(self._binary), verb, *flags, *words], environ=environ, cwd=self._directory, output=log)

    def _wait_until_writable(self) -> None:
        deadline = time.monotonic() + 60
        client = self.client()
        while True:
            try:
                if not client.bucket_exists(BUCKET):
                    client.make_bucket(BUCKET)
                client.put_object(BUCKET, "probe", io.BytesIO(b"x"), 1)
            except Exception as fault:
                if time.monotonic() > deadline:
                    log = (self._directory / "s3.log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"the S3 server did not start: {fault}\n{log}") from fault
                time.sleep(0.05)
            else:
                return


def _free_port_pairs(count: int) -> list[tuple[int, int]]:
    """Distinct free ports, two for each role (HTTP and gRPC), all held until all are known."""
    held = [socket.socket() for _ in range(2 * count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        ports = [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
    return list(zip(ports[::2], ports[1::2], strict=True))
