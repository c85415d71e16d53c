"""The Redshift Data API, by boto3: states, results, paging, cancelling, tokens, sessions, refusals."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

ENDLESS = (
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)"
    " select count(*) from n a cross join n b cross join n c"
)
SERVERLESS = {"WorkgroupName": "nightcast", "Database": "dev"}


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def wait_for(api, identity, *statuses):
    for _ in range(600):
        described = api.client.describe_statement(Id=identity)
        if described["Status"] in statuses:
            return described
        time.sleep(0.02)
    pytest.fail(f"still {described['Status']}")


@pytest.mark.parametrize(
    "target",
    [
        {"ClusterIdentifier": "sales-1", "DbUser": "analyst"},
        {"ClusterIdentifier": "sales-1", "SecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:x"},
        {"ClusterIdentifier": "sales-1"},
        {"WorkgroupName": "nightcast"},
    ],
)
def test_a_query_from_submission_to_result(redshift_data, api, target):
    submitted = redshift_data.execute_statement(Sql="select 1 as one, 'x' as x", Database="dev", **target)
    assert submitted["Status"] in ("SUBMITTED", "PICKED", "STARTED", "FINISHED")
    described = wait_for(api, submitted["Id"], "FINISHED")
    for facts in (submitted, described):
        assert {name: facts[name] for name in target} == target
        assert facts["Database"] == "dev"
    assert described["CreatedAt"] == submitted["CreatedAt"] <= described["UpdatedAt"]
    assert described["HasResultSet"] is True and described["ResultRows"] == 1 and described["ResultSize"] > 0
    assert described["Duration"] > 1000 and described["RedshiftQueryId"] > 0 and described["RedshiftPid"] > 0
    assert described["QueryString"] == "select 1 as one, 'x' as x"
    assert "Error" not in described and "SubStatements" not in described
    result = redshift_data.get_statement_result(Id=submitted["Id"])
    assert result["Records"] == [[{"longValue": 1}, {"stringValue": "x"}]]
    assert result["TotalNumRows"] == 1 and "NextToken" not in result
    assert [(c["name"], c["typeName"]) for c in result["ColumnMetadata"]] == [("one", "int4"), ("x", "varchar")]


def test_every_type_has_its_member(api):
    sql = (
        "select 1::smallint, 2::bigint, 1.50::numeric(8,2), 0.5::float, 0.25::real, true, 'x', 'y'::char(1),"
        " '2008-12-31'::date,"
        " '2008-12-31 23:59:59.5'::timestamp, '2008-12-31 23:59:59+00'::timestamptz, null, ''"
    )
    identity = api.ok(sql)["Id"]
    result = api.client.get_statement_result(Id=identity)
    assert result["Records"] == [
        [
            {"longValue": 1}, {"longValue": 2}, {"stringValue": "1.50"}, {"doubleValue": 0.5}, {"doubleValue": 0.25},
            {"booleanValue": True}, {"stringValue": "x"}, {"stringValue": "y"}, {"stringValue": "2008-12-31"},
            {"stringValue": "2008-12-31 23:59:59.5"}, {"stringValue": "2008-12-31 23:59:59+00"}, {"isNull": True},
            {"stringValue": ""},
        ]
    ]  # fmt: skip
    assert [column["typeName"] for column in result["ColumnMetadata"]] == [
        "int2", "int8", "numeric", "float8", "float4", "bool", "varchar", "varchar", "date", "timestamp", "timestamptz",
        "varchar", "varchar",
    ]  # fmt: skip
    numeric = result["ColumnMetadata"][2]
    assert (numeric["precision"], numeric["scale"], numeric["isSigned"]) == (8, 2, True)


def test_a_result_is_read_page_by_page(api, redshift_data):
    api.ok("create temp table if not exists none_yet (a int)")
    numbers = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 2500) select i from n order by i"
    )
    identity = api.ok(numbers)["Id"]
    pages = list(redshift_data.get_paginator("get_statement_result").paginate(Id=identity))
    assert [len(page["Records"]) for page in pages] == [1000, 1000, 500]
    assert all(page["TotalNumRows"] == 2500 and page["ColumnMetadata"] for page in pages)
    assert [record[0]["longValue"] for page in pages for record in page["Records"]] == list(range(1, 2501))
    assert refused(redshift_data.get_statement_result, Id=identity, NextToken="x") == (
        "ValidationException",
        "Invalid NextToken",
    )


def test_an_empty_result_is_a_result(api, redshift_data):
    described = api.ok("select 1 as a where false")
    assert described["HasResultSet"] is True and described["ResultRows"] == 0
    result = redshift_data.get_statement_result(Id=described["Id"])
    assert result["Records"] == [] and result["ColumnMetadata"][0]["name"] == "a"


def test_a_result_as_csv(api, redshift_data):
    described = api.ok("select 'a,\"b' as text, null as nothing, true as yes, 1.50 as n", ResultFormat="CSV")
    assert described["ResultFormat"] == "CSV"
    result = redshift_data.get_statement_result_v2(Id=described["Id"])
    assert result["Records"] == [{"CSVRecords": 'text,nothing,yes,n\r\n"a,""b",,t,1.50\r\n'}]
    assert refused(redshift_data.get_statement_result, Id=described["Id"])[0] == "ValidationException"
    plain = api.ok("select 1")["Id"]
    assert refused(redshift_data.get_statement_result_v2, Id=plain)[0] == "ValidationException"


def test_a_failed_statement_says_why(api, redshift_data):
    described = api.run("select * from nosuch")
    assert described["Status"] == "FAILED"
    assert described["Error"] == 'ERROR: relation "nosuch" does not exist'
    assert described["HasResultSet"] is False and described["ResultRows"] == -1
    code, message = refused(redshift_data.get_statement_result, Id=described["Id"])
    assert code == "ResourceNotFoundException" and "does not have result" in message


def test_an_unknown_database_fails_the_statement(api):
    assert api.error("select 1", Database="other") == 'FATAL: database "other" does not exist'


def test_a_running_statement_is_cancelled(api, redshift_data):
    identity = redshift_data.execute_statement(Sql=ENDLESS, **SERVERLESS)["Id"]
    wait_for(api, identity, "STARTED")
    time.sleep(0.1)
    assert redshift_data.cancel_statement(Id=identity)["Status"] is True
    described = wait_for(api, identity, "ABORTED", "FAILED", "FINISHED")
    assert described["Status"] == "ABORTED"
    assert "cancelled on user's request" in described["Error"]
    code, message = refused(redshift_data.cancel_statement, Id=identity)
    assert code == "ValidationException" and "already in ABORTED state" in message


def test_a_cancelled_batch_leaves_nothing(api, redshift_data, table):
    identity = redshift_data.batch_execute_statement(Sqls=[f"create table {table} (a int)", ENDLESS], **SERVERLESS)[
        "Id"
    ]
    for _ in range(500):
        if redshift_data.describe_statement(Id=identity)["SubStatements"][1]["Status"] == "STARTED":
            break
        time.sleep(0.02)
    redshift_data.cancel_statement(Id=identity)
    described = wait_for(api, identity, "ABORTED", "FAILED", "FINISHED")
    assert [part["Status"] for part in described["SubStatements"]] == ["FINISHED", "ABORTED"]
    assert described["Status"] == "ABORTED"
    assert "does not exist" in api.error(f"select * from {table}")


def test_a_finished_statement_can_not_be_cancelled(api, redshift_data):
    identity = api.ok("select 1")["Id"]
    code, message = refused(redshift_data.cancel_statement, Id=identity)
    assert (code, message) == (
        "ValidationException", f"Could not cancel a query that is already in FINISHED state with ID: {identity}",
    )  # fmt: skip


def test_several_statements_run_at_once(redshift_data, api):
    endless = [redshift_data.execute_statement(Sql=ENDLESS, **SERVERLESS)["Id"] for _ in range(3)]
    try:
        assert api.rows("select 1") == [(1,)]
    finally:
        for identity in endless:
            redshift_data.cancel_statement(Id=identity)
    for identity in endless:
        wait_for(api, identity, "ABORTED")


def test_a_batch_is_one_transaction(api, table):
    described = api.run(
        [f"create table {table} (a int)", f"insert into {table} values (1), (2)", f"select a from {table}"]
    )
    assert described["Status"] == "FINISHED" and described["HasResultSet"] is True
    parts = described["SubStatements"]
    assert [part["Id"] for part in parts] == [f"{described['Id']}:{n}" for n in (1, 2, 3)]
    assert [part["ResultRows"] for part in parts] == [-1, 2, 2]
    assert [part["HasResultSet"] for part in parts] == [False, False, True]
    records = api.client.get_statement_result(Id=parts[2]["Id"])["Records"]
    assert sorted(record[0]["longValue"] for record in records) == [1, 2]
    assert api.client.describe_statement(Id=parts[1]["Id"])["QueryString"].startswith("insert")
    assert refused(api.client.get_statement_result, Id=described["Id"])[0] == "ResourceNotFoundException"


def test_a_failing_batch_is_rolled_back(api, table):
    api.ok(f"create table {table} as select 1 as a")
    described = api.run([f"delete from {table}", "select 1/0", f"insert into {table} values (2)"])
    assert described["Status"] == "FAILED"
    assert described["Error"] == "Query #2 failed with ERROR: Divide by zero"
    assert [part["Status"] for part in described["SubStatements"]] == ["FINISHED", "FAILED", "ABORTED"]
    assert described["SubStatements"][1]["Error"] == "ERROR: Divide by zero"
    assert api.rows(f"select a from {table}") == [(1,)]


def test_truncate_in_a_batch_commits(api, table):
    api.ok(f"create table {table} as select 1 as a")
    assert "Query #2" in api.error([f"truncate {table}", "select 1/0"])
    assert api.rows(f"select count(*) from {table}") == [(0,)]


def test_begin_and_commit_in_a_batch(api, table):
    api.error(["begin", f"create table {table} (a int)", "commit", "select 1/0"])
    assert api.rows(f"select count(*) from {table}") == [(0,)]
    api.error([f"insert into {table} values (1)", "rollback", f"insert into {table} values (2)", "select nosuch"])
    assert api.rows(f"select count(*) from {table}") == [(0,)]


def test_auto_commit_lets_each_stand_alone(api, table):
    described = api.run(
        [f"create table {table} (a int)", "select 1/0", f"insert into {table} values (1)"], ExecutionMode="AUTO_COMMIT"
    )
    assert described["Status"] == "FAILED"
    assert [part["Status"] for part in described["SubStatements"]] == ["FINISHED", "FAILED", "FINISHED"]
    assert api.rows(f"select a from {table}") == [(1,)]


def test_named_parameters_are_values_only(api, table):
    api.ok(f"create table {table} (a int, b varchar(60), c date)")
    value = 'it\'s; drop table x -- \\ "q" :a'
    parameters = [{"name": "a", "value": "7"}, {"name": "b", "value": value}, {"name": "c", "value": "2008-12-31"}]
    api.ok(f"insert into {table} values (:a, :b, :c)", Parameters=parameters)
    assert api.rows(f"select a, b, c::varchar from {table}") == [(7, value, "2008-12-31")]
    found = api.rows(
        f"select a::bigint, ':a' as quoted from {table} where a >= :a and c = :c -- :comment",
        Parameters=[parameters[0], parameters[2]],
    )
    assert found == [(7, ":a")]
    described = api.ok("select :x as x", Parameters=[{"name": "x", "value": "y"}])
    assert described["QueryParameters"] == [{"name": "x", "value": "y"}]
    assert api.run(["select :a", "select :b"], Parameters=parameters[:2])["Status"] == "FINISHED"


@pytest.mark.parametrize(
    ("sql", "parameters", "message"),
    [
        ("select ':a'", ["a"], "Parameters list contains unused parameters. Unused parameters: [a]"),
        ("select :a, :b", ["a"], "Undefined parameters: [b]"),
        ("select :a", ["a", "a"], "twice"),
        ("unload ('select :a') to 's3://bucket/x' iam_role default", ["a"], "unused parameters"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(redshift_data, sql, parameters, message):
    given = [{"name": name, "value": "1"} for name in parameters]
    code, text = refused(redshift_data.execute_statement, Sql=sql, Parameters=given, **SERVERLESS)
    assert code == "ValidationException" and message in text


def test_a_placeholder_without_parameters_fails(api):
    assert 'syntax error at or near ":a"' in api.error("select :a")


def test_a_client_token_submits_once(redshift_data, api, table):
    api.ok(f"create table {table} (a int)")
    token = str(uuid.uuid4())
    asked = {"Sql": f"insert into {table} values (1)", "ClientToken": token, "WaitTimeSeconds": 20, **SERVERLESS}
    first = redshift_data.execute_statement(**asked)
    again = redshift_data.execute_statement(**asked)
    assert again["Id"] == first["Id"]
    assert api.rows(f"select count(*) from {table}") == [(1,)]
    code, message = refused(redshift_data.execute_statement, Sql="select 1", ClientToken=token, **SERVERLESS)
    assert code == "ValidationException" and "ClientToken" in message


def test_waiting_saves_the_polling(redshift_data):
    submitted = redshift_data.execute_statement(Sql="select 1", WaitTimeSeconds=20, **SERVERLESS)
    assert submitted["Status"] == "FINISHED"
    started = time.monotonic()
    identity = redshift_data.execute_statement(Sql=ENDLESS, WaitTimeSeconds=1, **SERVERLESS)["Id"]
    assert 0.9 < time.monotonic() - started < 10
    redshift_data.cancel_statement(Id=identity)


def test_statements_are_listed(redshift_data, api):
    prefix = f"night-{uuid.uuid4()}"
    for number in range(3):
        api.ok(f"select {number}", StatementName=f"{prefix}-{number}")
    api.run("select nosuch", StatementName=f"{prefix}-bad")
    batch = api.ok(["select 1", "select 2"], StatementName=f"{prefix}-batch")

    def names(**arguments):
        pages = redshift_data.get_paginator("list_statements").paginate(StatementName=prefix, **arguments)
        return [item["StatementName"].removeprefix(prefix) for page in pages for item in page["Statements"]]

    assert names() == ["-batch", "-2", "-1", "-0"]
    assert names(Status="ALL") == ["-batch", "-bad", "-2", "-1", "-0"]
    assert names(Status="FAILED") == ["-bad"]
    assert names(Status="ALL", PaginationConfig={"PageSize": 2}) == ["-batch", "-bad", "-2", "-1", "-0"]
    assert names(WorkgroupName="other") == [] and len(names(Database="dev")) == 4
    [listed] = redshift_data.list_statements(StatementName=f"{prefix}-batch")["Statements"]
    assert (
        listed["Id"] == batch["Id"]
        and listed["IsBatchStatement"] is True
        and listed["QueryStrings"] == ["select 1", "select 2"]
    )
    first = redshift_data.list_statements(StatementName=prefix, MaxResults=2)
    assert len(first["Statements"]) == 2 and first["NextToken"]


def test_a_session_keeps_its_temporary_tables(redshift_data, api):
    first = redshift_data.execute_statement(
        Sql="create temp table kept as select 5 as a", SessionKeepAliveSeconds=60, WaitTimeSeconds=20, **SERVERLESS
    )
    assert uuid.UUID(first["SessionId"]).version == 4
    second = redshift_data.execute_statement(Sql="select a from kept", SessionId=first["SessionId"], WaitTimeSeconds=20)
    assert redshift_data.get_statement_result(Id=second["Id"])["Records"] == [[{"longValue": 5}]]
    assert 'relation "kept" does not exist' in api.error("select a from kept")
    endless = redshift_data.execute_statement(Sql=ENDLESS, SessionId=first["SessionId"])["Id"]
    code, message = refused(redshift_data.execute_statement, Sql="select 1", SessionId=first["SessionId"])
    assert code == "ValidationException" and "Session is not available" in message
    redshift_data.cancel_statement(Id=endless)
    wait_for(api, endless, "ABORTED")
    time.sleep(0.1)
    third = redshift_data.execute_statement(Sql="select a from kept", SessionId=first["SessionId"], WaitTimeSeconds=20)
    assert third["Status"] == "FINISHED"
    assert (
        refused(redshift_data.execute_statement, Sql="select 1", SessionId=str(uuid.uuid4()))[0]
        == "ValidationException"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"Sql": "select 1", "Database": "dev"}, "Exactly one of ClusterIdentifier, WorkgroupName"),
        ({"Sql": "select 1", "Database": "dev", "ClusterIdentifier": "c", "WorkgroupName": "www"}, "Exactly one of"),
        ({"Sql": "select 1", "WorkgroupName": "www"}, "Database must be given"),
        ({"Sql": "select 1", "WorkgroupName": "www", "Database": "dev", "DbUser": "u"}, "DbUser"),
        ({"Sql": " ", **SERVERLESS}, "must not be empty"),
        ({"Sql": "select '" + "x" * 102_400 + "'", **SERVERLESS}, "100kB"),
        ({"Sql": "select 1; select 2", **SERVERLESS}, "Multiple sql statements"),
        ({"Sql": "select 1", "WaitTimeSeconds": 31, **SERVERLESS}, "WaitTimeSeconds"),
    ],
)
def test_requests_are_validated(redshift_data, arguments, message):
    code, text = refused(redshift_data.execute_statement, **arguments)
    assert code == "ValidationException" and message in text


def test_batches_are_validated(redshift_data):
    batch = redshift_data.batch_execute_statement
    assert "between 1 and 40" in refused(batch, Sqls=["select 1"] * 41, **SERVERLESS)[1]
    assert "Multiple sql statements" in refused(batch, Sqls=["select 1; select 2"], **SERVERLESS)[1]
    assert "ExecutionMode" in refused(batch, Sqls=["select 1"], ExecutionMode="NO", **SERVERLESS)[1]


def test_a_trailing_semicolon_and_comments_make_no_second_statement(api):
    assert api.rows("/* ; */ select ';' as a; -- ; the end\n") == [(";",)]


def test_an_unknown_statement_is_not_found(redshift_data, api):
    unknown = str(uuid.uuid4())
    for call in (redshift_data.describe_statement, redshift_data.get_statement_result, redshift_data.cancel_statement):
        assert refused(call, Id=unknown) == ("ResourceNotFoundException", "Query does not exist.")
    batch = api.ok(["select 1"])["Id"]
    assert refused(redshift_data.describe_statement, Id=f"{batch}:2")[0] == "ResourceNotFoundException"


def test_the_catalogue(redshift_data, api, table):
    api.ok([f"create schema {table}_schema",
            f"create table {table}_schema.one (a int not null, b varchar(7) default 'x')",
            f"create view {table}_schema.two as select a from {table}_schema.one"])  # fmt: skip
    where = {"WorkgroupName": "nightcast", "Database": "dev"}
    assert redshift_data.list_databases(**where)["Databases"] == ["dev"]
    assert f"{table}_schema" in redshift_data.list_schemas(**where)["Schemas"]
    assert redshift_data.list_schemas(SchemaPattern=f"{table}%", **where)["Schemas"] == [f"{table}_schema"]
    tables = redshift_data.list_tables(SchemaPattern=f"{table}_schema", **where)["Tables"]
    assert [(item["name"], item["type"]) for item in tables] == [("one", "TABLE"), ("two", "VIEW")]
    first = redshift_data.list_tables(SchemaPattern=f"{table}_schema", MaxResults=1, **where)
    second = redshift_data.list_tables(SchemaPattern=f"{table}_schema", NextToken=first["NextToken"], **where)
    assert [item["name"] for item in second["Tables"]] == ["two"]
    columns = redshift_data.describe_table(Schema=f"{table}_schema", Table="one", **where)["ColumnList"]
    assert [(c["name"], c["typeName"], c["length"], c["nullable"]) for c in columns] == [
        ("a", "int4", 0, 0),
        ("b", "varchar", 7, 1),
    ]
    assert refused(redshift_data.list_tables, WorkgroupName="nightcast", Database="other")[0] == "ValidationException"


def test_many_clients_at_once(api, table):
    api.ok(f"create table {table} (a int)")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: api.ok(f"insert into {table} values ({n})"), range(24)))
    assert api.rows(f"select count(*), count(distinct a) from {table}") == [(24, 24)]
