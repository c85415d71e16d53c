"""The template, deployed: what is there afterwards, and who may do what."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from botocore.exceptions import ClientError

from cloudformation import client, local_aws
from nightcast.aws_setup.connections import connections
from nightcast.aws_setup.deployment import Deployment
from nightcast.errors import DeploymentError

ACCOUNT = "123456789012"
SERVERLESS = {"WorkgroupName": "sales", "WorkgroupId": "0a1b-2c"}
CLUSTER = {"ClusterIdentifier": "sales", "DbUser": "forecaster"}


@pytest.fixture(scope="module")
def aws():
    with local_aws() as endpoint:
        iam = client("iam")
        iam.create_role(RoleName="airflow-workers", AssumeRolePolicyDocument="{}")
        iam.create_user(UserName="airflow-outside")
        yield endpoint


@pytest.fixture(scope="module")
def template(project):
    return (project / "include" / "iam" / "nightcast.yaml").read_text()


@pytest.fixture(scope="module")
def deploy(aws, template):
    def deployed(stack: str, **parameters: str) -> dict[str, str]:
        deployment = Deployment(client("cloudformation"), stack, poll_seconds=0.01)
        return deployment.carry_out(deployment.plan(template, parameters))

    return deployed


@pytest.fixture(scope="module")
def serverless(deploy):
    """Outputs of a stack for a workgroup, with all that is optional."""
    return deploy(
        "serverless",
        **SERVERLESS,
        **{"BucketName": "sales-forecasts", "CreateKmsKey": "true", "AirflowRoleName": "airflow-workers"},
        AlertsTopicArn=f"arn:aws:sns:eu-central-1:{ACCOUNT}:alerts",
    )


@pytest.fixture(scope="module")
def cluster(deploy):
    """Outputs of a stack for a cluster, with defaults."""
    return deploy("provisioned", **CLUSTER)


def statements(document) -> dict[str, dict]:
    return {one.get("Sid", "only"): one for one in document["Statement"]}


def policy(arn: str) -> dict[str, dict]:
    iam = client("iam")
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return statements(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])


def role(outputs) -> dict:
    return client("iam").get_role(RoleName=outputs["RedshiftRoleArn"].rpartition("/")[2])["Role"]


def rights(outputs) -> dict[str, dict]:
    found = client("iam").get_role_policy(RoleName=role(outputs)["RoleName"], PolicyName="artifacts")
    # moto gives it back as Python writes it, which is YAML, too.
    return statements(yaml.safe_load(str(found["PolicyDocument"])))


def actions(found: dict[str, dict]) -> set[str]:
    listed = [one["Action"] if isinstance(one["Action"], list) else [one["Action"]] for one in found.values()]
    return {action for names in listed for action in names}


def test_only_redshift_for_users_of_this_account_and_region_may_assume_the_role(serverless, cluster):
    (trust,) = role(serverless)["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"]["Service"] == ["redshift-serverless.amazonaws.com", "redshift.amazonaws.com"]
    assert trust["Condition"] == {
        "StringLike": {"sts:ExternalId": [f"arn:aws:redshift:eu-central-1:{ACCOUNT}:dbuser:*"]}
    }
    (trust,) = role(cluster)["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"]["Service"] == ["redshift.amazonaws.com"]
    users = trust["Condition"]["StringLike"]["sts:ExternalId"]
    assert users == [f"arn:aws:redshift:eu-central-1:{ACCOUNT}:dbuser:sales/*"]


def test_the_trust_can_be_narrowed(deploy):
    narrow = f"arn:aws:redshift:eu-central-1:{ACCOUNT}:dbuser:sales/forecaster"
    source = f"arn:aws:redshift:eu-central-1:{ACCOUNT}:namespace:*"
    made = deploy("narrow", **CLUSTER, TrustedExternalIds=narrow, TrustedSourceArn=source, TrustedSourceAccount="true")
    (trust,) = role(made)["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Condition"] == {
        "StringLike": {"sts:ExternalId": [narrow]},
        "ArnLike": {"aws:SourceArn": source},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    }


def test_redshifts_role_reaches_the_prefix_and_the_key_and_nothing_else(serverless, cluster):
    found = rights(serverless)
    assert found["Objects"]["Resource"] == "arn:aws:s3:::sales-forecasts/nightcast/*"
    assert found["List"]["Condition"] == {"StringLikeIfExists": {"s3:prefix": ["nightcast", "nightcast/*"]}}
    assert found["Key"]["Resource"] == serverless["KeyArn"]
    assert "Key" not in rights(cluster)
    actions = {
        action
        for one in found.values()
        for action in ([one["Action"]] if isinstance(one["Action"], str) else one["Action"])
    }
    assert actions == {
        *("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListBucket", "s3:GetBucketLocation"),
        *("kms:Decrypt", "kms:GenerateDataKey"),
    }


def test_airflows_rights_on_a_workgroup(serverless):
    found = policy(serverless["AirflowPolicyArn"])
    workgroup = f"arn:aws:redshift-serverless:eu-central-1:{ACCOUNT}:workgroup/0a1b-2c"
    assert set(found) == {"Statements", "OwnStatements", "LogIn", "Objects", "List", "Key", "Alerts"}
    assert found["Statements"]["Resource"] == found["LogIn"]["Resource"] == workgroup
    assert found["LogIn"]["Action"] == "redshift-serverless:GetCredentials"
    assert found["Objects"]["Resource"] == "arn:aws:s3:::sales-forecasts/nightcast/*"
    assert [name for name, one in found.items() if one["Resource"] == "*"] == ["OwnStatements"]
    attached = client("iam").list_attached_role_policies(RoleName="airflow-workers")["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [serverless["AirflowPolicyArn"]]


def test_airflows_rights_on_a_cluster(cluster):
    found = policy(cluster["AirflowPolicyArn"])
    account = f"arn:aws:redshift:eu-central-1:{ACCOUNT}"
    assert set(found) == {"Statements", "OwnStatements", "LogInAsUser", "Objects", "List"}
    assert found["Statements"]["Resource"] == f"{account}:cluster:sales"
    assert found["LogInAsUser"]["Resource"] == [f"{account}:dbuser:sales/forecaster", f"{account}:dbname:sales/dev"]


def test_the_rights_suffice_for_what_the_code_calls(serverless, project):
    """Each call of boto3 in the operators and the storage has its action."""
    code = project / "plugins" / "nightcast"
    files = [*(code / "operators").glob("*.py"), *(code / "hooks").glob("*.py"), code / "storage.py"]
    text = "".join(path.read_text() for path in files)
    calls = set(re.findall(r"\.(describe_statement|delete_objects|head_object|get_object|put_object)\(", text))
    needs = {
        "describe_statement": "redshift-data:DescribeStatement",
        **{"head_object": "s3:GetObject", "get_object": "s3:GetObject"},
        **{"put_object": "s3:PutObject", "delete_objects": "s3:DeleteObject"},
    }
    assert len(calls) >= 3
    assert {needs[call] for call in calls} <= actions(policy(serverless["AirflowPolicyArn"]))


def test_passing_the_role_on_is_limited_to_it_and_to_redshift(serverless, cluster):
    for outputs, services in (
        (serverless, ["redshift-serverless.amazonaws.com", "redshift.amazonaws.com"]),
        (cluster, ["redshift.amazonaws.com"]),
    ):
        passing = policy(outputs["AssociationPolicyArn"])["PassOnlyThisRole"]
        assert passing["Resource"] == outputs["RedshiftRoleArn"]
        assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": services}}
        assert "iam:PassRole" not in json.dumps(policy(outputs["AirflowPolicyArn"]))


def test_the_bucket_is_private_encrypted_versioned_and_tidies_up(serverless):
    s3, bucket = client("s3"), {"Bucket": serverless["Bucket"]}
    assert set(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = s3.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": serverless["KeyArn"],
    }
    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    rules = {one["ID"]: one for one in s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]}
    assert rules["incomplete-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert rules["noncurrent-versions"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 14}
    assert rules["noncurrent-versions"]["Expiration"] == {"ExpiredObjectDeleteMarker": True}


def test_unfinished_uploads_go_with_unfinished_runs(serverless):
    from nightcast.retention.plan import RetentionRules

    rules = client("s3").get_bucket_lifecycle_configuration(Bucket=serverless["Bucket"])["Rules"]
    (days,) = [one["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for one in rules if "Abort" in str(one)]
    assert days == RetentionRules().incomplete_days


def test_the_bucket_answers_by_tls_only(serverless):
    found = statements(json.loads(client("s3").get_bucket_policy(Bucket=serverless["Bucket"])["Policy"]))
    bucket = f"arn:aws:s3:::{serverless['Bucket']}"
    for sid, condition in (
        ("OnlyTls", {"Bool": {"aws:SecureTransport": "false"}}),
        ("OnlyTls12", {"NumericLessThan": {"s3:TlsVersion": "1.2"}}),
    ):
        assert (found[sid]["Effect"], found[sid]["Principal"], found[sid]["Action"]) == ("Deny", "*", "s3:*")
        assert found[sid]["Resource"] == [bucket, f"{bucket}/*"]
        assert found[sid]["Condition"] == condition
    # moto keeps to bucket policies, and is spoken to without TLS.
    with pytest.raises(ClientError, match="Forbidden"):
        client("s3").put_object(Bucket=serverless["Bucket"], Key="nightcast/x", Body=b"")


def test_the_key_turns(serverless, cluster):
    assert client("kms").get_key_rotation_status(KeyId=serverless["KeyArn"])["KeyRotationEnabled"] is True
    assert "KeyArn" not in cluster


def test_a_secret_holds_a_login_and_takes_the_place_of_temporary_credentials(deploy):
    made = deploy("secret", **CLUSTER, CreateSecret="true")
    secrets = client("secretsmanager")
    login = json.loads(secrets.get_secret_value(SecretId=made["SecretArn"])["SecretString"])
    assert login["username"] == "forecaster" and len(login["password"]) == 32
    assert {one["Key"] for one in secrets.describe_secret(SecretId=made["SecretArn"])["Tags"]} == {
        "RedshiftDataFullAccess"
    }
    found = policy(made["AirflowPolicyArn"])
    assert found["LogInBySecret"]["Resource"] == made["SecretArn"]
    assert not {"LogIn", "LogInAsUser"} & set(found)
    extra = connections(made, "eu-central-1")["redshift_default"]["extra"]
    assert extra["secret_arn"] == made["SecretArn"] and "db_user" not in extra


def test_the_connections_are_what_the_hooks_read(serverless, cluster, monkeypatch):
    from nightcast.hooks.redshift import RedshiftConnectionHook
    from nightcast.operators.base import artifact_root

    expected = {"serverless": ("workgroup_name", "sales"), "cluster": ("db_user", "forecaster")}
    for outputs, kind in ((serverless, "serverless"), (cluster, "cluster")):
        made = connections(outputs, "eu-central-1")
        for name, connection in made.items():
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        hook = RedshiftConnectionHook(aws_conn_id="redshift_default")
        key, value = expected[kind]
        assert (hook.iam_role, hook.region_name) == (outputs["RedshiftRoleArn"], "eu-central-1")
        assert hook.extras[key] == value
        assert artifact_root("aws_default") == f"s3://{outputs['Bucket']}/nightcast"


def test_an_update_keeps_what_is_not_named_and_changes_what_is(aws, template):
    deployment = Deployment(client("cloudformation"), "changing", poll_seconds=0.01)
    first = deployment.plan(template, {**CLUSTER, "Prefix": "first"})
    assert first.creates
    assert {one.name for one in first.changes if one.action == "Add"} >= {"Bucket", "RedshiftRole", "AirflowPolicy"}
    deployment.carry_out(first)
    plan = deployment.plan(template, {"Prefix": "second", "NoncurrentDays": "3"})
    assert not plan.creates
    made = deployment.carry_out(plan)
    assert (made["Prefix"], made["ClusterIdentifier"], made["DbUser"]) == ("second", "sales", "forecaster")
    rules = client("s3").get_bucket_lifecycle_configuration(Bucket=made["Bucket"])["Rules"]
    assert {"NoncurrentDays": 3} in [one.get("NoncurrentVersionExpiration") for one in rules]


def test_removing_the_stack_leaves_bucket_and_key(aws, template):
    deployment = Deployment(client("cloudformation"), "leaving", poll_seconds=0.01)
    made = deployment.carry_out(deployment.plan(template, {**CLUSTER, "CreateKmsKey": "true"}))
    deployment.delete()
    assert made["Bucket"] in [one["Name"] for one in client("s3").list_buckets()["Buckets"]]
    assert "OnlyTls" in client("s3").get_bucket_policy(Bucket=made["Bucket"])["Policy"]
    assert made["KeyArn"] in [one["KeyArn"] for one in client("kms").list_keys()["Keys"]]
    iam = client("iam")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        role(made)
    with pytest.raises(DeploymentError, match="there is no stack gone"):
        Deployment(client("cloudformation"), "gone").delete()


def test_the_page_has_each_parameter_with_its_default_and_each_resource(template, project):
    class Loader(yaml.SafeLoader):
        """Short forms of functions are read as what they are given."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: None)
    document = yaml.load(template, Loader)
    page = (project / "docs" / "aws.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", page, re.MULTILINE))
    expected = {
        name: f"`{one['Default']}`" if one["Default"] != "" else "empty" for name, one in document["Parameters"].items()
    }
    assert {name: rows.get(name) for name in expected} == expected
    assert [name for name in document["Resources"] if f"`{name}`" not in page] == []
