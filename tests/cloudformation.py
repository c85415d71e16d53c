"""CloudFormation on 127.0.0.1 that makes what Nightcast's template asks for.

moto's CloudFormation ignores a bucket's lifecycle, versioning and public access block, and knows neither bucket
policies nor secrets. Here they are made through moto's own S3 and Secrets Manager, by boto3, which check what they
are given. Nor does a stack of a change set have outputs there, or a list lose what AWS::NoValue stands for.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.backends import get_backend
from moto.cloudformation import parsing
from moto.cloudformation.models import ChangeSet
from moto.core.common_models import CloudFormationModel
from moto.s3.models import FakeBucket
from moto.server import ThreadedMotoServer

from nightcast.sandbox.persistence import s3_backend

CREDENTIALS = {"aws_access_key_id": "a-key", "aws_secret_access_key": "a-secret", "region_name": "eu-central-1"}
_endpoint: dict[str, str] = {}


@contextmanager
def local_aws() -> Iterator[str]:
    """Its address."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    _endpoint["endpoint_url"] = f"http://{host}:{port}"
    resolved, applied = parsing.clean_json, ChangeSet.apply
    parsing.clean_json = lambda found, known: _without_no_value(resolved(found, known))
    ChangeSet.apply = lambda change_set: _with_outputs(applied, change_set)
    models, buckets = parsing.get_model_map(), set(s3_backend().buckets)
    known = dict(models)
    models.update(
        {
            "AWS::S3::Bucket": _Bucket,
            "AWS::S3::BucketPolicy": _BucketPolicy,
            "AWS::SecretsManager::Secret": _Secret,
        }
    )
    try:
        yield _endpoint["endpoint_url"]
    finally:
        parsing.clean_json, ChangeSet.apply = resolved, applied
        models.clear()
        models.update(known)
        server.stop()
        _forget(buckets)


def _forget(buckets: set[str]) -> None:
    """Leave nothing behind for the process's other tests: moto's services are module variables."""
    for service in ("iam", "cloudformation", "kms", "secretsmanager"):
        for account in get_backend(service).values():
            for backend in account.values():
                backend.reset()
    for name in set(s3_backend().buckets) - buckets:
        del s3_backend().buckets[name]


def _without_no_value(found: Any) -> Any:
    return [one for one in found if one is not None] if isinstance(found, list) else found


def _with_outputs(apply: Any, change_set: Any) -> None:
    apply(change_set)
    stack = change_set.stack
    stack.template = change_set.template
    stack._parse_template()
    stack.output_map = stack._create_output_map()
    stack.parameters = {**stack.parameters, **change_set.parameters}


def client(service: str) -> Any:
    """A boto3 client of it."""
    return boto3.client(service, **CREDENTIALS, **_endpoint)


# moto finds the service of a model by its module's name.
_IN_S3, _IN_SECRETS_MANAGER = "moto.s3.models", "moto.secretsmanager.models"


class _Bucket(FakeBucket):
    __module__ = _IN_S3

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        made = FakeBucket.create_from_cloudformation_json(
            resource_name, cloudformation_json, account_id, region_name, **kwargs
        )
        cls._configure(made.name, cloudformation_json["Properties"])
        return made

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name
    ):
        cls._configure(original_resource.name, cloudformation_json["Properties"])
        return original_resource

    @staticmethod
    def _configure(name: str, asked: dict[str, Any]) -> None:
        s3 = client("s3")
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=asked["PublicAccessBlockConfiguration"])
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=asked["OwnershipControls"])
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=asked["VersioningConfiguration"])
        s3.put_bucket_lifecycle_configuration(
            Bucket=name,
            LifecycleConfiguration={"Rules": [_rule(one) for one in asked["LifecycleConfiguration"]["Rules"]]},
        )
        (rule,) = asked["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        default = {key: value for key, value in rule["ServerSideEncryptionByDefault"].items() if value}
        by_default = {"ApplyServerSideEncryptionByDefault": default} | (
            {"BucketKeyEnabled": True} if str(rule.get("BucketKeyEnabled")).lower() == "true" else {}
        )
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [by_default]})


def _rule(asked: dict[str, Any]) -> dict[str, Any]:
    """A lifecycle rule in the names of the S3 API, its numbers as numbers."""
    rule = {**asked, "ID": asked["Id"], "Filter": {"Prefix": asked["Prefix"]}}
    if rule.pop("ExpiredObjectDeleteMarker", False):
        rule["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    for name, days in (
        ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
        ("NoncurrentVersionExpiration", "NoncurrentDays"),
    ):
        if name in rule:
            rule[name] = {days: int(rule[name][days])}
    return {key: value for key, value in rule.items() if key not in ("Id", "Prefix")}


class _Model(CloudFormationModel):
    __module__ = _IN_S3

    @staticmethod
    def cloudformation_name_type() -> str:
        return ""

    @staticmethod
    def cloudformation_type() -> str:
        return "Nightcast::Tests::Model"

    def __init__(self, identity: str) -> None:
        self._identity = identity

    @property
    def physical_resource_id(self) -> str:
        return self._identity

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name
    ):
        return original_resource


class _BucketPolicy(_Model):
    __module__ = _IN_S3

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        asked = cloudformation_json["Properties"]
        client("s3").put_bucket_policy(Bucket=asked["Bucket"], Policy=json.dumps(asked["PolicyDocument"]))
        return cls(asked["Bucket"])

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        client("s3").delete_bucket_policy(Bucket=resource_name)


class _Secret(_Model):
    __module__ = _IN_SECRETS_MANAGER

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        asked = cloudformation_json["Properties"]
        made = asked["GenerateSecretString"]
        login = {**json.loads(made["SecretStringTemplate"]), made["GenerateStringKey"]: secrets.token_hex(16)}
        key = {"KmsKeyId": asked["KmsKeyId"]} if asked.get("KmsKeyId") else {}
        answer = client("secretsmanager").create_secret(
            Name=resource_name, SecretString=json.dumps(login), Tags=asked["Tags"], **key
        )
        return cls(answer["ARN"])

    @classmethod
    def delete_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name):
        client("secretsmanager").delete_secret(SecretId=resource_name, ForceDeleteWithoutRecovery=True)
