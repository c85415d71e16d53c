from __future__ import annotations

import json

import pytest

from nightcast.errors import ManifestError
from nightcast.warehouse.manifest import (
    ManifestColumn,
    ManifestEntry,
    is_manifest,
    is_verbose,
    manifest_urls,
    read_manifest,
)

URI = "s3://bucket/run/training_manifest"


def verbose_manifest(*files: tuple[str, int, int], total: tuple[int, int] | None = None) -> str:
    entries = [{"url": url, "meta": {"content_length": size, "record_count": rows}} for url, size, rows in files]
    size, rows = total or (sum(f[1] for f in files), sum(f[2] for f in files))
    columns = [
        {"name": "eventid", "type": {"base": "integer"}},
        {"name": "catname", "type": {"base": "character varying", "max_length": 10}},
        {"name": "price", "type": {"base": "numeric", "precision": 8, "scale": 2}},
    ]
    return json.dumps(
        {
            "entries": entries,
            "schema": {"elements": columns},
            "meta": {"content_length": size, "record_count": rows},
            "author": {"name": "Amazon Redshift", "version": "1.0.0"},
        }
    )


def test_a_verbose_manifest_is_read_in_its_order():
    manifest = read_manifest(verbose_manifest(("s3://b/z", 10, 3), ("s3://b/a", 20, 4)), URI)
    assert manifest.entries == (ManifestEntry("s3://b/z", 10, 3), ManifestEntry("s3://b/a", 20, 4))
    assert manifest.columns[1:] == (ManifestColumn("catname", "character varying"), ManifestColumn("price", "numeric"))
    assert (manifest.records, manifest.bytes) == (7, 30)


def test_header_lines_that_redshift_counts_are_no_records():
    manifest = read_manifest(verbose_manifest(("s3://b/a", 10, 4), ("s3://b/b", 20, 1)), URI, header=True)
    assert [entry.records for entry in manifest.entries] == [3, 0]
    assert manifest.records == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a manifest"),
        ("[]", "is not a manifest"),
        ('{"entries": [{"url": "s3://b/a", "mandatory": true}]}', "is not a manifest"),
        (verbose_manifest(("s3://b/a", 10, 3), total=(10, 4)), "says 4 records in 10 bytes; its files add up to 3"),
        (verbose_manifest(("s3://b/a", 10, 3), total=(11, 3)), "says 3 records in 11 bytes"),
    ],
)
def test_what_is_no_sound_manifest_is_refused(text, message):
    with pytest.raises(ManifestError, match=message):
        read_manifest(text, URI)


def test_a_file_without_its_header_line_is_refused():
    with pytest.raises(ManifestError, match="no header line"):
        read_manifest(verbose_manifest(("s3://b/a", 0, 0)), URI, header=True)


def test_reconcile_compares_with_what_lies_there():
    manifest = read_manifest(verbose_manifest(("s3://b/a", 10, 3), ("s3://b/b", 20, 4)), URI)
    manifest.reconcile({"s3://b/a": 10, "s3://b/b": 20}.get)
    with pytest.raises(ManifestError, match=r"names s3://b/b, which does not exist.*Clear the unload task"):
        manifest.reconcile({"s3://b/a": 10}.get)
    with pytest.raises(ManifestError, match=r"s3://b/b has 19 bytes.*says 20"):
        manifest.reconcile({"s3://b/a": 10, "s3://b/b": 19}.get)


def test_a_manifest_that_is_not_verbose_names_its_files():
    text = '{"entries": [{"url": "s3://b/z"}, {"url": "s3://b/a", "mandatory": true}]}'
    assert is_manifest(text)
    assert not is_verbose(text)
    assert manifest_urls(text) == ["s3://b/z", "s3://b/a"]
    assert is_verbose(verbose_manifest(("s3://b/z", 10, 3)))


@pytest.mark.parametrize(
    "text",
    ["", "a,b", "[]", "7", "{}", '{"entries": []}', '{"entries": 7}', '{"entries": [{"uri": "a"}]}', "[" * 99999],
)
def test_other_texts_are_no_manifest(text):
    assert not is_manifest(text)
