"""The whole task by DuckDB and Vowpal Wabbit: ``python duckdb_vw.py DATA_FOLDER OUT_FOLDER``.

DuckDB computes statistics, writes Vowpal Wabbit's text and joins its predictions to the records; Vowpal Wabbit makes
one pass over the training records and one over all of them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
from vowpalwabbit import Workspace

CATEGORIES = ["category", "region", "store", "product", "seller", "promo"]
NUMBERS = ["price", "quantity", "daystoevent", "seats", "weight"]
BINNED = ["price", "quantity"]
BINS = 50
TARGET = "totalsold"


def statistics(database: duckdb.DuckDBPyConnection, out: Path) -> dict[str, list[float]]:
    """Write statistics; give the inner edges of the bins."""
    summary = database.execute("SUMMARIZE sales").fetchall()
    frequent = {
        name: database.execute(f"SELECT {name}, count(*) FROM sales GROUP BY 1 ORDER BY 2 DESC LIMIT 10").fetchall()
        for name in [*CATEGORIES, "note"]
    }
    wanted = ", ".join(f"corr({name}, {TARGET})" for name in NUMBERS)
    correlation = database.execute(f"SELECT {wanted} FROM sales").fetchall()
    document = {"summary": summary, "frequent": frequent, "correlation": correlation}
    (out / "statistics.json").write_text(json.dumps(document, default=str))
    shares = [number / BINS for number in range(1, BINS)]
    wanted = ", ".join(f"approx_quantile({name}::DOUBLE, {shares})" for name in BINNED)
    found = database.execute(f"SELECT {wanted} FROM sales").fetchall()[0]
    return dict(zip(BINNED, found, strict=True))


def example(edges: dict[str, list[float]]) -> str:
    """SQL of the text of a record after its label."""
    categories = [f"coalesce(' {name}_' || {name}::VARCHAR, '')" for name in CATEGORIES]
    numbers = [f"coalesce(' {name}:' || {name}::VARCHAR, ' {name}_missing')" for name in NUMBERS]
    bins = [f"coalesce({binned(name, sorted(set(inner)))}, '')" for name, inner in edges.items()]
    return " || ".join(["' |c'", *categories, "' |b'", *bins, "' |n'", *numbers])


def binned(name: str, inner: list[float]) -> str:
    """SQL of the name of a number's bin; NULL where the number is missing."""
    chosen = " ".join(f"WHEN {name} <= {edge} THEN ' {name}_bin{place}'" for place, edge in enumerate(inner))
    return f"CASE WHEN {name} IS NULL THEN NULL {chosen} ELSE ' {name}_bin{len(inner)}' END"


def main(data: Path, out: Path) -> None:
    database = duckdb.connect()
    database.execute("SET threads TO 2")
    database.execute(f"CREATE VIEW sales AS SELECT * FROM read_parquet('{data}/*.parquet')")
    text = example(statistics(database, out))
    records = database.execute("SELECT count(*) FROM sales").fetchall()[0][0]
    cut = records * 7 // 10
    as_lines = "(FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\t')"
    train, test, model, predicted = (str(out / name) for name in ("train.vw", "test.vw", "model.vw", "predicted.txt"))
    labelled = f"SELECT {TARGET}::VARCHAR || {text} FROM sales WHERE saleid < {cut} ORDER BY saleid"
    database.execute(f"COPY ({labelled}) TO '{train}' {as_lines}")
    database.execute(f"COPY (SELECT {text} FROM sales ORDER BY saleid) TO '{test}' {as_lines}")
    learner = Workspace(f"--quiet -b 18 -d {train} -f {model}")
    learner.run_parser()
    learner.finish()
    scorer = Workspace(f"--quiet -t -d {test} -i {model} -p {predicted}")
    scorer.run_parser()
    scorer.finish()

    database.execute(
        f"CREATE VIEW result AS SELECT saleid AS tag, {TARGET} AS trueLabel, score FROM (SELECT saleid, {TARGET} "
        f"FROM sales ORDER BY saleid) POSITIONAL JOIN "
        f"read_csv('{predicted}', header = false, columns = {{'score': 'DOUBLE'}})"
    )
    error = f"SELECT sqrt(avg((score - trueLabel) ** 2)) FROM result WHERE tag >= {cut}"
    rmse = database.execute(error).fetchall()[0][0]
    database.execute(f"COPY result TO '{out}/predictions.csv.gz' (FORMAT csv, COMPRESSION gzip)")
    print(json.dumps({"rmse": rmse}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
