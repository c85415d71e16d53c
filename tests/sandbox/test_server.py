"""The sandbox as a process: its address, health, signals, and what survives a restart."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError

from nightcast.errors import StorageError

CREDENTIALS = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox"}


def client(service, url, region="us-east-1"):
    return boto3.client(service, endpoint_url=url, region_name=region, **CREDENTIALS)


def test_health_is_answered_without_credentials(sandbox):
    with urllib.request.urlopen(f"{sandbox.endpoint_url}/health") as answer:
        assert answer.headers["Content-Type"].startswith("application/x-amz-json")
        assert json.load(answer) == {"status": "ok", "endpoint": sandbox.endpoint_url, "database": "dev"}


def test_sts_and_iam_answer(sandbox):
    identity = client("sts", sandbox.endpoint_url).get_caller_identity()
    assert identity["Account"] == "123456789012"
    iam = client("iam", sandbox.endpoint_url)
    iam.create_role(RoleName="redshift", AssumeRolePolicyDocument="{}")
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["redshift"]


def test_unknown_operations_and_broken_requests_are_refused(sandbox):
    def post(target, body):
        request = urllib.request.Request(sandbox.endpoint_url, body, {"X-Amz-Target": f"RedshiftData.{target}"})
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request)
        with caught.value as error:
            return error.code, json.load(error)["__type"]

    assert post("Nonsense", b"{}") == (400, "UnknownOperationException")
    assert post("ExecuteStatement", b"{") == (400, "SerializationException")
    assert post("ExecuteStatement", b"[]") == (400, "SerializationException")
    assert post("ExecuteStatement", b"{}") == (400, "ValidationException")
    assert post("ListSessions", b"{}") == (400, "ValidationException")


def test_a_process_has_one_sandbox_only(sandbox):
    from nightcast.sandbox.server import Sandbox

    with pytest.raises(RuntimeError, match="runs a sandbox already"):
        Sandbox().start()
    with pytest.raises(RuntimeError, match="not started"):
        _ = Sandbox().endpoint_url
    Sandbox().stop()


def test_warehouse_and_buckets_survive_an_orderly_stop(start_process, api_at, tmp_path):
    folder = tmp_path / "kept"
    with start_process("--directory", str(folder)) as (url, process):
        s3 = client("s3", url, "eu-west-1")
        s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.create_bucket(Bucket="empty", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
        s3.put_object(
            Bucket="kept", Key="a folder/ü+1", Body=bytes(range(256)), Metadata={"period": "2008-12"},
            ContentType="text/csv", ContentEncoding="gzip", Tagging="kind=test", ServerSideEncryption="aws:kms",
            SSEKMSKeyId="1234abcd-12ab-34cd-56ef-1234567890ab",
        )  # fmt: skip
        s3.put_object(Bucket="kept", Key="removed", Body=b"")
        s3.delete_object(Bucket="kept", Key="removed")
        before = s3.head_object(Bucket="kept", Key="a folder/ü+1")
        api_at(client("redshift-data", url)).ok(
            [
                "create table kept (a int identity(5,5), b varchar(3) not null, c char(2))",
                "insert into kept (b) values ('x')",
            ]
        )
        # A statement that runs is ended by the stop, and does not hold it up.
        endless = (
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)"
            " select count(*) from n a cross join n b cross join n c"
        )
        client("redshift-data", url).execute_statement(Sql=endless, WorkgroupName="nightcast", Database="dev")
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
    with start_process("--directory", str(folder)) as (url, process):
        s3 = client("s3", url, "eu-west-1")
        assert sorted(bucket["Name"] for bucket in s3.list_buckets()["Buckets"]) == ["empty", "kept"]
        assert s3.get_bucket_location(Bucket="kept")["LocationConstraint"] == "eu-west-1"
        assert s3.get_bucket_versioning(Bucket="kept")["Status"] == "Enabled"
        assert [item["Key"] for item in s3.list_objects_v2(Bucket="kept")["Contents"]] == ["a folder/ü+1"]
        found = s3.get_object(Bucket="kept", Key="a folder/ü+1")
        assert found["Body"].read() == bytes(range(256))
        for fact in (
            "ETag",
            "LastModified",
            "Metadata",
            "ContentType",
            "ContentEncoding",
            "ServerSideEncryption",
            "SSEKMSKeyId",
        ):
            assert found[fact] == before[fact], fact
        assert s3.get_object_tagging(Bucket="kept", Key="a folder/ü+1")["TagSet"] == [{"Key": "kind", "Value": "test"}]
        api = api_at(client("redshift-data", url))
        assert api.ok("insert into kept (b) values ('y')")["ResultRows"] == 1
        assert api.rows("select a, b from kept order by a") == [(5, "x"), (10, "y")]
        assert "NULL value into column b" in api.error("insert into kept (b) values (null)")
        assert (
            api.client.describe_table(WorkgroupName="nightcast", Database="dev", Table="kept")["ColumnList"][2][
                "length"
            ]
            == 2
        )
        second = subprocess.run(
            [sys.executable, "-m", "nightcast.sandbox", "--directory", str(folder)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert second.returncode == 1 and second.stdout == ""
        assert "another sandbox may be using the folder" in second.stderr
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_a_killed_sandbox_has_what_it_had_answered(start_process, api_at, tmp_path):
    folder = tmp_path / "kept"
    with start_process("--directory", str(folder)) as (url, process):
        s3 = client("s3", url)
        for bucket in ("kept", "dropped"):
            s3.create_bucket(Bucket=bucket)
        for key, body in (("same", b"1"), ("changed", b"1"), ("removed", b"1")):
            s3.put_object(Bucket="kept", Key=key, Body=body, Metadata={"period": "2008-12"})
        s3.put_object(Bucket="kept", Key="changed", Body=b"2")
        s3.delete_objects(Bucket="kept", Delete={"Objects": [{"Key": "removed"}]})
        upload = s3.create_multipart_upload(Bucket="kept", Key="parts")["UploadId"]
        part = s3.upload_part(Bucket="kept", Key="parts", UploadId=upload, PartNumber=1, Body=b"3")
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        s3.complete_multipart_upload(Bucket="kept", Key="parts", UploadId=upload, MultipartUpload=parts)
        s3.delete_bucket(Bucket="dropped")
        api_at(client("redshift-data", url)).ok("create table kept as select 7 as a")
        process.kill()
        process.wait(30)
    with (folder / "buckets" / "journal.jsonl").open("a") as journal:
        journal.write('{"change": "key", "buck')  # the write that the kill has interrupted
    for _ in range(2):  # what was found is found again after a second kill
        with start_process("--directory", str(folder)) as (url, process):
            s3 = client("s3", url)
            assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["kept"]
            keys = [item["Key"] for item in s3.list_objects_v2(Bucket="kept")["Contents"]]
            bodies = {key: s3.get_object(Bucket="kept", Key=key)["Body"].read() for key in keys}
            assert bodies == {"same": b"1", "changed": b"2", "parts": b"3"}
            assert s3.head_object(Bucket="kept", Key="same")["Metadata"] == {"period": "2008-12"}
            assert api_at(client("redshift-data", url)).rows("select a from kept") == [(7,)]
            process.kill()
            process.wait(30)


def test_damaged_buckets_are_named(tmp_path):
    from nightcast.sandbox.persistence import load_buckets

    load_buckets(tmp_path / "none")
    (tmp_path / "index.json").write_text('{"format": 2}')
    with pytest.raises(StorageError, match="remove the folder to start empty"):
        load_buckets(tmp_path)


def test_unload_and_copy_use_the_s3_server_they_are_given(start_process, api_at, s3, bucket, keys, sandbox, role):
    with start_process("--s3-endpoint", sandbox.endpoint_url) as (url, _):
        api = api_at(client("redshift-data", url))
        api.ok("create table far as select 1 as a, 'x' as b")
        api.ok(f"unload ('select * from far') to 's3://{bucket}/far/' {role} csv manifest")
        assert keys() == ["far/0000_part_00", "far/manifest"]
        api.ok(f"copy far from 's3://{bucket}/far/manifest' {role} csv manifest")
        assert api.rows("select count(*) from far") == [(2,)]
        with pytest.raises(ClientError, match="NoSuchBucket"):
            client("s3", url).list_objects_v2(Bucket=bucket)


def test_some_hundred_megabytes_pass_through_s3_in_seconds(s3, bucket):
    import io

    block = bytes(range(256)) * (64 << 12)
    started = time.monotonic()
    s3.upload_fileobj(io.BytesIO(block), bucket, "block")
    assert s3.get_object(Bucket=bucket, Key="block")["Body"].read() == block
    assert len(block) / (time.monotonic() - started) > 8 * 2**20, "less than 8 MB/s"
    s3.delete_object(Bucket=bucket, Key="block")
