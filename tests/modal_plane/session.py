"""Who is there: hello, tokens, the workspace, its prices, secrets, and uploaded bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import sys
import time
from typing import Any

import grpclib
from google.protobuf.empty_pb2 import Empty
from modal_proto import api_pb2 as pb

from tests.modal_plane.wire import rpc
from tests.modal_plane.world import Container, World, refuse


class Session:
    """What every client asks first."""

    def __init__(self, world: World) -> None:
        self.world = world

    @rpc("ClientHello")
    def hello(self, request: Any, container: Container | None) -> pb.ClientHelloResponse:
        return pb.ClientHelloResponse()

    @rpc("ContainerHello", "AppHeartbeat")
    def nothing(self, request: Any, container: Container | None) -> Empty:
        return Empty()

    @rpc("AuthTokenGet")
    def token(self, request: Any, container: Container | None) -> pb.AuthTokenGetResponse:
        """Shaped like a JSON web token, of which the client reads when it expires."""
        claims = json.dumps({"exp": int(time.time()) + 3600}).encode()
        return pb.AuthTokenGetResponse(token=f"x.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.x")

    @rpc("WorkspaceNameLookup")
    def workspace(self, request: Any, container: Container | None) -> pb.WorkspaceNameLookupResponse:
        return pb.WorkspaceNameLookupResponse(workspace_name="loopback", username="loopback")

    @rpc("EnvironmentGetOrCreate")
    def environment(self, request: Any, container: Container | None) -> pb.EnvironmentGetOrCreateResponse:
        metadata = pb.EnvironmentMetadata(name=request.deployment_name or "main")
        metadata.settings.image_builder_version = "2025.06"
        return pb.EnvironmentGetOrCreateResponse(environment_id="en-1", metadata=metadata)

    @rpc("WorkspaceBillingRates")
    def rates(self, request: Any, container: Container | None) -> pb.WorkspaceBillingRatesResponse:
        return pb.WorkspaceBillingRatesResponse(rates={"gpu_t4": "0.59"}, formatted="gpu_t4 0.59")


class Stores:
    """Secrets, images and files that functions are made of."""

    def __init__(self, world: World) -> None:
        self.world = world

    @rpc("SecretGetOrCreate")
    def secret(self, request: Any, container: Container | None) -> pb.SecretGetOrCreateResponse:
        key = self._secret(request)
        name, values = self.world.secrets[key]
        metadata = pb.SecretMetadata(name=name)
        if "keys" in metadata.DESCRIPTOR.fields_by_name:  # the older SDK's does not have it
            metadata.keys.extend(values)
        return pb.SecretGetOrCreateResponse(secret_id=key, metadata=metadata)

    def _secret(self, request: Any) -> str:
        name, secrets = request.deployment_name, self.world.secrets
        if not name or request.env_dict:
            key = self.world.new_id("st")
            secrets[key] = (name, dict(request.env_dict))
            return key
        key = next((key for key, (known, _) in secrets.items() if known == name), "")
        if not key:
            refuse(grpclib.Status.NOT_FOUND, f"Secret '{name}' not found in environment 'main'")
        if missing := sorted(set(request.required_keys) - set(secrets[key][1])):
            refuse(grpclib.Status.NOT_FOUND, f"Secret is missing key(s): {', '.join(missing)}")
        return key

    @rpc("ImageGetOrCreate")
    def image(self, request: Any, container: Container | None) -> pb.ImageGetOrCreateResponse:
        key = "im-" + hashlib.sha256(request.image.SerializeToString(deterministic=True)).hexdigest()[:22]
        self.world.images[key] = request.image
        python = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return pb.ImageGetOrCreateResponse(
            image_id=key,
            result=pb.GenericResult(status=pb.GenericResult.GENERIC_STATUS_SUCCESS),
            metadata=pb.ImageMetadata(python_version_info=python, image_builder_version="2025.06"),
        )

    @rpc("MountBatchedCheckExistence")
    def missing(self, request: Any, container: Container | None) -> pb.MountBatchedCheckExistenceResponse:
        gone = [key for key in request.sha256_hex_hashes if not self.world.place("files", key).exists()]
        return pb.MountBatchedCheckExistenceResponse(missing_sha256_hex_hashes=gone)

    @rpc("MountPutFile")
    def put(self, request: Any, container: Container | None) -> pb.MountPutFileResponse:
        place = self.world.place("files", request.sha256_hex)
        if request.data_blob_id:
            shutil.copyfile(self.world.place("blobs", request.data_blob_id), place)
        elif request.data or request.sha256_hex == hashlib.sha256(b"").hexdigest():
            place.write_bytes(request.data)
        return pb.MountPutFileResponse(exists=place.exists())

    @rpc("MountGetOrCreate")
    def mount(self, request: Any, container: Container | None) -> pb.MountGetOrCreateResponse:
        key = self.world.new_id("mo")
        self.world.mounts[key] = list(request.files)
        digest = hashlib.sha256(repr(request.files).encode()).hexdigest()
        metadata = pb.MountHandleMetadata(content_checksum_sha256_hex=digest)
        return pb.MountGetOrCreateResponse(mount_id=key, handle_metadata=metadata)

    @rpc("BlobCreate")
    def blob(self, request: Any, container: Container | None) -> pb.BlobCreateResponse:
        key = self.world.new_id("bl")
        urls = pb.UploadUrlList(items=[f"{self.world.http}/blob/{key}"])
        return pb.BlobCreateResponse(blob_ids=[key], upload_urls=urls)

    @rpc("BlobGet")
    def blob_url(self, request: Any, container: Container | None) -> pb.BlobGetResponse:
        return pb.BlobGetResponse(download_url=f"{self.world.http}/blob/{request.blob_id}")
